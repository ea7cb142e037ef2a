//! The domain model as plain values, without I/O.

pub mod backoff;
pub mod check;
pub mod condition;
pub mod exit_code;
pub mod fault;
pub mod pairs;
pub mod repair;
pub mod secret;
pub mod step;
pub mod var;
