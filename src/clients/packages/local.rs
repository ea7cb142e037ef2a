//! The packages of this VM: which repository its distribution has, and which program installs them.

use super::distribution::{repository_for, Family, Repository};
use super::os_release::OsRelease;
use crate::catalogue;
use crate::host::Host;
use crate::model::fault::Fault;
use crate::settings::{Agent, Install};

/// There as long as a package manager installs: found later, the power or the run was cut in the middle of it. Only
/// dpkg remembers that by itself.
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

/// How this distribution installs packages; one that is not in the table, by the program of rpm's that it has.
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

/// The program by which this distribution installs packages.
pub fn manager(host: &Host) -> &'static str {
    family(host).unwrap_or(Family::Apt).program()
}

/// Whether an installation was begun here that never came to its end, and may be made again.
pub fn was_cut_off(host: &Host, agent: &Agent) -> bool {
    agent.install != Install::Never && host.files.exists(INSTALL_BEGUN)
}
