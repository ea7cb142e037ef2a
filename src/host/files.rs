//! Files below `--root`: bounded reads, and atomic, durable writes.
#![expect(clippy::disallowed_methods, reason = "this module is the I/O boundary that the ban points to")]

use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tracing::info;

/// Largest file that is read, in bytes: every file this program reads is a few KiB, except its own binary.
const LARGEST: u64 = 64 << 20;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// The failed operation: "read", "write", …
    pub action: &'static str,
    /// The path, including the root.
    pub path: PathBuf,
    /// Error of the operating system.
    #[source]
    pub source: std::io::Error,
}

/// The permissions of a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// 0644, or the mode of the file that is replaced.
    Everyone,
    /// 0600, or the mode of the file that is replaced without its permissions for others.
    Owner,
    /// 0755, or the mode of the file that is replaced.
    Program,
}

/// Files below a root directory.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Files below `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Whether the root is `/`.
    pub fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }

    /// An absolute path below the root; `..` does not leave the root.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let mut path = self.root.clone();
        for component in inside.as_ref().components() {
            match component {
                Component::Normal(name) => path.push(name),
                Component::ParentDir => {
                    if path != self.root {
                        path.pop();
                    }
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        path
    }

    /// The text of a file; `None` where it does not exist. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than 64 MiB.
    pub fn read(&self, inside: impl AsRef<Path>) -> Result<Option<String>, FileError> {
        Ok(self.read_bytes(inside)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Time since boot, in whole seconds (proc_uptime(5)).
    pub fn uptime(&self) -> Option<Duration> {
        let text = self.read("/proc/uptime").ok().flatten()?;
        text.split('.').next()?.parse().ok().map(Duration::from_secs)
    }

    /// The bytes of a file; `None` where it does not exist.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn read_bytes(&self, inside: impl AsRef<Path>) -> Result<Option<Vec<u8>>, FileError> {
        read_path(&self.path(inside))
    }

    /// The SHA-256 of a file of any size, in hexadecimal digits; `None` where it does not exist.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sha256(&self, inside: impl AsRef<Path>) -> Result<Option<String>, FileError> {
        let path = self.path(inside);
        match fs::File::open(&path).and_then(digest) {
            Ok(digest) => Ok(Some(digest)),
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FileError { action: "read", path, source }),
        }
    }

    /// Whether a path exists.
    pub fn exists(&self, inside: impl AsRef<Path>) -> bool {
        self.path(inside).exists()
    }

    /// The modification time of a file.
    pub fn modified(&self, inside: impl AsRef<Path>) -> Option<std::time::SystemTime> {
        fs::metadata(self.path(inside)).and_then(|facts| facts.modified()).ok()
    }

    /// Whether every user on the machine may read a file.
    pub fn is_world_readable(&self, inside: impl AsRef<Path>) -> bool {
        fs::metadata(self.path(inside)).is_ok_and(|facts| facts.mode() & 0o004 != 0)
    }

    /// Whether a directory exists.
    pub fn is_dir(&self, inside: impl AsRef<Path>) -> bool {
        self.path(inside).is_dir()
    }

    /// The names in a directory, sorted; empty where it cannot be read.
    pub fn names(&self, inside: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(inside)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The names of the regular files in a directory with this suffix, newest first; links are skipped.
    ///
    /// # Errors
    /// The directory does not exist or cannot be read.
    pub fn regular_files(&self, inside: impl AsRef<Path>, suffix: &str) -> Result<Vec<String>, FileError> {
        let path = self.path(inside);
        let entries = fs::read_dir(&path).map_err(|source| FileError { action: "read", path, source })?;
        let mut found = Vec::new();
        for entry in entries.flatten() {
            // This does not follow links, which may point anywhere.
            let Ok(facts) = entry.metadata() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            if facts.is_file() && name.ends_with(suffix) {
                // The time is part of the text, so that no second sort function is compiled into the binary.
                found.push(format!("{:020}{name}", i64::MAX.saturating_sub(facts.mtime())));
            }
        }
        found.sort();
        found.iter_mut().for_each(|line| drop(line.drain(..20)));
        Ok(found)
    }

    /// Replaces a file atomically and durably: after a power cut it has the old or the new content.
    ///
    /// Owner and mode of an existing file are kept; a link is followed and stays a link.
    ///
    /// # Errors
    /// The file cannot be written; the old content is unchanged.
    pub fn write(
        &self,
        inside: impl AsRef<Path>,
        content: &[u8],
        readable: Readable,
    ) -> Result<(), FileError> {
        let path = self.path(inside);
        let path = fs::canonicalize(&path).unwrap_or(path);
        info!(event = "file.started", path = %path.display(), bytes = content.len(), "writing {}", path.display());
        let started = Instant::now();
        let written = replace(&path, content, readable);
        let elapsed_ms = started.elapsed().as_millis();
        let outcome = if written.is_ok() { "written" } else { "failed" };
        info!(event = "file.finished", path = %path.display(), outcome, elapsed_ms, "{outcome} {}", path.display());
        written
    }

    /// Removes a file; a file that does not exist is not an error.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, inside: impl AsRef<Path>) -> Result<(), FileError> {
        let path = self.path(inside);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(FileError { action: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    /// Creates a directory and its parents.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn make_dir(&self, inside: impl AsRef<Path>) -> Result<PathBuf, FileError> {
        let path = self.path(inside);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(FileError { action: "create", path, source }),
        }
    }

    /// Opens a file for appending; its mode and owner are kept, a new file has mode 0640.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open_to_append(&self, inside: impl AsRef<Path>) -> Result<fs::File, FileError> {
        let path = self.path(inside);
        let opened = fs::OpenOptions::new().append(true).create(true).mode(0o640).open(&path);
        opened.map_err(|source| FileError { action: "append to", path, source })
    }
}

fn digest(mut file: fs::File) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(hexadecimal(digest));
        }
        digest.update(piece.get(..length).unwrap_or_default());
    }
}

/// The SHA-256 of these bytes, in lowercase hexadecimal digits.
pub fn digest_of(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new().chain_update(bytes))
}

fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a file outside the root by its real path (`--config`, `--include`, `/proc`).
///
/// # Errors
/// As [`Files::read`].
pub fn read_path(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let failed = |source| FileError { action: "read", path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(failed(ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(bytes))
}

/// The end of a file.
#[derive(Debug)]
pub struct End {
    /// The last bytes of the file.
    pub bytes: Vec<u8>,
    /// Whether the file has more bytes before them.
    pub is_cut: bool,
}

/// Reads the last `most` bytes of a regular file by its real path; `None` where it does not exist.
///
/// # Errors
/// The file cannot be read, or is not a regular file.
pub fn read_end(path: &Path, most: u64) -> Result<Option<End>, FileError> {
    let failed = |source| FileError { action: "read", path: path.to_owned(), source };
    // Opening a pipe without a writer would block.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut file = match fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(failed(std::io::Error::other("it is not a regular file")));
    }
    let is_cut = facts.len() > most;
    if is_cut {
        file.seek(SeekFrom::Start(facts.len() - most)).map_err(failed)?;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(End { bytes, is_cut }))
}

/// Writes a file of mode 0600 by its real path, atomically. A link is not followed and anything but a regular file is
/// not replaced, because the directory may be writable by every user.
///
/// # Errors
/// The file cannot be written; the old content is unchanged.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError { action: "write", path: path.to_owned(), source };
    if fs::symlink_metadata(path).is_ok_and(|facts| !facts.is_file()) {
        return Err(failed(std::io::Error::other("something that is not a regular file exists there")));
    }
    rename_into_place(path, None, content, Readable::Owner).map_err(failed)
}

/// Writes and syncs a temporary file beside the target, renames it and syncs the directory.
fn replace(path: &Path, content: &[u8], readable: Readable) -> Result<(), FileError> {
    let failed = |source| FileError { action: "write", path: path.to_owned(), source };
    fs::create_dir_all(folder_of(path)).map_err(failed)?;
    rename_into_place(path, Some(path), content, readable).map_err(failed)
}

/// The directory of a file; of a bare name the current directory.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn rename_into_place(
    path: &Path,
    replaced: Option<&Path>,
    content: &[u8],
    readable: Readable,
) -> std::io::Result<()> {
    let parent = folder_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A fixed name, so that the next run overwrites what a power cut left.
    let temporary = parent.join(format!(".{name}.arc-enroll-new"));
    let result = write_temporary(&temporary, replaced, content, readable)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| fs::File::open(parent)?.sync_all());
    result.inspect_err(|_| {
        let _gone = fs::remove_file(&temporary);
    })
}

fn write_temporary(
    temporary: &Path,
    replaced: Option<&Path>,
    content: &[u8],
    readable: Readable,
) -> std::io::Result<()> {
    let _stale = fs::remove_file(temporary);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(content)?;
    let mode = match replaced.and_then(|path| fs::metadata(path).ok()) {
        Some(old) => {
            let new = file.metadata()?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            let kept = old.mode() & 0o7777;
            if readable == Readable::Owner {
                kept & !0o007
            } else {
                kept
            }
        }
        None => match readable {
            Readable::Everyone => 0o644,
            Readable::Owner => 0o600,
            Readable::Program => 0o755,
        },
    };
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().to_owned());
        (dir, files)
    }

    #[test]
    fn paths_stay_below_the_root() {
        let files = Files::new(PathBuf::from("/r"));
        assert_eq!(files.path("/etc/x"), Path::new("/r/etc/x"));
        assert_eq!(files.path("/../../etc/./x"), Path::new("/r/etc/x"));
    }

    #[test]
    fn a_write_keeps_mode_and_leaves_no_temporary() {
        let (dir, files) = scratch();
        files.write("/etc/a", b"one", Readable::Everyone).unwrap();
        fs::set_permissions(dir.path().join("etc/a"), fs::Permissions::from_mode(0o664)).unwrap();
        files.write("/etc/a", b"two", Readable::Everyone).unwrap();
        assert_eq!(files.read("/etc/a").unwrap().as_deref(), Some("two"));
        let mode = fs::metadata(dir.path().join("etc/a")).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o664);
        files.write("/etc/a", b"three", Readable::Owner).unwrap();
        let mode = fs::metadata(dir.path().join("etc/a")).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o660);
        assert_eq!(files.names("/etc"), ["a"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let (dir, files) = scratch();
        files.write("/real/env", b"1", Readable::Everyone).unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("../real/env", dir.path().join("etc/env")).unwrap();
        files.write("/etc/env", b"2", Readable::Everyone).unwrap();
        assert!(fs::symlink_metadata(dir.path().join("etc/env")).unwrap().is_symlink());
        assert_eq!(files.read("/real/env").unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn a_stale_temporary_file_is_overwritten() {
        let (dir, files) = scratch();
        fs::write(dir.path().join(".a.arc-enroll-new"), b"half").unwrap();
        files.write("/a", b"whole", Readable::Owner).unwrap();
        assert_eq!(files.names("/"), ["a"]);
        assert_eq!(files.read("/a").unwrap().as_deref(), Some("whole"));
    }

    #[test]
    fn read_end_reads_regular_files_only() {
        let (dir, files) = scratch();
        files.write("/log", b"one\ntwo\n", Readable::Everyone).unwrap();
        let end = |most| read_end(&dir.path().join("log"), most).unwrap().unwrap();
        assert_eq!((end(4).bytes.as_slice(), end(4).is_cut), (&b"two\n"[..], true));
        assert_eq!((end(8).bytes.as_slice(), end(8).is_cut), (&b"one\ntwo\n"[..], false));
        assert!(read_end(dir.path(), 8).is_err());
        assert!(read_end(&dir.path().join("none"), 8).unwrap().is_none());
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_end(&dir.path().join("pipe"), 8).is_err());
        std::os::unix::fs::symlink("log", dir.path().join("link")).unwrap();
        assert_eq!(files.regular_files("/", "").unwrap(), ["log"]);
        assert!(files.regular_files("/", ".x").unwrap().is_empty());
        assert!(files.regular_files("/none", "").is_err());
    }

    #[test]
    fn a_private_file_follows_no_link_and_replaces_no_device() {
        let (dir, files) = scratch();
        files.write("/victim", b"theirs", Readable::Everyone).unwrap();
        let (link, mine) = (dir.path().join("link"), dir.path().join("mine"));
        std::os::unix::fs::symlink("victim", &link).unwrap();
        assert!(write_private(&link, b"x").is_err());
        assert_eq!(files.read("/victim").unwrap().as_deref(), Some("theirs"));
        fs::write(&mine, b"old").unwrap();
        fs::set_permissions(&mine, fs::Permissions::from_mode(0o666)).unwrap();
        write_private(&mine, b"new").unwrap();
        assert_eq!(fs::metadata(&mine).unwrap().mode() & 0o777, 0o600);
        assert!(write_private(&dir.path().join("no/such/folder"), b"x").is_err());
        assert_eq!(files.names("/"), ["link", "mine", "victim"]);
    }

    #[test]
    fn a_missing_file_reads_as_none_and_can_be_removed() {
        let (_dir, files) = scratch();
        assert!(files.read("/nothing").unwrap().is_none());
        files.remove("/nothing").unwrap();
        assert!(files.names("/nothing").is_empty());
    }
}
