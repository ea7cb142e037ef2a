//! What came of looking at one thing: a row of the tables that `doctor`, `status` and `precheck` show, and a test of
//! the network.

use std::time::Duration;

use super::condition::Condition;
use super::fault::Fault;
use super::step::RenderedStep;

/// What was seen of a condition that holds, in words without secrets.
pub type Evidence = String;

/// What came of one check.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The row's own name, where a condition has several rows; otherwise the condition's is shown.
    pub check: Option<&'static str>,
    /// The condition that it is about.
    pub condition: Condition,
    /// What was found.
    pub state: CheckState,
    /// What a person does about the fault; nothing where there is none.
    pub steps: Vec<RenderedStep>,
    /// How long it took.
    pub elapsed: Duration,
}

/// The state of what was checked.
#[derive(Clone, Debug)]
pub enum CheckState {
    /// It is as it has to be; what was seen.
    Holds(Evidence),
    /// It is not.
    Fails(Fault),
    /// It was not checked because what this names does not hold.
    Skipped(&'static str),
    /// It was not checked for another reason, which is no fault.
    NotChecked(String),
}

impl CheckResult {
    /// Whether it is as it has to be.
    pub fn holds(&self) -> bool {
        matches!(self.state, CheckState::Holds(_))
    }

    /// What stands in the way.
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

/// The worst fault of all rows: what only a person can fix is worse than what may pass; among equals the first, since
/// the others may follow from it. What could not be judged counts where nothing else is wrong.
pub fn worst(results: &[CheckResult]) -> Option<&Fault> {
    let faults = results.iter().filter_map(CheckResult::fault);
    faults.min_by_key(|fault| (fault.kind.is_inconclusive, fault.kind.resolution))
}

/// The exit code of all rows.
pub fn exit_code(results: &[CheckResult]) -> u8 {
    worst(results).map_or(super::exit_code::OK, |fault| fault.kind.exit_code())
}

/// What a test of the network showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// It is as it has to be.
    Ok,
    /// It is not.
    Fails,
    /// Worth knowing; enrolling does not depend on it.
    Information,
    /// Pointless because of something else.
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

/// One test of the network.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What was tried.
    pub test: &'static str,
    /// On what.
    pub target: String,
    /// What it showed.
    pub state: ProbeState,
    /// In words, without secrets.
    pub detail: String,
    /// How long it took.
    pub elapsed: Duration,
}
