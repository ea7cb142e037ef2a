//! Facts about the machine that the kernel knows.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{statvfs, FsFlags};

/// Whether this process is root, in whatever user namespace it runs.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The hostname, if it is set.
pub fn hostname() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok().filter(|name| !name.is_empty())
}

/// The directory in which this program was started.
pub fn own_directory() -> Option<PathBuf> {
    std::fs::read_link("/proc/self/cwd").ok()
}

/// Where this program is; one that was replaced while it runs is where its successor is.
pub fn own_program() -> Option<PathBuf> {
    let path = std::fs::read_link("/proc/self/exe").ok()?;
    let replaced = path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map(PathBuf::from);
    Some(replaced.unwrap_or(path))
}

/// Free bytes on the file system of a path or of its nearest existing parent: for everybody, or with what is
/// kept back for root.
pub fn free_bytes(path: &Path, for_root: bool) -> Option<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let facts = statvfs(existing).ok()?;
    let blocks = if for_root { facts.blocks_free() } else { facts.blocks_available() };
    Some(blocks as u64 * facts.fragment_size() as u64)
}

/// What writing would fail with where the file system of a path, or of its nearest existing parent, is mounted
/// read-only.
pub fn refusal_to_write(path: &Path) -> Option<std::io::Error> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let facts = statvfs(existing).ok()?;
    facts.flags().contains(FsFlags::ST_RDONLY).then(|| nix::errno::Errno::EROFS.into())
}
