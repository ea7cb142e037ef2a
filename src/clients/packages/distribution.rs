//! The supported distributions, and Microsoft's package repository for each.
//!
//! Sources: the prerequisites page of Azure Arc-enabled servers, and the install script for further ones (Alma and Rocky
//! 10, SLES 16, ARM64 on Debian 13 and RHEL 8 and 9). The install script maps Alma, Oracle and Rocky Linux to Red Hat's
//! repository, and uses the distribution's own repositories on Azure Linux. Keys: "Linux package repositories for
//! Microsoft products" (learn.microsoft.com/linux/packages): repositories since 2025 (Debian 13, Ubuntu 25.10 and
//! later, RHEL 10) are signed by the new key. Inferred: SLES 16 is signed by it too, and Amazon Linux and SLES 16 have
//! the same layout `<distribution>/<version>/prod` as the others.
//!
//! ID_LIKE is ignored, because the agent is not documented to work on derivatives and their versions differ; an operator
//! can name a package that works (`agent.install: package`). Service packs and minor versions are ignored, because one
//! repository serves all of them; the prerequisites page requires SLES 12 SP5 and 15 SP3.

use super::os_release::OsRelease;

/// A package manager, which determines the format of repositories and packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian and Ubuntu.
    Apt,
    /// Red Hat and derivatives from version 8, Amazon Linux 2023.
    Dnf,
    /// Red Hat and derivatives up to version 7, Amazon Linux 2.
    Yum,
    /// Azure Linux.
    Tdnf,
    /// SUSE.
    Zypper,
}

impl Family {
    /// The rpm package managers in the order of detection: systems with dnf also have a `yum` program.
    pub const OF_RPM: [Self; 4] = [Self::Zypper, Self::Tdnf, Self::Dnf, Self::Yum];

    /// Name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Yum => "yum",
            Self::Tdnf => "tdnf",
            Self::Zypper => "zypper",
        }
    }

    /// Whether an exit code is a success.
    ///
    /// zypper(8): 102 requests a reboot, 103 a restart of zypper, 106 reports that other repositories were skipped.
    pub fn succeeded(self, code: i32) -> bool {
        code == 0 || (self == Self::Zypper && [102, 103, 106].contains(&code))
    }
}

/// A processor that the agent is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit Intel and AMD.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Architecture {
    /// The architecture of a machine name of `uname -m`.
    pub fn from_machine(machine: &str) -> Option<Self> {
        match machine {
            "x86_64" | "amd64" => Some(Self::X86_64),
            "aarch64" | "arm64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// Debian's name of the architecture.
    pub fn debian_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

/// A key that signs Microsoft's repositories.
#[derive(Debug, PartialEq, Eq)]
pub struct RepositoryKey {
    /// URL at which Microsoft publishes it.
    pub url: &'static str,
    /// Its published fingerprint.
    pub fingerprint: &'static str,
}

/// Signs repositories from before 2025.
pub const KEY_2015: RepositoryKey = RepositoryKey {
    url: "https://packages.microsoft.com/keys/microsoft.asc",
    fingerprint: "BC528686B50D79E339D3721CEB3E94ADBE1229CF",
};

/// Signs repositories since 2025; SHA-1 signatures of the older key are no longer accepted.
pub const KEY_2025: RepositoryKey = RepositoryKey {
    url: "https://packages.microsoft.com/keys/microsoft-2025.asc",
    fingerprint: "AA86F75E427A19DD33346403EE4D7792F748182B",
};

/// A row of the table: one version of a distribution.
#[derive(Debug)]
pub struct Distribution {
    /// Its ID in os-release.
    pub id: &'static str,
    /// Its VERSION_ID, or the first part of it.
    pub version: &'static str,
    /// Its package manager.
    pub family: Family,
    /// Path of the repository below <https://packages.microsoft.com/>; `None` where the distribution has the package.
    pub path: Option<&'static str>,
    /// The suite, for apt.
    pub suite: Option<&'static str>,
    /// The key that signs the repository.
    pub key: &'static RepositoryKey,
    /// Whether there are packages for ARM64.
    pub arm64: bool,
}

const fn apt(
    id: &'static str,
    version: &'static str,
    path: &'static str,
    suite: &'static str,
    key: &'static RepositoryKey,
    arm64: bool,
) -> Distribution {
    Distribution { id, version, family: Family::Apt, path: Some(path), suite: Some(suite), key, arm64 }
}

const fn rpm(
    id: &'static str,
    version: &'static str,
    family: Family,
    path: &'static str,
    key: &'static RepositoryKey,
    arm64: bool,
) -> Distribution {
    Distribution { id, version, family, path: Some(path), suite: None, key, arm64 }
}

/// Every supported distribution.
pub const DISTRIBUTIONS: [Distribution; 33] = [
    apt("debian", "11", "debian/11/prod", "bullseye", &KEY_2015, false),
    apt("debian", "12", "debian/12/prod", "bookworm", &KEY_2015, true),
    apt("debian", "13", "debian/13/prod", "trixie", &KEY_2025, true),
    apt("ubuntu", "18.04", "ubuntu/18.04/prod", "bionic", &KEY_2015, false),
    apt("ubuntu", "20.04", "ubuntu/20.04/prod", "focal", &KEY_2015, true),
    apt("ubuntu", "22.04", "ubuntu/22.04/prod", "jammy", &KEY_2015, true),
    apt("ubuntu", "24.04", "ubuntu/24.04/prod", "noble", &KEY_2015, true),
    apt("ubuntu", "26.04", "ubuntu/26.04/prod", "resolute", &KEY_2025, false),
    rpm("rhel", "7", Family::Yum, "rhel/7/prod", &KEY_2015, false),
    rpm("rhel", "8", Family::Dnf, "rhel/8/prod", &KEY_2015, true),
    rpm("rhel", "9", Family::Dnf, "rhel/9/prod", &KEY_2015, true),
    rpm("rhel", "10", Family::Dnf, "rhel/10/prod", &KEY_2025, false),
    rpm("almalinux", "8", Family::Dnf, "rhel/8/prod", &KEY_2015, true),
    rpm("almalinux", "9", Family::Dnf, "rhel/9/prod", &KEY_2015, false),
    rpm("almalinux", "10", Family::Dnf, "rhel/10/prod", &KEY_2025, true),
    rpm("rocky", "8", Family::Dnf, "rhel/8/prod", &KEY_2015, false),
    rpm("rocky", "9", Family::Dnf, "rhel/9/prod", &KEY_2015, false),
    rpm("rocky", "10", Family::Dnf, "rhel/10/prod", &KEY_2025, true),
    rpm("ol", "7", Family::Yum, "rhel/7/prod", &KEY_2015, false),
    rpm("ol", "8", Family::Dnf, "rhel/8/prod", &KEY_2015, true),
    rpm("ol", "9", Family::Dnf, "rhel/9/prod", &KEY_2015, false),
    rpm("ol", "10", Family::Dnf, "rhel/10/prod", &KEY_2025, false),
    rpm("centos", "7", Family::Yum, "rhel/7/prod", &KEY_2015, false),
    rpm("centos", "8", Family::Dnf, "rhel/8/prod", &KEY_2015, false),
    rpm("amzn", "2", Family::Yum, "amazonlinux/2/prod", &KEY_2015, true),
    rpm("amzn", "2023", Family::Dnf, "amazonlinux/2023/prod", &KEY_2015, true),
    rpm("sles", "12", Family::Zypper, "sles/12/prod", &KEY_2015, false),
    rpm("sles", "15", Family::Zypper, "sles/15/prod", &KEY_2015, true),
    rpm("sles", "16", Family::Zypper, "sles/16/prod", &KEY_2025, false),
    rpm("sles_sap", "12", Family::Zypper, "sles/12/prod", &KEY_2015, false),
    rpm("sles_sap", "15", Family::Zypper, "sles/15/prod", &KEY_2015, true),
    rpm("sles_sap", "16", Family::Zypper, "sles/16/prod", &KEY_2025, false),
    Distribution {
        id: "azurelinux",
        version: "3",
        family: Family::Tdnf,
        path: None,
        suite: None,
        key: &KEY_2015,
        arm64: true,
    },
];

/// The repository of one system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The package manager.
    pub family: Family,
    /// The processor.
    pub architecture: Architecture,
    /// The repository's owner and location.
    pub source: Source,
}

/// The owner of the repository that has the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Microsoft's.
    Microsoft {
        /// Its base URL, without a slash at the end.
        url: String,
        /// The suite, for apt.
        suite: Option<&'static str>,
        /// The key that signs it.
        key: &'static RepositoryKey,
    },
    /// The distribution, whose repositories are already configured.
    Own,
}

impl Repository {
    /// The key to download; `None` where it is not needed.
    pub fn key(&self) -> Option<&'static RepositoryKey> {
        match &self.source {
            Source::Microsoft { key, .. } => Some(*key),
            Source::Own => None,
        }
    }
}

/// Why there is no repository for a system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The distribution is not in the table.
    #[error("the agent is not packaged for {name} (ID={id}); it is for {supported}")]
    Distribution {
        /// Its ID.
        id: String,
        /// Its name.
        name: String,
        /// The supported distributions and versions.
        supported: String,
    },
    /// The version of the distribution is not in the table.
    #[error("the agent is not packaged for {name}; of this distribution it is for {supported}")]
    Version {
        /// Its name.
        name: String,
        /// The supported versions.
        supported: String,
    },
    /// The processor is not supported on this distribution.
    #[error("the agent is not packaged for {machine} on {name}")]
    Architecture {
        /// The processor's name, as `uname` gives it.
        machine: String,
        /// The distribution's name.
        name: String,
    },
}

/// The repository for a distribution; `machine` is a machine name of `uname -m`.
///
/// # Errors
/// [`Unsupported`].
pub fn repository_for(release: &OsRelease, machine: &str) -> Result<Repository, Unsupported> {
    let row = find(release)?;
    let unsupported =
        || Unsupported::Architecture { machine: machine.to_owned(), name: release.display_name() };
    let architecture = Architecture::from_machine(machine).ok_or_else(unsupported)?;
    if architecture == Architecture::Aarch64 && !row.arm64 {
        return Err(unsupported());
    }
    let source = match row.path {
        Some(path) => Source::Microsoft {
            url: format!("https://packages.microsoft.com/{path}"),
            suite: row.suite,
            key: row.key,
        },
        None => Source::Own,
    };
    Ok(Repository { family: row.family, architecture, source })
}

fn find(release: &OsRelease) -> Result<Distribution, Unsupported> {
    let mut versions = Vec::new();
    let mut supported = String::new();
    let mut last = "";
    for row in DISTRIBUTIONS {
        // The rows of a distribution follow each other: its name once, then its versions.
        let before = if supported.is_empty() { "" } else { ", " };
        supported.push_str(before);
        if row.id != last {
            supported.push_str(row.id);
            supported.push(' ');
        }
        supported.push_str(row.version);
        last = row.id;
        if row.id != release.id {
            continue;
        }
        let version = release.version_id.as_deref().unwrap_or_default();
        let rest = version.strip_prefix(row.version);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            return Ok(row);
        }
        versions.push(row.version);
    }
    let name = release.display_name();
    if versions.is_empty() {
        return Err(Unsupported::Distribution { id: release.id.clone(), name, supported });
    }
    Err(Unsupported::Version { name, supported: versions.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(id: &str, version: &str) -> OsRelease {
        OsRelease::parse(&format!("ID={id}\nVERSION_ID=\"{version}\"\n"))
    }

    #[test]
    fn every_row_has_the_expected_repository() {
        use Family::{Apt, Dnf, Tdnf, Yum, Zypper};
        let rows: [(&str, &str, Family, &str, &str, bool); 33] = [
            ("debian", "11", Apt, "debian/11/prod bullseye", "microsoft.asc", false),
            ("debian", "12", Apt, "debian/12/prod bookworm", "microsoft.asc", true),
            ("debian", "13", Apt, "debian/13/prod trixie", "microsoft-2025.asc", true),
            ("ubuntu", "18.04", Apt, "ubuntu/18.04/prod bionic", "microsoft.asc", false),
            ("ubuntu", "20.04", Apt, "ubuntu/20.04/prod focal", "microsoft.asc", true),
            ("ubuntu", "22.04", Apt, "ubuntu/22.04/prod jammy", "microsoft.asc", true),
            ("ubuntu", "24.04", Apt, "ubuntu/24.04/prod noble", "microsoft.asc", true),
            ("ubuntu", "26.04", Apt, "ubuntu/26.04/prod resolute", "microsoft-2025.asc", false),
            ("rhel", "7.9", Yum, "rhel/7/prod", "microsoft.asc", false),
            ("rhel", "8.10", Dnf, "rhel/8/prod", "microsoft.asc", true),
            ("rhel", "9.4", Dnf, "rhel/9/prod", "microsoft.asc", true),
            ("rhel", "10.0", Dnf, "rhel/10/prod", "microsoft-2025.asc", false),
            ("almalinux", "8.9", Dnf, "rhel/8/prod", "microsoft.asc", true),
            ("almalinux", "9.3", Dnf, "rhel/9/prod", "microsoft.asc", false),
            ("almalinux", "10.1", Dnf, "rhel/10/prod", "microsoft-2025.asc", true),
            ("rocky", "8.10", Dnf, "rhel/8/prod", "microsoft.asc", false),
            ("rocky", "9.5", Dnf, "rhel/9/prod", "microsoft.asc", false),
            ("rocky", "10.0", Dnf, "rhel/10/prod", "microsoft-2025.asc", true),
            ("ol", "7.9", Yum, "rhel/7/prod", "microsoft.asc", false),
            ("ol", "8.9", Dnf, "rhel/8/prod", "microsoft.asc", true),
            ("ol", "9.4", Dnf, "rhel/9/prod", "microsoft.asc", false),
            ("ol", "10.0", Dnf, "rhel/10/prod", "microsoft-2025.asc", false),
            ("centos", "7", Yum, "rhel/7/prod", "microsoft.asc", false),
            ("centos", "8", Dnf, "rhel/8/prod", "microsoft.asc", false),
            ("amzn", "2", Yum, "amazonlinux/2/prod", "microsoft.asc", true),
            ("amzn", "2023", Dnf, "amazonlinux/2023/prod", "microsoft.asc", true),
            ("sles", "12.5", Zypper, "sles/12/prod", "microsoft.asc", false),
            ("sles", "15.6", Zypper, "sles/15/prod", "microsoft.asc", true),
            ("sles", "16.0", Zypper, "sles/16/prod", "microsoft-2025.asc", false),
            ("sles_sap", "12.5", Zypper, "sles/12/prod", "microsoft.asc", false),
            ("sles_sap", "15.7", Zypper, "sles/15/prod", "microsoft.asc", true),
            ("sles_sap", "16.0", Zypper, "sles/16/prod", "microsoft-2025.asc", false),
            ("azurelinux", "3.0", Tdnf, "", "", true),
        ];
        assert_eq!(rows.len(), DISTRIBUTIONS.len());
        for (id, version, family, place, key, arm64) in rows {
            let found = repository_for(&release(id, version), "x86_64").unwrap();
            assert_eq!(found.family, family, "{id} {version}");
            let text = match &found.source {
                Source::Microsoft { url, suite: Some(suite), .. } => format!("{url} {suite}"),
                Source::Microsoft { url, suite: None, .. } => url.clone(),
                Source::Own => String::new(),
            };
            let expected = if place.is_empty() {
                String::new()
            } else {
                format!("https://packages.microsoft.com/{place}")
            };
            assert_eq!(text, expected, "{id} {version}");
            let key_file = found.key().map_or("", |key| key.url.rsplit('/').next().unwrap());
            assert_eq!(key_file, key, "{id} {version}");
            assert_eq!(repository_for(&release(id, version), "aarch64").is_ok(), arm64, "{id} {version}");
        }
    }

    #[test]
    fn unsupported_systems_are_reported() {
        let text =
            |id, version, machine| repository_for(&release(id, version), machine).unwrap_err().to_string();
        assert_eq!(text("arch", "1", "x86_64"), "the agent is not packaged for arch 1 (ID=arch); it is for debian 11, 12, 13, ubuntu 18.04, 20.04, 22.04, 24.04, 26.04, rhel 7, 8, 9, 10, almalinux 8, 9, 10, rocky 8, 9, 10, ol 7, 8, 9, 10, centos 7, 8, amzn 2, 2023, sles 12, 15, 16, sles_sap 12, 15, 16, azurelinux 3");
        assert_eq!(text("ubuntu", "22.10", "x86_64"), "the agent is not packaged for ubuntu 22.10; of this distribution it is for 18.04, 20.04, 22.04, 24.04, 26.04");
        assert_eq!(
            text("debian", "120", "x86_64"),
            "the agent is not packaged for debian 120; of this distribution it is for 11, 12, 13"
        );
        assert_eq!(text("debian", "11", "aarch64"), "the agent is not packaged for aarch64 on debian 11");
        assert_eq!(text("debian", "12", "riscv64"), "the agent is not packaged for riscv64 on debian 12");
        assert!(repository_for(&OsRelease::parse("ID=debian\n"), "x86_64").is_err());
    }
}
