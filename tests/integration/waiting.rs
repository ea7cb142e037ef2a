//! Failure playbooks up to `azcmagent connect`: what passes by itself is waited for, what a person has to mend
//! ends the run at once or after its window, and in either case the log, the record and the exit code agree.

/// The role, the resource group, and what else Azure says to the identity.
mod access;
/// The clock, the lock, rights, the deadline.
mod host;
/// The token: who it is for, and what is wrong with it.
mod identity;
/// The CSN proxy and the endpoints behind it.
mod network;
/// The sidecar: not there, not ready, not itself.
mod sidecar;
