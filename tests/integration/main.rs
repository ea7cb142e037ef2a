//! The agent as its users meet it: the real binary in the simulated Nexus VM.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests may stop at the first surprise; nexus is shared with the demo"
)]

#[path = "../nexus/mod.rs"]
mod nexus;

/// The stand-ins themselves, with a real client.
mod doubles;
/// The whole path, first boot and manual run, and that a second run changes nothing.
mod enroll;
/// Failure playbooks of the network, the sidecar, the identity and its role.
mod waiting;
/// Failure playbooks of azcmagent: installing, configuring, connecting.
mod agent;
/// Log, record, signals, secrets.
mod output;
/// Configuration, command line, env, user-data.
mod operator;
/// README, examples and help say what is so.
mod docs;
