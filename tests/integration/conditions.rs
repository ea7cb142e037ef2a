//! What each condition waits for, what ends the run at once, and that log, record and exit code agree.

/// The role, the resource group, and what else Azure says to the identity.
mod access;
/// Rights, systemd, the clock, the lock.
mod host;
/// The token: who it is for, and what is wrong with it.
mod identity;
/// The sidecar: absent, not ready, or another server in its place.
mod imds;
/// The CSN proxy and the endpoints behind it.
mod proxy;
