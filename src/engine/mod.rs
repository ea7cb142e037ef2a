//! The loop: observe → (does not hold) → repair or wait → observe …
//!
//! [`Run`] makes conditions hold in sequence, for `enroll`; [`examine`] observes them at the same time, for `doctor` and
//! `status`. Both know conditions only as entries of a list.

mod examination;
mod repair_log;
mod retry_budget;
mod sequence;

pub use examination::{examine, Examination};
pub use repair_log::RepairLog;
pub use retry_budget::RetryBudget;
pub use sequence::{Preparation, Run};
