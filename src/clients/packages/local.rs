//! The repository and the package manager of this VM.

use super::distribution::{repository_for, Family, Repository};
use super::os_release::OsRelease;
use crate::catalogue;
use crate::host::Host;
use crate::model::fault::Fault;
use crate::settings::{Agent, Install};

/// A marker file that exists while a package manager installs. If a later run finds it, the installation was interrupted;
/// of the package managers, only dpkg records that itself.
pub const INSTALL_BEGUN: &str = "/var/lib/arc-enroll/install-begun";

/// The repository with azcmagent for this distribution.
///
/// # Errors
/// `agent.distribution-unsupported`.
pub fn repository(host: &Host) -> Result<Repository, Fault> {
    let text = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| host.text(path))
        .ok_or_else(|| catalogue::AGENT_DISTRIBUTION.with_evidence("there is no /etc/os-release"))?;
    repository_for(&OsRelease::parse(&text), std::env::consts::ARCH)
        .map_err(|unsupported| catalogue::AGENT_DISTRIBUTION.with_evidence(unsupported.to_string()))
}

/// The package manager of this distribution; for one that is not in the table, the rpm package manager that is installed.
///
/// # Errors
/// `agent.distribution-unsupported`.
pub fn family(host: &Host) -> Result<Family, Fault> {
    let by_program = |fault| {
        let is_here = |family: &Family| host.commands.find(family.program()).is_some();
        Family::OF_RPM.into_iter().find(is_here).ok_or(fault)
    };
    repository(host).map(|repository| repository.family).or_else(by_program)
}

/// The program of this distribution's package manager.
pub fn manager(host: &Host) -> &'static str {
    family(host).unwrap_or(Family::Apt).program()
}

/// Whether an installation was interrupted and may be repeated.
pub fn was_interrupted(host: &Host, agent: &Agent) -> bool {
    agent.install != Install::Never && host.files.exists(INSTALL_BEGUN)
}
