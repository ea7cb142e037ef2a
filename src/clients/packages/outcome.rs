//! Classifies the output of package managers: why an installation failed.
//!
//! The patterns are from recorded output of apt 2.6, dpkg 1.21, dnf 4.14 and zypper 1.14 in the C locale; those of yum 3
//! and tdnf are from their sources and from bug reports.

/// A failure of a package manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFailure {
    /// The class.
    pub kind: PackageFailureKind,
    /// The line of the output that shows it.
    pub line: String,
}

/// Classes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageFailureKind {
    /// Another package manager holds the lock.
    Locked,
    /// The repository cannot be reached.
    Unreachable(UnreachableCause),
    /// No repository has the package.
    PackageNotFound,
    /// The package exists, but not in this version.
    VersionNotFound,
    /// A signature or key is missing or wrong.
    Untrusted,
    /// The package manager cannot read its own lists of repositories.
    BrokenSources,
    /// No space is left.
    DiskFull,
    /// dpkg was interrupted; `dpkg --configure -a` is required.
    Interrupted,
    /// A dependency is not available.
    UnmetDependencies,
    /// A download does not match the index: a mirror or proxy is being updated.
    Mismatch,
    /// Another failure.
    Other,
}

/// Why a repository cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachableCause {
    /// Its name does not resolve.
    Name,
    /// The connection failed.
    Connection,
    /// The proxy refused with this HTTP status.
    Proxy(u16),
    /// The repository responded with this HTTP status.
    Status(u16),
    /// Its certificate was not accepted.
    Certificate,
    /// The output does not tell.
    Unknown,
}

/// Classifies the output of a failed command.
pub fn classify(output: &str) -> PackageFailure {
    find(output).unwrap_or_else(|| PackageFailure {
        kind: PackageFailureKind::Other,
        line: shown(last_meaningful(output)),
    })
}

/// The failure in an output, independent of the exit code; `None` where no pattern matches.
///
/// apt before 2.1 has no `APT::Update::Error-Mode`: its `update` ends with 0 although no repository was reached.
pub fn find(output: &str) -> Option<PackageFailure> {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // The lists begin with the most specific pattern.
    let first = |words: &[&str]| {
        words.iter().find_map(|words| lines.iter().find(|line| line.contains(words))).copied()
    };
    let with = |kind: PackageFailureKind, line: &str| Some(PackageFailure { kind, line: shown(line) });
    if let Some(line) = first(DISK_FULL) {
        return with(PackageFailureKind::DiskFull, line);
    }
    if let Some(line) = first(&["dpkg was interrupted"]) {
        return with(PackageFailureKind::Interrupted, line);
    }
    if let Some(line) = first(LOCKED) {
        return with(PackageFailureKind::Locked, line);
    }
    if let Some(line) = first(BROKEN_SOURCES) {
        return with(PackageFailureKind::BrokenSources, line);
    }
    if let Some(line) = first(UNTRUSTED) {
        return with(PackageFailureKind::Untrusted, line);
    }
    if let Some((cause, line)) = unreachable(&lines) {
        return with(PackageFailureKind::Unreachable(cause), line);
    }
    if let Some(line) = first(&["Hash Sum mismatch", "File has unexpected size", "checksum doesn't match"]) {
        return with(PackageFailureKind::Mismatch, line);
    }
    // Checked late, because apt prints it for every repository whose index was not downloaded.
    if let Some(line) = first(&["is not signed", "is unsigned"]) {
        return with(PackageFailureKind::Untrusted, line);
    }
    if let Some(line) = first(NOT_FOUND) {
        let kind = if names_version(line) {
            PackageFailureKind::VersionNotFound
        } else {
            PackageFailureKind::PackageNotFound
        };
        return with(kind, line);
    }
    if let Some(line) = first(UNMET) {
        return with(PackageFailureKind::UnmetDependencies, line);
    }
    // Printed while waiting for a lock; it is the reason only where no other pattern matches.
    let line =
        first(&["Waiting for cache lock", "Waiting for process with pid", "waiting for transaction lock"])?;
    with(PackageFailureKind::Locked, line)
}

const DISK_FULL: &[&str] = &[
    "No space left on device",
    "You don't have enough free space in",
    "more space needed on the",
    "Disk quota exceeded",
];

const LOCKED: &[&str] = &[
    "Unable to acquire the dpkg frontend lock",
    "Unable to lock the administration directory",
    "Unable to lock directory",
    "lock was locked by another process",
    "already locked by",
    "System management is locked by the application",
    "currently holding the yum lock",
    "waiting for tdnf_instance lock",
    // rpm's own lock; dnf then reports that the key or the package could not be imported.
    "can't create transaction lock",
];

const BROKEN_SOURCES: &[&str] = &[
    "Conflicting values set for option Signed-By",
    "Malformed entry",
    "The list of sources could not be read",
];

const UNTRUSTED: &[&str] = &[
    "NO_PUBKEY",
    "BADSIG",
    "EXPKEYSIG",
    "REVKEYSIG",
    "signatures were invalid",
    "signatures couldn't be verified",
    "GPG check FAILED",
    "Signature verification failed",
    "repomd.xml GPG signature verification error",
    "Public key for",
    "gpgkey entry is missing",
];

const NOT_FOUND: &[&str] = &[
    "was not found",
    "Unable to locate package",
    "has no installation candidate",
    "Unable to find a match",
    "No match for argument",
    "No provider of",
    "No matching packages",
    "package not found or not installed",
];

const UNMET: &[&str] = &[
    "; however:",
    "Depends:",
    "nothing provides",
    "unmet dependencies",
    "held broken packages",
    "Depsolve Error",
    "dependency problems",
    "Requires:",
];

/// Patterns of an unreachable repository, the specific ones before the general ones.
const UNREACHABLE: &[(&str, UnreachableCause)] = &[
    ("Could not resolve", UnreachableCause::Name),
    ("Couldn't resolve host", UnreachableCause::Name),
    ("Temporary failure resolving", UnreachableCause::Name),
    ("ertificate verif", UnreachableCause::Certificate),
    ("SSL certificate problem", UnreachableCause::Certificate),
    ("SSL peer certificate", UnreachableCause::Certificate),
    ("Could not connect to", UnreachableCause::Connection),
    ("Couldn't connect to server", UnreachableCause::Connection),
    ("Failed to connect to", UnreachableCause::Connection),
    ("Unable to connect to", UnreachableCause::Connection),
    ("Connection timed out", UnreachableCause::Connection),
    ("Connection failed", UnreachableCause::Connection),
    ("Timeout was reached", UnreachableCause::Connection),
    ("Curl error", UnreachableCause::Unknown),
    ("Failed to fetch", UnreachableCause::Unknown),
    ("does not have a Release file", UnreachableCause::Unknown),
    ("Failed to download metadata", UnreachableCause::Unknown),
    ("Failed to synchronize cache", UnreachableCause::Unknown),
    ("Valid metadata not found", UnreachableCause::Unknown),
    ("Cannot retrieve repository metadata", UnreachableCause::Unknown),
];

fn unreachable<'a>(lines: &[&'a str]) -> Option<(UnreachableCause, &'a str)> {
    if let Some(found) = lines.iter().find_map(|line| Some((refusal(line)?, *line))) {
        return Some(found);
    }
    let status = lines.iter().find_map(|line| Some((status(line)?, *line)));
    if let Some((status, line)) = status {
        return Some((
            if status == 407 { UnreachableCause::Proxy(status) } else { UnreachableCause::Status(status) },
            line,
        ));
    }
    UNREACHABLE
        .iter()
        .find_map(|(words, cause)| lines.iter().find(|line| line.contains(words)).map(|line| (*cause, *line)))
}

/// The HTTP status with which a proxy refused a tunnel.
fn refusal(line: &str) -> Option<UnreachableCause> {
    let after = |marker: &str| line.split_once(marker).map(|(_, rest)| rest);
    let rest = after("Invalid response from proxy: HTTP/1.0 ")
        .or_else(|| after("Invalid response from proxy: HTTP/1.1 "))
        .or_else(|| after("CONNECT tunnel failed, response "))
        .or_else(|| after("Received HTTP code ").filter(|rest| rest.contains("from proxy")))?;
    leading_status(rest).map(UnreachableCause::Proxy)
}

/// The HTTP status of a repository, in the format of each package manager.
fn status(line: &str) -> Option<u16> {
    let markers =
        ["Status code: ", "The requested URL returned error: ", "HTTP Error ", "HTTP response: ", "Error: "];
    let marked = markers
        .into_iter()
        .find_map(|marker| line.split_once(marker).and_then(|(_, rest)| leading_status(rest)));
    // apt prints the status at the start of a line, or after a URL and two blanks.
    let plain = || leading_status(line).filter(|_| line.get(3..5) == Some("  "));
    let fetched = || {
        line.split_once("Failed to fetch ")
            .and_then(|(_, rest)| rest.split_once("  "))
            .and_then(|(_, rest)| leading_status(rest))
    };
    marked.or_else(plain).or_else(fetched)
}

/// Three digits of an error status at the start of a text.
fn leading_status(text: &str) -> Option<u16> {
    let digits = text.get(..3).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    if text.get(3..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric())) {
        return None;
    }
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

/// Whether a line contains the package with a version.
fn names_version(line: &str) -> bool {
    let versioned = |separator: &str| {
        line.split_once(&format!("{}{separator}", super::PACKAGE))
            .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit() || c == '='))
    };
    line.contains("Version '") || ["-", "=", "<", ">"].into_iter().any(versioned)
}

/// The line that most likely shows the failure, where no pattern matches.
fn last_meaningful(output: &str) -> &str {
    const BEGINNINGS: [&str; 6] = ["dpkg: error", "E: ", "Error: ", "error: ", "Error(", "Problem: "];
    // Printed after every failure of dpkg, whose own line is more specific.
    const ECHOES: [&str; 2] = ["E: Sub-process", "Errors were encountered while processing"];
    let lines = || output.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let begins = |line: &&str, with: &[&str]| with.iter().any(|beginning| line.starts_with(beginning));
    lines()
        .filter(|line| !begins(line, &ECHOES))
        .find(|line| begins(line, &BEGINNINGS))
        .or_else(|| lines().next())
        .unwrap_or("no output")
}

/// A line, truncated for a message.
fn shown(line: &str) -> String {
    const LONGEST: usize = 300;
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
