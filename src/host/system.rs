//! Facts about the machine, from the kernel.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{statvfs, FsFlags};

/// Whether this process is root in its user namespace.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The hostname, where it is set.
pub fn hostname() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok().filter(|name| !name.is_empty())
}

/// The current directory.
pub fn current_directory() -> Option<PathBuf> {
    std::fs::read_link("/proc/self/cwd").ok()
}

/// The path of this program; also correct after the file was replaced.
pub fn own_program() -> Option<PathBuf> {
    let path = std::fs::read_link("/proc/self/exe").ok()?;
    let replaced = path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map(PathBuf::from);
    Some(replaced.unwrap_or(path))
}

/// Free bytes on the file system of a path or of its nearest existing parent; with `for_root`, including the blocks
/// that are reserved for root.
pub fn free_bytes(path: &Path, for_root: bool) -> Option<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let facts = statvfs(existing).ok()?;
    let blocks = if for_root { facts.blocks_free() } else { facts.blocks_available() };
    Some(blocks as u64 * facts.fragment_size() as u64)
}

/// The error that a write would cause where the file system of a path, or of its nearest existing parent, is mounted
/// read-only.
pub fn read_only_error(path: &Path) -> Option<std::io::Error> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let facts = statvfs(existing).ok()?;
    facts.flags().contains(FsFlags::ST_RDONLY).then(|| nix::errno::Errno::EROFS.into())
}
