//! One run at a time: a lock that the kernel releases whatever happens to its holder.

use std::io::Write;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use super::files::{FileError, Files};

/// Where the lock is, below `--root`.
const PATH: &str = "/run/arc-enroll/lock";

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it.
    #[error("another run (process {holder}) holds {}", path.display())]
    Held {
        /// The file that is locked.
        path: PathBuf,
        /// Process id as the holder wrote it.
        holder: String,
    },
    /// The lock file itself is out of reach.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The lock, held as long as this value lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its effect")] Flock<std::fs::File>);

impl Lock {
    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's process id, or why the file is out of reach.
    pub fn take(files: &Files) -> Result<Self, LockError> {
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

/// The process that took the lock last, by the number that it wrote down.
pub fn holder(files: &Files) -> Option<String> {
    let text = files.read(PATH).ok().flatten()?;
    let number: u32 = text.trim().parse().ok()?;
    Some(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().to_owned());
        let first = Lock::take(&files).unwrap();
        match Lock::take(&files) {
            Err(LockError::Held { holder, .. }) => assert_eq!(holder, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::take(&files).unwrap();
    }
}
