//! Conditions observed at the same time, each as soon as what it needs is known.

use std::time::{Duration, Instant};

use crate::conditions::{self, Observation};
use crate::context::{value, Context, Facts};
use crate::host::tasks::{next_finished, Task};
use crate::model::check::{CheckResult, CheckState, Probe};
use crate::model::condition::Condition;

/// Everything that was observed.
#[derive(Debug, Default)]
pub struct Examination {
    /// A row for each condition, in their order.
    pub results: Vec<CheckResult>,
    /// What the conditions have learned.
    pub facts: Facts,
    /// The tests of the network that were made for them.
    pub probes: Vec<Probe>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
}

/// A condition that was observed, and how long that took.
type Observed = (Condition, Observation, Duration);

/// Observes these conditions, in the time of the slowest; changes nothing.
pub async fn examine(context: &Context, conditions: &[Condition]) -> Examination {
    let mut examination = Examination::default();
    let mut waiting = conditions.to_vec();
    let mut running: Vec<Task<'_, Observed>> = Vec::new();
    loop {
        let results = &mut examination.results;
        let facts = &examination.facts;
        waiting.retain(|condition| match readiness(*condition, conditions, results) {
            Readiness::Unknown => true,
            Readiness::Ready => {
                running.push(Box::pin(observe(context, facts.clone(), *condition)));
                false
            }
            Readiness::Pointless(cause) => {
                results.push(row(*condition, CheckState::Skipped(cause.name()), Duration::ZERO));
                false
            }
        });
        match next_finished(&mut running).await {
            Some((condition, observation, elapsed)) => examination.add(condition, observation, elapsed),
            // A condition that was skipped may have been needed by one that still waits.
            None if waiting.is_empty() => break,
            None => {}
        }
    }
    examination.finish(context)
}

async fn observe(context: &Context, facts: Facts, condition: Condition) -> Observed {
    let started = Instant::now();
    let observation = conditions::observe(condition, context, &facts).await;
    (condition, observation, started.elapsed())
}

/// Whether a condition can be observed.
enum Readiness {
    /// All that it needs holds.
    Ready,
    /// This does not hold.
    Pointless(Condition),
    /// Something that it needs is still being observed.
    Unknown,
}

/// What is not among the conditions that are observed is taken to hold.
fn readiness(condition: Condition, conditions: &[Condition], results: &[CheckResult]) -> Readiness {
    for needed in condition.entry().needs.iter().filter(|needed| conditions.contains(needed)) {
        match results.iter().find(|result| result.condition == *needed).map(CheckResult::holds) {
            Some(true) => {}
            Some(false) => return Readiness::Pointless(*needed),
            None => return Readiness::Unknown,
        }
    }
    Readiness::Ready
}

fn row(condition: Condition, state: CheckState, elapsed: Duration) -> CheckResult {
    CheckResult { check: None, condition, state, steps: Vec::new(), elapsed }
}

impl Examination {
    fn add(&mut self, condition: Condition, observation: Observation, elapsed: Duration) {
        let state = match observation.outcome {
            Ok(evidence) => CheckState::Holds(evidence),
            Err(fault) => CheckState::Fails(fault),
        };
        self.results.push(row(condition, state, elapsed));
        self.facts.learn(observation.learned);
        self.probes.extend(observation.probes);
        self.not_checked.extend(observation.not_checked);
    }

    /// Puts the rows in order, and gives each the steps with all that was learned.
    fn finish(mut self, context: &Context) -> Self {
        self.results.sort_by_key(|result| result.condition);
        for result in &mut self.results {
            if let CheckState::Fails(fault) = &result.state {
                result.steps = fault.remediation(&|var| value(context, &self.facts, var));
            }
        }
        self
    }
}
