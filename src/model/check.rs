//! Results of checks: the rows of the tables that `doctor`, `status` and `precheck` show, and network probes.

use std::time::Duration;

use super::condition::Condition;
use super::fault::Fault;
use super::step::RenderedStep;

/// What was observed of a condition that holds, as text without secrets.
pub type Evidence = String;

/// The result of one check.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The name of the row where a condition has several rows; otherwise the condition's name is shown.
    pub check: Option<&'static str>,
    /// The condition that the check belongs to.
    pub condition: Condition,
    /// The outcome.
    pub state: CheckState,
    /// The remediation of the fault; empty without a fault.
    pub steps: Vec<RenderedStep>,
    /// How long the check took.
    pub elapsed: Duration,
}

/// The outcome of a check.
#[derive(Clone, Debug)]
pub enum CheckState {
    /// Passed, with the evidence.
    Holds(Evidence),
    /// Failed.
    Fails(Fault),
    /// Not checked because the named condition does not hold.
    Skipped(&'static str),
    /// Not checked for another reason, which is not a fault.
    NotChecked(String),
}

impl CheckResult {
    /// Whether the check passed.
    pub fn holds(&self) -> bool {
        matches!(self.state, CheckState::Holds(_))
    }

    /// The fault, if the check failed.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.state {
            CheckState::Fails(fault) => Some(fault),
            CheckState::Holds(_) | CheckState::Skipped(_) | CheckState::NotChecked(_) => None,
        }
    }

    /// The row's name.
    pub fn name(&self) -> &'static str {
        self.check.unwrap_or_else(|| self.condition.name())
    }
}

/// The worst fault of all rows: manual faults rank above retryable ones, and the first of equal faults wins, since later
/// ones may follow from it. Inconclusive faults count only if there is no other.
pub fn worst(results: &[CheckResult]) -> Option<&Fault> {
    let faults = results.iter().filter_map(CheckResult::fault);
    faults.min_by_key(|fault| (fault.kind.is_inconclusive, fault.kind.resolution))
}

/// The exit code for these rows.
pub fn exit_code(results: &[CheckResult]) -> u8 {
    worst(results).map_or(super::exit_code::OK, |fault| fault.kind.exit_code())
}

/// The outcome of a network probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// Passed.
    Ok,
    /// Failed.
    Fails,
    /// For information; enrollment does not depend on it.
    Information,
    /// Not run because a prerequisite does not hold.
    Skipped,
}

impl ProbeState {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fails => "fails",
            Self::Information => "information",
            Self::Skipped => "skipped",
        }
    }
}

/// One network probe.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The name of the test.
    pub test: &'static str,
    /// The address, URL or name that was probed.
    pub target: String,
    /// The outcome.
    pub state: ProbeState,
    /// Details, without secrets.
    pub detail: String,
    /// How long the probe took.
    pub elapsed: Duration,
}
