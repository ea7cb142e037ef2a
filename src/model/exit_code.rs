//! The exit codes that do not belong to a condition; those of conditions are in [`super::condition`].

/// Every condition holds.
pub const OK: u8 = 0;

/// An internal error of this program.
pub const INTERNAL: u8 = 1;

/// An invalid command line or configuration.
pub const USAGE: u8 = 2;

/// This host cannot be enrolled.
pub const UNSUITABLE: u8 = 3;

/// The run ended at a retryable fault (EX_TEMPFAIL of sysexits.h).
pub const NOT_YET: u8 = 75;
