//! What stands in the way: a [`FaultKind`] is an entry of the catalogue, a [`Fault`] is one met on this VM, with what
//! was seen and the values that its steps need.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::backoff::Backoff;
use super::condition::Condition;
use super::exit_code;
use super::repair::RepairId;
use super::step::{RenderedStep, Step};
use super::var::{Var, Words};

/// Who or what can help, which decides the exit code; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// The command line or the configuration has to be changed (exit code 2).
    Configuration,
    /// This machine is not suitable (exit code 3).
    Unsuitable,
    /// Only a person can help (the exit code of the condition).
    Manual,
    /// Waiting longer can help (exit code 75).
    Retry,
}

/// A likely cause of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// In a sentence.
    pub text: &'static str,
    /// The condition that rules the cause out where it holds.
    pub ruled_out_by: Option<Condition>,
}

/// A cause that nothing rules out.
pub const fn cause(text: &'static str) -> Cause {
    Cause { text, ruled_out_by: None }
}

impl Cause {
    /// The same cause, ruled out where this condition holds.
    pub const fn unless(self, condition: Condition) -> Self {
        Self { text: self.text, ruled_out_by: Some(condition) }
    }
}

/// One kind of fault. Two of them are the same when they are the same entry of the catalogue.
#[derive(Debug)]
pub struct FaultKind {
    /// Stable code, `subject.cause`.
    pub code: &'static str,
    /// The condition that does not hold.
    pub condition: Condition,
    /// Who or what can help.
    pub resolution: Resolution,
    /// What is wrong, in a sentence.
    pub summary: &'static str,
    /// Likely causes, the likeliest first.
    pub causes: &'static [Cause],
    /// What the agent does about it, in words.
    pub automatic: &'static str,
    /// What it repairs first.
    pub repair: Option<RepairId>,
    /// How it waits when the repair is used up or there is none; without it the run ends at once.
    pub backoff: Option<Backoff>,
    /// The condition that is observed again first; an earlier one where its result is void too.
    pub recheck_from: Condition,
    /// The shortest window that makes sense, whatever the settings say.
    pub least_window: Duration,
    /// The longest window that makes sense: what is not there by then does not come.
    pub most_window: Duration,
    /// Whether it only says that something could not be judged.
    pub is_inconclusive: bool,
    /// What a person does, in order.
    pub steps: &'static [Step],
    /// The section of the guide, or the documentation page, that this comes from.
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

    /// A fault of this kind with what was seen.
    pub fn with_evidence(&'static self, evidence: impl Into<String>) -> Fault {
        self.met(evidence.into())
    }

    fn met(&'static self, evidence: String) -> Fault {
        Fault(Box::new(FaultDetails {
            kind: self,
            evidence,
            args: Vec::new(),
            omitted: Vec::new(),
            retry_after: None,
        }))
    }

    /// What a person does, with these values.
    pub fn remediation(&self, values: &dyn Fn(Var) -> Option<Words>) -> Vec<RenderedStep> {
        self.steps.iter().map(|step| step.render(values)).collect()
    }
}

/// A fault that was met. In a box, for it is returned through every level of the program.
#[derive(Clone, Debug)]
pub struct Fault(Box<FaultDetails>);

/// What there is to know of a fault that was met.
#[derive(Clone, Debug)]
pub struct FaultDetails {
    /// Its kind.
    pub kind: &'static FaultKind,
    /// What was seen, without secrets.
    pub evidence: String,
    /// The values of variables that this fault brings; they go before those of the run.
    pub args: Vec<(Var, Words)>,
    /// Steps of the kind that do not apply to this case.
    pub omitted: Vec<Step>,
    /// How long the other side asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// The same fault with the other side's Retry-After.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
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

    /// The same case as another kind, keeping the values of its steps.
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

    /// What a person does: with the fault's own values, then with these.
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
