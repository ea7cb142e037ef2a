//! The proxy files of Linux, and the content that each of them needs.
//!
//! The functions are pure: text in, text out. [`PROXY_FILES`] is the list of files. [`ProxyFile::edit`] takes the
//! content of a file and returns the corrected content, or `None` when it is correct, so observers and repairs use the
//! same function.
//!
//! Every file gets the same values. curl and Python prefer the lower-case names and Go the upper-case ones, so both are
//! set and identical. NO_PROXY holds addresses without ports, separated by commas, the one form that all of these
//! clients parse.
//!
//! A new file is one entry of the list; a new format is one module with a `FORMAT`. A module uses only the modules
//! before it in this order: `lines` and `no_proxy`, `variables`, `compare` and `format`, the formats and `file`,
//! this list. (`profile` parses statements with `environment`.)
//!
//! The parsers are not from crates, because those parse a file into values and write it back, while every line that
//! arc-enroll does not set has to stay unchanged to the byte.

mod apt;
mod compare;
mod dnf;
mod environment;
mod file;
mod format;
mod lines;
mod no_proxy;
mod profile;
mod suse;
mod systemd;
mod variables;

pub use compare::{compare, Mismatch};
pub use environment::effective;
pub use file::{Edit, FileText, OtherFiles, Presence, ProxyFile, TakesEffect};
pub use format::{Format, UnwritableValue};
pub use no_proxy::merge_no_proxy;
pub use profile::exports;
pub use variables::{variables, DesiredProxy, NO_PROXY_NAMES, PROXY_NAMES};

/// Every proxy file, in the order of writing.
///
/// `/etc/environment` is read by pam_env at logins (sshd, cron, and sudo if its PAM file says so) and by units
/// that name it as EnvironmentFile, not by other services; profile.d by login shells; the systemd
/// drop-in by all services after `systemctl daemon-reexec` (systemd-system.conf(5)). apt prefers its own
/// setting to the environment (apt-transport-http(1)), as do dnf, yum and tdnf (dnf.conf(5)).
/// libzypp reads `/etc/sysconfig/proxy`.
pub static PROXY_FILES: [ProxyFile; 8] = [
    ProxyFile {
        path: "/etc/environment",
        presence: Presence::Always,
        readers: "logins and cron, through pam_env",
        takes_effect: TakesEffect::AtNextLogin,
        format: &environment::FORMAT,
        others: &[OtherFiles { pattern: "/etc/sysconfig/proxy", format: &suse::FORMAT }],
    },
    ProxyFile {
        path: "/etc/profile.d/zz-arc-enroll-proxy.sh",
        presence: Presence::Directory("/etc/profile.d"),
        readers: "login shells",
        takes_effect: TakesEffect::AtNextLogin,
        format: &profile::FORMAT,
        others: &[
            OtherFiles { pattern: "/etc/environment", format: &environment::FORMAT },
            OtherFiles { pattern: "/etc/sysconfig/proxy", format: &suse::FORMAT },
            OtherFiles { pattern: "/etc/profile.d/*.sh", format: &profile::FORMAT },
        ],
    },
    ProxyFile {
        path: "/etc/systemd/system.conf.d/50-arc-enroll-proxy.conf",
        presence: Presence::Directory("/etc/systemd"),
        readers: "services, through systemd",
        takes_effect: TakesEffect::ManagerReexec,
        format: &systemd::FORMAT,
        others: &[
            OtherFiles { pattern: "/etc/environment", format: &environment::FORMAT },
            OtherFiles { pattern: "/etc/sysconfig/proxy", format: &suse::FORMAT },
            OtherFiles { pattern: "/etc/systemd/system.conf", format: &systemd::FORMAT },
            OtherFiles { pattern: "/etc/systemd/system.conf.d/*.conf", format: &systemd::FORMAT },
        ],
    },
    ProxyFile {
        path: "/etc/apt/apt.conf.d/95arc-enroll-proxy",
        presence: Presence::Directory("/etc/apt/apt.conf.d"),
        readers: "apt",
        takes_effect: TakesEffect::AtNextUse,
        format: &apt::FORMAT,
        others: &[
            OtherFiles { pattern: "/etc/apt/apt.conf", format: &apt::FORMAT },
            OtherFiles { pattern: "/etc/apt/apt.conf.d/*", format: &apt::FORMAT },
        ],
    },
    ProxyFile {
        path: "/etc/dnf/dnf.conf",
        presence: Presence::File,
        readers: "dnf",
        takes_effect: TakesEffect::AtNextUse,
        format: &dnf::FORMAT,
        others: &[],
    },
    ProxyFile {
        path: "/etc/yum.conf",
        presence: Presence::File,
        readers: "yum",
        takes_effect: TakesEffect::AtNextUse,
        format: &dnf::FORMAT,
        others: &[],
    },
    ProxyFile {
        path: "/etc/tdnf/tdnf.conf",
        presence: Presence::File,
        readers: "tdnf",
        takes_effect: TakesEffect::AtNextUse,
        format: &dnf::FORMAT,
        others: &[],
    },
    ProxyFile {
        path: "/etc/sysconfig/proxy",
        presence: Presence::File,
        readers: "zypper and login shells of SUSE",
        takes_effect: TakesEffect::AtNextLogin,
        format: &suse::FORMAT,
        others: &[OtherFiles { pattern: "/etc/environment", format: &environment::FORMAT }],
    },
];

/// The files with this kind of effect, in the order of [`PROXY_FILES`].
pub fn taking_effect(how: TakesEffect) -> impl Iterator<Item = &'static ProxyFile> {
    PROXY_FILES.iter().filter(move |file| file.takes_effect == how)
}

#[cfg(test)]
mod tests;
