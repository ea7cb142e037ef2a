//! Installation of the Connected Machine agent's package on each distribution.
//!
//! Pure functions, except `local`, which reads this VM: os-release gives the repository, the files to write and the
//! commands to run; the package manager's output gives the reason of a failure.

pub mod distribution;
pub mod key;
mod local;
pub mod os_release;
pub mod outcome;
pub mod plan;

pub use local::{family, manager, repository, was_interrupted, INSTALL_BEGUN};

/// Name of the agent's package, the same on every distribution.
pub const PACKAGE: &str = "azcmagent";
