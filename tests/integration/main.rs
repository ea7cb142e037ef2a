//! The built binary in the simulated Nexus VM. `tests/README.md` says how to run one of these files.
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

/// Assertions on how a run ended, shared by the other files.
mod assertions;
/// Installing azcmagent, its services, its proxy.
mod azcmagent;
/// `bundle`: what is in the archive, what must not be, and where it is written.
mod bundle;
/// Every fault of the catalogue, caused once.
mod catalogue;
/// Subcommands, flags and help.
mod command_line;
/// What each condition waits for, and what ends a run at once.
mod conditions;
/// The configuration file, flags and environment variables: rejected values and their messages.
mod configuration;
/// `azcmagent connect` and `azcmagent show`: each outcome and what follows from it.
mod connect;
/// Each supported distribution, and one that is not.
mod distributions;
/// README, examples and help compared with the program.
mod docs;
/// `doctor`: what it finds, that it changes nothing, and that it ends.
mod doctor;
/// `enroll` from a fresh VM to one Arc machine, and that a second run changes nothing.
mod enroll;
/// `env`: the proxy variables for a shell.
mod env;
/// `explain`: each fault of the catalogue.
mod explain;
/// Small, full and read-only file systems, for tests of other files.
mod file_systems;
/// Which module of the source uses which.
mod layers;
/// The log: its lines, its destinations, how often a repeated failure is told.
mod log;
/// `precheck` on the operator's workstation.
mod precheck;
/// The proxy settings in each place that holds them.
mod proxy_settings;
/// Enrolling through a real proxy, tinyproxy.
mod real_proxy;
/// The record of the last run.
mod record;
/// How log, record and terminal report a repair.
mod repair_events;
/// No token and no password in any output, file, argument or environment.
mod secrets;
/// SIGTERM, SIGINT, SIGHUP and SIGKILL during a run.
mod signals;
/// The simulated Nexus, tested with other clients than the agent.
mod simulated_nexus;
/// The gate on the size of user-data.
mod size_gate;
/// `status`, as text and JSON.
mod status;
/// The timer that runs `enroll` again.
mod timer;
/// `token`: the token on standard output, and nothing else there.
mod token;
/// `user-data`: the cloud-config that carries the binary.
mod user_data;
