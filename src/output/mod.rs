//! Everything that is shown or written down: terminal, JSON log, record.

pub mod log;
pub mod progress;
pub mod record;
pub mod table;
pub mod terminal;
