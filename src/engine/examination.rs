//! Observes conditions concurrently, each as soon as its prerequisites are known.

use std::time::{Duration, Instant};

use crate::conditions::{self, Observation};
use crate::context::{value, Context, Facts};
use crate::host::tasks::{next_finished, Task};
use crate::model::check::{CheckResult, CheckState, Probe};
use crate::model::condition::Condition;

/// The results of all observations.
#[derive(Debug, Default)]
pub struct Examination {
    /// A row for each condition, in the order of the list.
    pub results: Vec<CheckResult>,
    /// The collected facts.
    pub facts: Facts,
    /// The network probes of the observations.
    pub probes: Vec<Probe>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
}

/// An observation of a condition, and how long it took.
type Observed = (Condition, Observation, Duration);

/// Observes these conditions concurrently, without changing anything.
pub fn examine<'a>(context: &'a Context, conditions: &'a [Condition]) -> Task<'a, Examination> {
    Box::pin(examine_all(context, conditions))
}

async fn examine_all(context: &Context, conditions: &[Condition]) -> Examination {
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
            Readiness::Blocked(cause) => {
                insert(results, row(*condition, CheckState::Skipped(cause.name()), Duration::ZERO));
                false
            }
        });
        match next_finished(&mut running).await {
            Some((condition, observation, elapsed)) => examination.add(condition, observation, elapsed),
            // A skipped condition may have been a prerequisite of one that still waits.
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
    /// Its prerequisites hold.
    Ready,
    /// This prerequisite does not hold.
    Blocked(Condition),
    /// A prerequisite is still being observed.
    Unknown,
}

/// Prerequisites that are not among the observed conditions are assumed to hold.
fn readiness(condition: Condition, conditions: &[Condition], results: &[CheckResult]) -> Readiness {
    for needed in condition.entry().needs.iter().filter(|needed| conditions.contains(needed)) {
        match results.iter().find(|result| result.condition == *needed).map(CheckResult::holds) {
            Some(true) => {}
            Some(false) => return Readiness::Blocked(*needed),
            None => return Readiness::Unknown,
        }
    }
    Readiness::Ready
}

fn row(condition: Condition, state: CheckState, elapsed: Duration) -> CheckResult {
    CheckResult { check: None, condition, state, steps: Vec::new(), elapsed }
}

/// Adds a row in the order of the conditions.
fn insert(results: &mut Vec<CheckResult>, result: CheckResult) {
    let at = results.partition_point(|other| other.condition < result.condition);
    results.insert(at, result);
}

impl Examination {
    fn add(&mut self, condition: Condition, observation: Observation, elapsed: Duration) {
        let state = match observation.outcome {
            Ok(evidence) => CheckState::Holds(evidence),
            Err(fault) => CheckState::Fails(fault),
        };
        insert(&mut self.results, row(condition, state, elapsed));
        self.facts.learn(observation.learned);
        self.probes.extend(observation.probes);
        self.not_checked.extend(observation.not_checked);
    }

    /// Renders the remediation with all collected facts.
    fn finish(mut self, context: &Context) -> Self {
        for result in &mut self.results {
            if let CheckState::Fails(fault) = &result.state {
                result.steps = fault.remediation(&|var| value(context, &self.facts, var));
            }
        }
        self
    }
}
