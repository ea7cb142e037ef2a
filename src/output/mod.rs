//! Output of the program: terminal, JSON log, record.

pub mod log;
pub mod progress;
pub mod record;
pub mod table;
pub mod terminal;
