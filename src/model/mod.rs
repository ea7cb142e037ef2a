//! What the program is about, as plain values: no I/O, and no module outside this folder.

pub mod backoff;
pub mod condition;
pub mod exit_code;
pub mod fault;
pub mod json;
pub mod pairs;
pub mod percent;
pub mod secret;
pub mod shell;
pub mod url;
