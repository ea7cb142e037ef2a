//! arc-enroll: makes a VM on Azure Operator Nexus an Azure Arc-enabled server, from its user-data.
//!
//! The layers, from the bottom to the top. A module uses only those before it; `tests/integration/layers.rs` holds that.
//!
//! | module | what it is |
//! |---|---|
//! | [`formats`] | languages and encodings: shell words, URLs, percent codes, JSON, dates of HTTP, gzip |
//! | [`model`] | what the program is about, as plain values: conditions, faults, steps, back-off |
//! | [`catalogue`] | every fault that may be met, as data, one file a condition |
//! | [`settings`] | the configuration: document, environment and flags, checked and merged |
//! | [`host`] | the I/O boundary: files, processes, network, lock, redaction |
//! | [`output`] | what is shown and written down: terminal, log, record |
//! | [`proxy_files`] | the files in which Linux keeps proxy settings, one format a file |
//! | [`clients`] | the parties that are talked to, one each: how it is asked, what its answers mean |
//! | [`context`] | what a run works with, has learned, and holds |
//! | [`conditions`] | the observers, one file a condition; they change nothing |
//! | [`repairs`] | what the agent changes, one file a repair |
//! | [`timer`] | the systemd units that run enroll again |
//! | [`engine`] | the loop: conditions in sequence for `enroll`, at the same time for `doctor` and `status` |
//! | [`bundle`] | the archive for support |
//! | [`operator`] | what runs on the workstation: precheck, user-data; only with the feature of this name |
//! | [`cli`] | the command line, as data and parsed; help |
//! | [`commands`] | the subcommands, one file each |
//!
//! Where to begin reading: `commands/enroll.rs` is the whole way of a run, `engine/sequence.rs` the loop.

pub mod bundle;
pub mod catalogue;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod conditions;
pub mod context;
pub mod engine;
pub mod formats;
pub mod host;
pub mod model;
#[cfg(feature = "operator")]
pub mod operator;
pub mod output;
pub mod proxy_files;
pub mod repairs;
pub mod settings;
pub mod timer;
