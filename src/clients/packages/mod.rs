//! How the Connected Machine agent's package gets onto a distribution.
//!
//! Pure: from the text of os-release, of a key and of the package manager's words come the repository, the
//! files to write, the commands to run and the reason of a failure. Nothing here touches the system.

pub mod distribution;
pub mod key;
pub mod os_release;
pub mod outcome;
pub mod plan;

/// The agent's package, named alike on every distribution.
pub const PACKAGE: &str = "azcmagent";
