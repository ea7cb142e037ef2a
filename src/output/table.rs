//! The rows of `doctor` and `precheck`, as text and as JSON.

use std::time::Duration;

use serde_json::Value;

use super::terminal::{self, Mark, Style};
use crate::formats::json::object;
use crate::model::check::{worst, CheckResult, CheckState, Probe};
use crate::model::step::RenderedStep;

/// A row as JSON.
pub fn to_json(result: &CheckResult) -> Value {
    let (state, evidence, cause) = match &result.state {
        CheckState::Holds(evidence) => ("holds", Some(evidence), None),
        CheckState::Fails(fault) => ("fails", Some(&fault.evidence), None),
        CheckState::Skipped(cause) => ("skipped", None, Some(cause)),
        CheckState::NotChecked(reason) => ("skipped", Some(reason), None),
    };
    let kind = result.fault().map(|fault| fault.kind);
    let causes = |kind: &'static [crate::model::fault::Cause]| -> Vec<&str> {
        kind.iter().map(|cause| cause.text).collect()
    };
    let remedy: Option<Vec<String>> = kind.map(|_| result.steps.iter().map(RenderedStep::line).collect());
    let mut row = object! {
        "condition": result.condition.name(), "number": result.condition.number(), "state": state,
        "evidence": evidence, "cause": cause, "elapsed_ms": millis(result.elapsed),
        "fault": kind.map(|kind| kind.code), "means": kind.map(|kind| kind.summary),
        "causes": kind.map(|kind| causes(kind.causes)), "exit_code": kind.map(|kind| kind.exit_code()),
        "remedy": remedy,
    };
    if let (Some(check), Value::Object(members)) = (result.check, &mut row) {
        members.insert("check".to_owned(), check.into());
    }
    row
}

/// A row as text.
pub fn to_text(result: &CheckResult, style: Style) -> String {
    let name = result.name();
    match &result.state {
        CheckState::Holds(evidence) => terminal::line(&style, Mark::Good, name, evidence),
        CheckState::Fails(fault) => terminal::diagnosis(&style, name, fault, &result.steps),
        CheckState::Skipped(cause) => {
            let reason = format!("not looked at: {cause} does not hold");
            terminal::line(&style, Mark::Skipped, name, &reason)
        }
        CheckState::NotChecked(reason) => terminal::line(&style, Mark::Skipped, name, reason),
    }
}

/// A network test as JSON.
pub fn probe_to_json(probe: &Probe) -> Value {
    object! {
        "test": probe.test, "target": probe.target, "verdict": probe.state.name(), "detail": probe.detail,
        "elapsed_ms": millis(probe.elapsed),
    }
}

/// The last lines of the text output. `failed` is the headline for a fault that needs manual action, `good` the sentence
/// where all checks pass.
pub fn verdict(results: &[CheckResult], style: Style, failed: &str, good: &str) -> String {
    match worst(results) {
        Some(fault) => {
            let headline = terminal::headline(&style, fault, failed);
            format!("{headline}  More: arc-enroll explain {}\n", fault.code())
        }
        None => format!("\n{good}\n"),
    }
}

/// A duration in milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
