//! What the program is about, as plain values: no I/O, and no module outside this folder.

pub mod backoff;
pub mod check;
pub mod condition;
pub mod egress_list;
pub mod exit_code;
pub mod fault;

pub mod json;
pub mod pairs;
pub mod percent;
pub mod repair;
pub mod secret;
pub mod shell;
pub mod step;
pub mod url;
pub mod var;
