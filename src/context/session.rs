//! What a run holds, and gives back when it ends.

use super::{Context, Facts};
use crate::catalogue;
use crate::host::lock::{Lock, LockError};
use crate::host::{memory_file, system};
use crate::model::fault::Fault;

/// Whether the next `azcmagent connect` is to say more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectDetail {
    /// None has failed yet.
    #[default]
    NotNeeded,
    /// One has failed: the next one is verbose, so that the log has the details.
    Wanted,
    /// The log has them.
    Logged,
}

/// What one run holds.
#[derive(Debug, Default)]
pub struct Session {
    /// What its conditions have learned.
    pub facts: Facts,
    /// The state of `azcmagent connect`.
    pub connect_detail: ConnectDetail,
    lock: Option<Lock>,
}

impl Session {
    /// Makes sure that this run may make changes: it is root, and no other run holds the lock. Observing needs neither.
    ///
    /// # Errors
    /// `host.not-root`, `host.busy`, or why the lock's file cannot be opened.
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
                // What a killed run has left in memory goes before anything else.
                memory_file::remove_stale(&context.host.files);
                Ok(())
            }
            Err(error @ LockError::Held { .. }) => Err(catalogue::HOST_BUSY.with_evidence(error.to_string())),
            Err(LockError::File(error)) => Err(super::not_writable(&error)),
        }
    }
}
