//! A private file on tmpfs, for a secret that another program must read.
#![expect(clippy::disallowed_methods, reason = "files that hold a secret are opened here only")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::sys::statfs::{statfs, TMPFS_MAGIC};
use tracing::info;

use super::files::{FileError, Files};
use crate::model::secret::Secret;

/// Paths of the existing files, so that a panic, which aborts without dropping values, can remove them.
static ACTIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Directories that are on tmpfs under systemd, in order of preference.
const DIRECTORIES: [&str; 2] = ["/run/arc-enroll", "/dev/shm"];

/// Prefix of every file name, by which stale files are recognized.
const PREFIX: &str = "arc-enroll-";

/// A file of mode 0600 on tmpfs, removed when this value is dropped.
#[derive(Debug)]
pub struct MemoryFile {
    path: PathBuf,
}

impl MemoryFile {
    /// Writes the secret to a new file below the root, or outside it where the root has no tmpfs.
    ///
    /// # Errors
    /// No directory is on tmpfs, or the file cannot be written.
    pub fn create(files: &Files, name: &str, content: &Secret) -> Result<Self, FileError> {
        let directory = directory(files)?;
        let path = directory.join(format!("{PREFIX}{}-{name}", std::process::id()));
        let failed = |source| FileError { action: "write", path: path.clone(), source };
        let _stale = fs::remove_file(&path);
        ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        let file = Self { path: path.clone() };
        let mut open =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        open.write_all(content.reveal().as_bytes()).map_err(failed)?;
        info!(event = "secret-file.written", path = %path.display(), "a private file in memory for azcmagent");
        Ok(file)
    }

    /// The real path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
        info!(event = "secret-file.removed", path = %self.path.display(), "the private file is removed");
        ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.path);
    }
}

/// Removes all existing files; for the panic handler.
pub fn remove_all() {
    // `try_lock`, because the panic may have happened while the list was locked.
    if let Ok(paths) = ACTIVE.try_lock() {
        for path in paths.iter() {
            let _gone = fs::remove_file(path);
        }
    }
}

/// Removes files of a killed run. The caller must hold the lock.
pub fn remove_stale(files: &Files) {
    let own = format!("{PREFIX}{}-", std::process::id());
    for directory in DIRECTORIES {
        for name in files.names(directory) {
            if name.starts_with(PREFIX) && !name.starts_with(&own) {
                let _gone = files.remove(Path::new(directory).join(name));
            }
        }
    }
}

fn directory(files: &Files) -> Result<PathBuf, FileError> {
    let below_root = DIRECTORIES.iter().map(|inside| files.path(inside));
    let candidates: Vec<PathBuf> = below_root.chain(DIRECTORIES.iter().map(PathBuf::from)).collect();
    for candidate in &candidates {
        if candidate.ends_with("arc-enroll") {
            let _exists = fs::DirBuilder::new().recursive(true).mode(0o700).create(candidate);
        }
        if statfs(candidate).is_ok_and(|facts| facts.filesystem_type() == TMPFS_MAGIC) {
            return Ok(candidate.clone());
        }
    }
    let path = candidates.into_iter().next().unwrap_or_default();
    let source =
        std::io::Error::other("no directory is on a tmpfs, and the token must not be written to a disk");
    Err(FileError { action: "keep a secret in", path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_file_is_private_on_tmpfs_and_removed_on_drop() {
        let files = Files::new(PathBuf::from("/"));
        let file = MemoryFile::create(&files, "test.json", &Secret::new("{}")).unwrap();
        let path = file.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(statfs(&path).unwrap().filesystem_type(), TMPFS_MAGIC);
        drop(file);
        assert!(!path.exists());
    }
}
