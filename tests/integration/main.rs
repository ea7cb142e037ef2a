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

/// Failure playbooks of azcmagent: installing it, its services, its proxy.
mod agent;
/// The archive for support: what is in it, what must not be, and where it goes.
mod bundle;
/// Every fault of the catalogue, met once.
mod catalogue;
/// Failure playbooks of connecting, and of what azcmagent says of the connection.
mod connecting;
/// Each supported distribution, and what is not.
mod distributions;
/// README, examples and help say what is so.
mod docs;
/// Doctor where hardly anything answers, without root, without curl.
mod doctor;
/// The stand-ins themselves, with a real client.
mod doubles;
/// How a run is expected to end, and what it leaves behind.
mod ending;
/// The whole path, first boot and manual run, and that a second run changes nothing.
mod enroll;
/// Small, full and read-only file systems of a VM.
mod mounts;
/// Configuration, command line, help, env, explain, status, doctor.
mod operator;
/// Log and record.
mod output;
/// What the operator sees from outside.
mod precheck;
/// The path through a real proxy.
mod real_proxy;
mod reconnecting;
/// What a run repairs, how often, and what it says of it.
mod repairs;
/// That no token and no password is ever to be read.
mod secrets;
/// What `status` tells.
mod status;
/// Signals: a run that is told to stop, or killed.
mod stopping;
/// The timer that runs enroll again.
mod timer;
/// The user-data that the program writes of itself.
mod user_data;
/// Failure playbooks of the network, the sidecar, the identity and its role.
mod waiting;
