//! The exit codes that are not a condition's (DESIGN.md, section 2); those of conditions are in their entries.

/// Every condition holds.
pub const OK: u8 = 0;

/// A fault in this program itself.
pub const INTERNAL: u8 = 1;

/// A command line or configuration that cannot be used.
pub const USAGE: u8 = 2;

/// This host cannot be enrolled at all.
pub const UNSUITABLE: u8 = 3;

/// A run ended although waiting longer can help (EX_TEMPFAIL of sysexits.h).
pub const NOT_YET: u8 = 75;
