//! One run at a time: a file lock that the kernel releases when its holder ends.

use std::io::Write;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use super::files::{FileError, Files};

/// Path of the lock, below `--root`.
const PATH: &str = "/run/arc-enroll/lock";

/// Why the lock could not be acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds it.
    #[error("another run (process {holder}) holds {}", path.display())]
    Held {
        /// Path of the lock file.
        path: PathBuf,
        /// Process id of the holder, or "unknown".
        holder: String,
    },
    /// The lock file cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The lock; released when this value is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its effect")] Flock<std::fs::File>);

impl Lock {
    /// Acquires the lock without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's process id, or [`LockError::File`].
    pub fn acquire(files: &Files) -> Result<Self, LockError> {
        files.make_dir("/run/arc-enroll")?;
        let file = files.open_to_append(PATH)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                let _only_informative =
                    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
                Ok(Self(lock))
            }
            Err(_) => {
                let holder = holder(files).unwrap_or_else(|| "unknown".to_owned());
                Err(LockError::Held { path: files.path(PATH), holder })
            }
        }
    }
}

/// The process id in the lock file: the last holder.
pub fn holder(files: &Files) -> Option<String> {
    let text = files.read(PATH).ok().flatten()?;
    let number: u32 = text.trim().parse().ok()?;
    Some(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_holder_of_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().to_owned());
        let first = Lock::acquire(&files).unwrap();
        match Lock::acquire(&files) {
            Err(LockError::Held { holder, .. }) => assert_eq!(holder, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::acquire(&files).unwrap();
    }
}
