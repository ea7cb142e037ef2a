//! Where Linux keeps proxy settings, and what has to stand there.
//!
//! Pure: text in, text out. [`PLACES`] is the table of files; [`Place::edit`] takes what stands in a file
//! and gives its new content, or nothing when it is right as it is. The same function therefore serves
//! those who only look and those who write.
//!
//! Every place gets the same values. curl and Python look at the lower-case names first, Go at the
//! upper-case ones, so both are set and identical; and NO_PROXY holds bare addresses, parted by commas
//! only, because that is the one form that all of them understand.
//!
//! The readers are our own: crates for such files read them into values and write them anew, and here every line
//! that is not ours has to stay to the byte.

mod apt;
mod dnf;
mod environment;
mod found;
mod lines;
mod no_proxy;
mod profile;
mod suse;
mod systemd;

pub use environment::effective;
pub use found::{compare, values, Values, Wrong};
pub use no_proxy::merge_no_proxy;

use std::fmt;

use crate::model::secret::Secret;
use crate::settings::{Proxy, ProxyUrl};

/// The proxy settings to hold everywhere.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The proxy's URL, with credentials when it needs them; none when there is no proxy.
    pub url: Option<Secret>,
    /// The URL as it may be shown.
    pub shown: String,
    /// Whether the URL holds a user name or password.
    pub has_credentials: bool,
    /// What must be reached directly.
    pub no_proxy: Vec<String>,
}

impl From<&Proxy> for Wanted {
    fn from(proxy: &Proxy) -> Self {
        let url = proxy.url.as_ref();
        Self {
            url: url.map(ProxyUrl::with_credentials),
            shown: url.map_or_else(|| "no proxy".to_owned(), ProxyUrl::without_credentials),
            has_credentials: url.is_some_and(|url| url.credentials().is_some()),
            no_proxy: proxy.no_proxy.clone(),
        }
    }
}

impl Wanted {
    /// The URL's text, for those who have to write it.
    fn url(&self) -> Option<&str> {
        self.url.as_ref().map(Secret::reveal)
    }
}

/// The names of the variables that hold the proxy.
pub const PROXY_NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// The names of those that hold the exceptions.
pub const NO_PROXY_NAMES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The variables for this process and its children: six, or without a proxy only the two NO_PROXY.
///
/// `existing` are the values of NO_PROXY that hold now; their entries are kept.
pub fn variables(wanted: &Wanted, existing: &[&str]) -> Vec<(&'static str, Secret)> {
    let no_proxy = merge_no_proxy(existing, &wanted.no_proxy);
    let proxies = wanted.url.iter().flat_map(|url| PROXY_NAMES.map(|name| (name, url.clone())));
    proxies.chain(NO_PROXY_NAMES.map(|name| (name, Secret::new(no_proxy.clone())))).collect()
}

/// The variables as lines for a POSIX shell, for `eval "$(arc-enroll env)"`; credentials included.
pub fn exports(wanted: &Wanted, existing: &[&str]) -> String {
    let lines = variables(wanted, existing);
    lines.iter().map(|(name, value)| profile::export(name, value.reveal())).collect()
}

/// When a place counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// On every Linux; the file is made when it is missing.
    Always,
    /// Where this directory exists; the file is made when it is missing.
    Directory(&'static str),
    /// Where the file itself exists.
    File,
}

/// Another file that a place has to take into account.
#[derive(Clone, Copy)]
pub struct Other<'a> {
    /// Its path, as the table spells it and not below any root.
    pub path: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// What has to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub path: &'static str,
    /// Its whole new content.
    pub content: String,
    /// Whether the content holds a credential, so that only root may read the file.
    pub private: bool,
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = if self.private { "***" } else { self.content.as_str() };
        f.debug_struct("Edit").field("path", &self.path).field("content", &content).finish_non_exhaustive()
    }
}

/// A value that a file's syntax has no way to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} holds {character}, which {path} cannot express; write it percent-encoded")]
pub struct Error {
    /// The file.
    pub path: &'static str,
    /// Which value: a variable's or an option's name.
    pub what: &'static str,
    /// The character, named so that it can be shown.
    pub character: &'static str,
}

/// A file that holds proxy settings.
pub struct Place {
    /// The file.
    pub path: &'static str,
    /// When it counts.
    pub presence: Presence,
    /// Who reads it, for messages.
    pub readers: &'static str,
    /// Files whose content `edit` wants to see; the last component may be a pattern with one `*`.
    pub others: &'static [&'static str],
    content: fn(&Context<'_>) -> Result<Option<String>, Error>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

impl Place {
    /// The edit that makes this file right, or nothing when it is right already.
    pub fn edit(
        &self,
        wanted: &Wanted,
        existing: Option<&str>,
        others: &[Other<'_>],
    ) -> Result<Option<Edit>, Error> {
        let others = self.in_order(others);
        let content = (self.content)(&Context { path: self.path, wanted, existing, others: &others })?;
        Ok(content.filter(|content| existing != Some(content.as_str())).map(|content| Edit {
            path: self.path,
            content,
            private: self.private(wanted),
        }))
    }

    /// The files that count here, in the table's order, so that the result does not depend on the caller's.
    fn in_order<'a>(&self, others: &[Other<'a>]) -> Vec<Other<'a>> {
        let wanted = others.iter().filter(|other| other.path != self.path);
        let ranked = wanted.filter_map(|other| {
            let rank = self.others.iter().position(|pattern| matches(pattern, other.path))?;
            Some((rank, *other))
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|(rank, other)| (*rank, other.path));
        ranked.into_iter().map(|(_, other)| other).collect()
    }

    /// Whether the file holds a credential, so that only root may read it, even when its content is right.
    pub fn private(&self, wanted: &Wanted) -> bool {
        wanted.has_credentials && wanted.url.is_some()
    }

    /// Whether `edit` wants to see the file of this path.
    pub fn looks_at(&self, path: &str) -> bool {
        path != self.path && self.others.iter().any(|pattern| matches(pattern, path))
    }
}

/// Whether a path is one that a pattern means; the star stands for anything but a slash.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|middle| !middle.is_empty() && !middle.contains('/')),
    }
}

/// What a place works with.
struct Context<'a> {
    path: &'static str,
    wanted: &'a Wanted,
    existing: Option<&'a str>,
    others: &'a [Other<'a>],
}

impl Context<'_> {
    /// What stands in the file, or nothing.
    fn text(&self) -> &str {
        self.existing.unwrap_or_default()
    }

    /// The value of NO_PROXY: the file's own entries, those of the other files, then the required ones.
    fn no_proxy(&self, own: &[String]) -> String {
        let elsewhere = no_proxy::elsewhere(self.others, &self.wanted.no_proxy);
        let existing: Vec<&str> = own.iter().chain(&elsewhere).map(String::as_str).collect();
        merge_no_proxy(&existing, &self.wanted.no_proxy)
    }

    /// An error when a value holds a character that the file's syntax cannot express.
    fn check(&self, what: &'static str, value: &str, refused: &[(char, &'static str)]) -> Result<(), Error> {
        let path = self.path;
        if value.chars().any(|c| c.is_control()) {
            return Err(Error { path, what, character: "a control character" });
        }
        match refused.iter().find(|(c, _)| value.contains(*c)) {
            Some((_, character)) => Err(Error { path, what, character }),
            None => Ok(()),
        }
    }
}

/// The drop-in that gives services their variables.
pub const SERVICES_PLACE: &str = "/etc/systemd/system.conf.d/50-arc-enroll-proxy.conf";

/// Every place, in the order in which they are written.
///
/// `/etc/environment` is read by pam_env at logins (sshd, cron, sudo as its PAM file says) and by units
/// that name it as EnvironmentFile, not by other services; profile.d by login shells; the systemd
/// drop-in by all services after `systemctl daemon-reexec` (systemd-system.conf(5)). apt takes its own
/// setting before the environment (apt-transport-http(1)), dnf, yum and tdnf as well (dnf.conf(5)), and
/// libzypp reads `/etc/sysconfig/proxy`.
pub const PLACES: [Place; 8] = [
    Place {
        path: "/etc/environment",
        presence: Presence::Always,
        readers: "logins and cron, through pam_env",
        others: &["/etc/sysconfig/proxy"],
        content: environment::content,
    },
    Place {
        path: "/etc/profile.d/zz-arc-enroll-proxy.sh",
        presence: Presence::Directory("/etc/profile.d"),
        readers: "login shells",
        others: &["/etc/environment", "/etc/sysconfig/proxy", "/etc/profile.d/*.sh"],
        content: profile::content,
    },
    Place {
        path: SERVICES_PLACE,
        presence: Presence::Directory("/etc/systemd"),
        readers: "services, through systemd",
        others: &[
            "/etc/environment",
            "/etc/sysconfig/proxy",
            "/etc/systemd/system.conf",
            "/etc/systemd/system.conf.d/*.conf",
        ],
        content: systemd::content,
    },
    Place {
        path: "/etc/apt/apt.conf.d/95arc-enroll-proxy",
        presence: Presence::Directory("/etc/apt/apt.conf.d"),
        readers: "apt",
        others: &["/etc/apt/apt.conf", "/etc/apt/apt.conf.d/*"],
        content: apt::content,
    },
    Place {
        path: "/etc/dnf/dnf.conf",
        presence: Presence::File,
        readers: "dnf",
        others: &[],
        content: dnf::content,
    },
    Place {
        path: "/etc/yum.conf",
        presence: Presence::File,
        readers: "yum",
        others: &[],
        content: dnf::content,
    },
    Place {
        path: "/etc/tdnf/tdnf.conf",
        presence: Presence::File,
        readers: "tdnf",
        others: &[],
        content: dnf::content,
    },
    Place {
        path: "/etc/sysconfig/proxy",
        presence: Presence::File,
        readers: "zypper and login shells of SUSE",
        others: &["/etc/environment"],
        content: suse::content,
    },
];

#[cfg(test)]
mod tests;
