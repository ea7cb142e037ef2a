//! What came of looking: a row of the table that `doctor` and `precheck` show, and the exit code of them all.

use std::time::Duration;

use serde_json::Value;

use crate::catalogue;
use crate::conditions::Vm;
use crate::model::condition::Condition;
use crate::model::fault::Fault;
use crate::model::json::object;
use crate::output::terminal::{self, Mark, Style};

/// What came of one look.
pub struct Finding {
    /// The row's own name, where a condition has several; otherwise the condition's is shown.
    pub check: Option<&'static str>,
    /// The condition that it is about.
    pub condition: Condition,
    /// What was found.
    pub state: State,
    /// What a person does, filled in, where it is not the catalogue's with the VM's values alone.
    pub steps: Option<Vec<String>>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How it stands with what was looked at.
pub enum State {
    /// It is as it has to be; what was seen.
    Holds(String),
    /// It is not.
    Fails(Fault),
    /// It was not looked at because what this names does not hold.
    Skipped(&'static str),
    /// It was not looked at and need not be now; why.
    Open(String),
}

impl Finding {
    /// Whether it is as it has to be.
    pub fn holds(&self) -> bool {
        matches!(self.state, State::Holds(_))
    }

    /// What stands in the way.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.state {
            State::Fails(fault) => Some(fault),
            State::Holds(_) | State::Skipped(_) | State::Open(_) => None,
        }
    }

    fn name(&self) -> &'static str {
        self.check.unwrap_or_else(|| self.condition.name())
    }

    fn steps(&self, vm: &Vm, fault: &Fault) -> Vec<String> {
        self.steps.clone().unwrap_or_else(|| fault.kind.steps(|step| vm.fill(step)))
    }

    /// The row for programs.
    pub fn to_json(&self, vm: &Vm) -> Value {
        let (state, evidence, cause) = match &self.state {
            State::Holds(evidence) => ("holds", Some(evidence), None),
            State::Fails(fault) => ("fails", Some(&fault.evidence), None),
            State::Skipped(cause) => ("skipped", None, Some(cause)),
            State::Open(why) => ("skipped", Some(why), None),
        };
        let fault = self.fault();
        let entry = fault.map(|fault| fault.kind);
        let mut row = object! {
            "condition": self.condition.name(), "number": self.condition.number(), "state": state,
            "evidence": evidence, "cause": cause, "elapsed_ms": millis(self.elapsed),
            "fault": entry.map(|entry| entry.code), "means": entry.map(|entry| entry.summary),
            "causes": entry.map(|entry| entry.causes), "exit_code": entry.map(|entry| entry.exit_code()),
            "remedy": fault.map(|fault| crate::model::fault::unmarked(self.steps(vm, fault))),
        };
        if let (Some(check), Value::Object(members)) = (self.check, &mut row) {
            members.insert("check".to_owned(), check.into());
        }
        row
    }

    /// The row for people.
    pub fn to_text(&self, vm: &Vm, style: Style) -> String {
        match &self.state {
            State::Holds(evidence) => terminal::line(&style, Mark::Good, self.name(), evidence),
            State::Fails(fault) => terminal::diagnosis(&style, self.name(), fault, &self.steps(vm, fault)),
            State::Skipped(cause) => {
                let why = format!("not looked at: {cause} does not hold");
                terminal::line(&style, Mark::Skipped, self.name(), &why)
            }
            State::Open(why) => terminal::line(&style, Mark::Skipped, self.name(), why),
        }
    }
}

/// What only a person can mend is worse than what may pass; among equals the first, for the others may be its echo.
/// What could not be judged counts where nothing else is wrong.
pub fn worst(findings: &[Finding]) -> Option<&Fault> {
    let rank = |fault: &&Fault| {
        let is_blind =
            [&catalogue::HOST_AZ_REFUSED, &catalogue::HOST_AZ_FAILED].iter().any(|e| e.code == fault.code());
        (is_blind, fault.kind.resolution)
    };
    findings.iter().filter_map(Finding::fault).min_by_key(rank)
}

/// The exit code of what was found.
pub fn exit_code(findings: &[Finding]) -> u8 {
    worst(findings).map_or(0, |fault| fault.kind.exit_code())
}

/// The last lines for people.
pub fn verdict(findings: &[Finding], style: Style, failed: &str, good: &str) -> String {
    match worst(findings) {
        Some(fault) => {
            format!(
                "{}  More: arc-enroll explain {}\n",
                terminal::headline(&style, fault, failed),
                fault.code()
            )
        }
        None => format!("\n{good}\n"),
    }
}

/// A time in milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
