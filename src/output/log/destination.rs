//! Detects whether standard output already goes to the log file.
#![expect(
    clippy::disallowed_methods,
    reason = "reads this process's descriptors in /proc, which is not below --root"
)]

use std::fs;
use std::io::IsTerminal;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The destination of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The log file, directly or through a process that writes to it, such as cloud-init's `tee`.
    LogFile,
    /// A terminal.
    Terminal,
    /// Another destination: a pipe, a file, the journal.
    Elsewhere,
}

/// Detects the destination of standard output; `log_file` is a real path.
pub fn detect_destination(log_file: &Path) -> Destination {
    if leads_to(log_file) || is_child_of_cloud_init() {
        return Destination::LogFile;
    }
    if std::io::stdout().is_terminal() {
        Destination::Terminal
    } else {
        Destination::Elsewhere
    }
}

/// Device and inode, which identify a file or a pipe.
type FileId = (u64, u64);

fn leads_to(log_file: &Path) -> bool {
    let Ok(stdout) = fs::metadata("/proc/self/fd/1") else { return false };
    let Ok(log) = fs::metadata(log_file) else { return false };
    let log: FileId = (log.dev(), log.ino());
    let stdout_id: FileId = (stdout.dev(), stdout.ino());
    stdout_id == log || (stdout.file_type().is_fifo() && has_relay(stdout_id, log))
}

/// Whether another process has our pipe open for reading and the log file for writing.
fn has_relay(pipe: FileId, log: FileId) -> bool {
    let own = std::process::id().to_string();
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let name = process.file_name();
        let name = name.to_string_lossy();
        if name == own.as_str() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        let (mut reads, mut writes) = (false, false);
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { return false };
        for descriptor in descriptors.flatten() {
            let Ok(facts) = fs::metadata(descriptor.path()) else { continue };
            let id = (facts.dev(), facts.ino());
            if id == pipe || id == log {
                // The permissions of the link show how the descriptor was opened: r for reading, w for writing.
                let mode =
                    fs::symlink_metadata(descriptor.path()).map(|link| link.mode()).unwrap_or_default();
                reads |= id == pipe && mode & 0o400 != 0;
                writes |= id == log && mode & 0o200 != 0;
            }
        }
        reads && writes
    })
}

/// Whether cloud-init is an ancestor of this process; its configuration sends output to the log file.
fn is_child_of_cloud_init() -> bool {
    let mut pid = std::process::id();
    // The limit prevents an endless loop where a process id is reused.
    for _ in 0..32 {
        let Some(parent) = parent_of(pid) else { return false };
        if parent <= 1 {
            return false;
        }
        let command = fs::read(format!("/proc/{parent}/cmdline")).unwrap_or_default();
        let named = |word: &[u8]| word.rsplit(|byte| *byte == b'/').next() == Some(b"cloud-init".as_slice());
        // The interpreter may come first: "/usr/bin/python3 /usr/bin/cloud-init modules --mode=final".
        if command.split(|byte| *byte == 0).take(2).any(named) {
            return true;
        }
        pid = parent;
    }
    false
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
