//! Faults: a [`FaultKind`] is an entry of the catalogue; a [`Fault`] is an occurrence of one, with its evidence and the
//! values that its steps need.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::backoff::Backoff;
use super::condition::Condition;
use super::exit_code;
use super::repair::RepairId;
use super::step::{RenderedStep, Step};
use super::var::{Var, Words};

/// How a fault can be resolved, which decides the exit code. Ordered from the most to the least severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// The command line or the configuration has to be changed (exit code 2).
    Configuration,
    /// This machine is not suitable (exit code 3).
    Unsuitable,
    /// Manual action is required (the exit code of the condition).
    Manual,
    /// A later retry can succeed (exit code 75).
    Retry,
}

/// A likely cause of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A sentence.
    pub text: &'static str,
    /// The condition that rules this cause out when it holds.
    pub ruled_out_by: Option<Condition>,
}

/// A cause that no condition rules out.
pub const fn cause(text: &'static str) -> Cause {
    Cause { text, ruled_out_by: None }
}

impl Cause {
    /// The same cause, ruled out when this condition holds.
    pub const fn unless(self, condition: Condition) -> Self {
        Self { text: self.text, ruled_out_by: Some(condition) }
    }
}

/// One kind of fault. Two kinds are equal if they are the same entry of the catalogue.
#[derive(Debug)]
pub struct FaultKind {
    /// Stable code, `subject.cause`.
    pub code: &'static str,
    /// The condition that does not hold.
    pub condition: Condition,
    /// How it can be resolved.
    pub resolution: Resolution,
    /// What is wrong, as a sentence.
    pub summary: &'static str,
    /// Likely causes, the most likely first.
    pub causes: &'static [Cause],
    /// What arc-enroll does about it, as a sentence.
    pub automatic: &'static str,
    /// The repair, which runs before any wait.
    pub repair: Option<RepairId>,
    /// The backoff when no repair is left; without one the run ends at once.
    pub backoff: Option<Backoff>,
    /// The condition from which observation restarts; an earlier one if this fault invalidates its result.
    pub recheck_from: Condition,
    /// The lower bound of the retry window, regardless of the settings.
    pub least_window_s: u16,
    /// The upper bound of the retry window: retrying longer does not help.
    pub most_window_s: u16,
    /// Whether the fault only reports that a check was not possible.
    pub is_inconclusive: bool,
    /// The remediation, in order.
    pub steps: &'static [Step],
    /// The section of the guide, or the documentation page, that describes it.
    pub guide: &'static str,
}

impl PartialEq for FaultKind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for FaultKind {}

impl FaultKind {
    /// The exit code of a run that ends with this fault.
    pub fn exit_code(&self) -> u8 {
        match self.resolution {
            Resolution::Configuration => exit_code::USAGE,
            Resolution::Unsuitable => exit_code::UNSUITABLE,
            Resolution::Manual => self.condition.entry().exit_code,
            Resolution::Retry => exit_code::NOT_YET,
        }
    }

    /// A fault of this kind with its evidence, without secrets.
    pub fn with_evidence(&'static self, evidence: impl Into<String>) -> Fault {
        self.occurrence(evidence.into())
    }

    // Not generic, so that the compiler emits it once.
    fn occurrence(&'static self, evidence: String) -> Fault {
        Fault(Box::new(FaultDetails {
            kind: self,
            evidence,
            args: Vec::new(),
            omitted: Vec::new(),
            retry_after: None,
        }))
    }

    /// The remediation, rendered with these values.
    pub fn remediation(&self, values: &dyn Fn(Var) -> Option<Words>) -> Vec<RenderedStep> {
        self.steps.iter().map(|step| step.render(values)).collect()
    }
}

/// A fault that occurred. Boxed to keep `Result`s small, since it is returned through every level of the program.
#[derive(Clone, Debug)]
pub struct Fault(Box<FaultDetails>);

/// The details of a fault that occurred.
#[derive(Clone, Debug)]
pub struct FaultDetails {
    /// Its kind.
    pub kind: &'static FaultKind,
    /// What was observed, without secrets.
    pub evidence: String,
    /// Values of variables that this fault provides; they take precedence over those of the run.
    pub args: Vec<(Var, Words)>,
    /// Steps of the kind that do not apply to this case.
    pub omitted: Vec<Step>,
    /// The server's Retry-After.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// The same fault with the server's Retry-After.
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// The same fault with a value for its steps.
    pub fn with_arg(mut self, var: Var, value: Words) -> Self {
        self.0.args.push((var, value));
        self
    }

    /// The same fault without the steps that do not apply.
    pub fn without_steps(mut self, omitted: &[Step]) -> Self {
        self.0.omitted.extend_from_slice(omitted);
        self
    }

    /// The same occurrence as another kind, keeping the values of its steps.
    pub fn as_kind(mut self, kind: &'static FaultKind, evidence: String) -> Self {
        self.0.kind = kind;
        self.0.evidence = evidence;
        self
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: &'static FaultKind) -> bool {
        self.kind == kind
    }

    /// Its stable code.
    pub fn code(&self) -> &'static str {
        self.kind.code
    }

    /// The remediation, rendered with the fault's own values and otherwise with these.
    pub fn remediation(&self, values: &dyn Fn(Var) -> Option<Words>) -> Vec<RenderedStep> {
        let own = |var| self.args.iter().rfind(|(of, _)| *of == var).map(|(_, value)| value.clone());
        let steps = self.kind.steps.iter().filter(|step| !self.omitted.contains(step));
        steps.map(|step| step.render(&|var| own(var).or_else(|| values(var)))).collect()
    }
}

impl Deref for Fault {
    type Target = FaultDetails;

    fn deref(&self) -> &FaultDetails {
        &self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code, self.kind.summary)?;
        if !self.evidence.is_empty() {
            write!(f, " ({})", self.evidence)?;
        }
        Ok(())
    }
}
