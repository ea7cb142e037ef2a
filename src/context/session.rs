//! The resources that a run holds until it ends.

use super::{Context, Facts};
use crate::catalogue;
use crate::host::lock::{Lock, LockError};
use crate::host::{memory_file, system};
use crate::model::fault::Fault;

/// Whether the next `azcmagent connect` runs verbosely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectDetail {
    /// No connect has failed yet.
    #[default]
    NotNeeded,
    /// A connect has failed: the next one is verbose, so that the log has the details.
    Wanted,
    /// The log has the details.
    Logged,
}

/// The mutable state of one run.
#[derive(Debug, Default)]
pub struct Session {
    /// The facts so far.
    pub facts: Facts,
    /// The verbosity of `azcmagent connect`.
    pub connect_detail: ConnectDetail,
    lock: Option<Lock>,
}

impl Session {
    /// Checks that this run is root, and takes the lock. Observing needs neither.
    ///
    /// # Errors
    /// `host.not-root`, `host.busy`, or why the lock file cannot be opened.
    pub fn claim(&mut self, context: &Context) -> Result<(), Fault> {
        if !context.makes_changes() || self.lock.is_some() {
            return Ok(());
        }
        if !system::is_root() {
            return Err(catalogue::HOST_NOT_ROOT.with_evidence("not running as root"));
        }
        match Lock::acquire(&context.host.files) {
            Ok(lock) => {
                self.lock = Some(lock);
                // Files with secrets that a killed run left in memory are removed first.
                memory_file::remove_stale(&context.host.files);
                Ok(())
            }
            Err(error @ LockError::Held { .. }) => Err(catalogue::HOST_BUSY.with_evidence(error.to_string())),
            Err(LockError::File(error)) => Err(super::not_writable(&error)),
        }
    }
}
