//! The control loop: observe → (does not hold) → repair or wait → observe …
//!
//! [`Run`] establishes conditions in sequence, for `enroll`; [`examine`] observes them concurrently, for `doctor` and
//! `status`. Neither names a particular condition.

mod examination;
mod repair_log;
mod retry_budget;
mod sequence;

pub use examination::{examine, Examination};
pub use repair_log::RepairLog;
pub use retry_budget::RetryBudget;
pub use sequence::{Preparation, Run};
