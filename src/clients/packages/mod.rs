//! How the Connected Machine agent's package gets onto a distribution.
//!
//! Pure but for `local`, which reads what this VM has: from the text of os-release, of a key and of the package manager's words come the repository, the
//! files to write, the commands to run and the reason of a failure.

pub mod distribution;
pub mod key;
mod local;
pub mod os_release;
pub mod outcome;
pub mod plan;

pub use local::{family, manager, repository, was_cut_off, INSTALL_BEGUN};

/// The agent's package, named alike on every distribution.
pub const PACKAGE: &str = "azcmagent";
