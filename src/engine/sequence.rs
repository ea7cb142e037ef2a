//! Establishes conditions in sequence, within the deadline.

use std::future::Future;
use std::time::{Duration, Instant};

use tracing::{info, info_span, warn, Instrument, Span};

use super::{RepairLog, RetryBudget};
use crate::conditions::{self, Observation};
use crate::context::{Context, Session};
use crate::host::tasks::Task;
use crate::model::backoff::should_log;
use crate::model::check::Evidence;
use crate::model::condition::Condition;
use crate::model::fault::Fault;
use crate::output::progress::{Progress, Wait};
use crate::repairs::{self, Repair};

/// Work that can run during a wait because it has no effect visible to the VM's users. Its failure is not a fault: the
/// condition that it prepares is observed later anyway.
pub type Preparation<'a> = Task<'a, ()>;

/// One run of the engine.
pub struct Run<'a> {
    context: &'a Context,
    progress: &'a Progress,
    /// The resources and facts of the run.
    pub session: Session,
    /// The repairs, and whether they helped.
    pub repairs: RepairLog,
    budget: RetryBudget,
    preparations: Vec<Preparation<'a>>,
    /// Whether prerequisites are skipped, because the goal was observed to hold.
    skips_prerequisites: bool,
    /// The last condition that held.
    reached: Option<Condition>,
    /// An observation made ahead of its turn; a repair invalidates it.
    ahead: Option<(Condition, Observation)>,
}

/// The next step of the loop.
enum Next {
    RecheckFrom(Condition),
    Stop(Fault),
}

impl<'a> Run<'a> {
    /// A run within the deadline of its context.
    pub fn new(context: &'a Context, progress: &'a Progress) -> Self {
        Self {
            context,
            progress,
            session: Session::default(),
            repairs: RepairLog::default(),
            budget: RetryBudget::new(context.deadline),
            preparations: Vec::new(),
            skips_prerequisites: false,
            reached: None,
            ahead: None,
        }
    }

    /// Adds work to do during waits.
    pub fn prepare(&mut self, preparation: Preparation<'a>) {
        self.preparations.push(preparation);
    }

    /// Observes a condition ahead of its turn. If it holds, its prerequisites are skipped from now on.
    pub async fn observe_ahead(&mut self, condition: Condition) {
        let mut observation = self.observe_now(condition).await;
        self.session.facts.learn(std::mem::take(&mut observation.learned));
        if observation.outcome.is_ok() {
            self.skips_prerequisites = true;
            self.ahead = Some((condition, observation));
        }
    }

    /// Establishes these conditions in order, starting after the last one that already holds. Returns the evidence of the
    /// last one.
    ///
    /// # Errors
    /// The fault at which the run stops: manual action is required, or its retry window is over.
    pub async fn converge(&mut self, conditions: &[Condition]) -> Result<Evidence, Fault> {
        let mut last = Evidence::new();
        let mut index = conditions.iter().filter(|condition| Some(**condition) <= self.reached).count();
        while let Some(&condition) = conditions.get(index) {
            if self.skips_prerequisites && condition.entry().is_prerequisite {
                index += 1;
                continue;
            }
            let next = match self.observe(condition).await {
                Ok(evidence) => {
                    last = evidence;
                    self.reached = self.reached.max(Some(condition));
                    index += 1;
                    continue;
                }
                Err(fault) => self.resolve(fault).await,
            };
            match next {
                Next::RecheckFrom(earlier) => {
                    self.skips_prerequisites &= !earlier.entry().is_prerequisite;
                    index = conditions.iter().position(|condition| *condition >= earlier).unwrap_or(0);
                }
                Next::Stop(fault) => {
                    self.progress.fails(&fault);
                    return Err(fault);
                }
            }
        }
        Ok(last)
    }

    /// Observes a condition in its turn, and reports that it holds.
    async fn observe(&mut self, condition: Condition) -> Result<Evidence, Fault> {
        self.session.claim(self.context)?;
        let observation = match self.ahead.take_if(|(ahead, _)| *ahead == condition) {
            Some((_, observation)) => observation,
            None => self.observe_now(condition).await,
        };
        self.session.facts.learn(observation.learned);
        let evidence = observation.outcome?;
        self.progress.holds(condition, &evidence);
        let _entered = condition_span(condition).entered();
        info!(event = "condition.holds", "{}: {evidence}", condition.name());
        self.repairs.holds(condition, &evidence);
        Ok(evidence)
    }

    /// Observes a condition, within a log span of its name.
    async fn observe_now(&self, condition: Condition) -> Observation {
        let observing = conditions::observe(condition, self.context, &self.session.facts);
        observing.instrument(condition_span(condition)).await
    }

    /// Repairs the fault if possible, otherwise waits while a retry can help.
    async fn resolve(&mut self, initial: Fault) -> Next {
        let mut fault = initial;
        let repair = condition_span(fault.kind.condition).in_scope(|| self.repairs.fails(&fault));
        if let Some(without_effect) = repair {
            self.progress.without_effect(fault.kind.condition, without_effect);
        }
        loop {
            self.log_fault(&fault);
            let Some(repair) = self.next_repair(&fault) else { break };
            match self.repair(&fault, repair).await {
                Ok(()) => return self.recheck(&fault),
                Err(other) if other.is(fault.kind) => break,
                Err(other) => fault = other,
            }
        }
        self.wait(fault).await
    }

    /// Where the loop continues after a fault; a token that the fault invalidates is dropped.
    fn recheck(&mut self, fault: &Fault) -> Next {
        self.session.facts.invalidate_token_for(fault.kind);
        Next::RecheckFrom(fault.kind.recheck_from)
    }

    /// Logs the first occurrence of a fault and every changed one; repeats at powers of two.
    fn log_fault(&mut self, fault: &Fault) {
        let repeat = self.budget.count(fault);
        if !should_log(repeat) {
            return;
        }
        let left = self.budget.left(fault, self.window(fault));
        let _entered = condition_span(fault.kind.condition).entered();
        warn!(
            event = "condition.fails",
            fault = fault.code(),
            evidence = %fault.evidence,
            repeat,
            remaining_s = left.as_secs(),
            "{fault}"
        );
    }

    fn window(&self, fault: &Fault) -> Duration {
        self.context.settings.wait.window(fault.kind.condition.entry().window)
    }

    /// The fault's repair, if it is allowed and within its bound.
    fn next_repair(&self, fault: &Fault) -> Option<&'static Repair> {
        let repair = repairs::find(fault.kind.repair?);
        let is_allowed = (repair.is_allowed)(&self.context.settings);
        (is_allowed && repair.is_within_bound(&self.session.facts)).then_some(repair)
    }

    async fn repair(&mut self, fault: &Fault, repair: &Repair) -> Result<(), Fault> {
        self.progress.repairing(fault, repair.action);
        self.ahead = None;
        let running = execute_repair(self.context, &mut self.session, fault, repair);
        self.progress.during(running).instrument(condition_span(fault.kind.condition)).await?;
        self.session.facts.repaired.push(repair.id);
        self.repairs.begin(repair.action, fault);
        Ok(())
    }

    /// Waits before the next observation and runs preparations meanwhile; stops if the window is over or a retry cannot
    /// help.
    async fn wait(&mut self, fault: Fault) -> Next {
        let window = self.window(&fault);
        let Some(delay) = self.budget.delay(&fault, window) else { return Next::Stop(fault) };
        let wait = Wait {
            delay,
            waited: self.budget.waited(&fault),
            left: self.budget.left(&fault, window),
            is_logged: should_log(self.budget.repeat(&fault)),
        };
        let waiting = self.progress.wait(&fault, &wait).instrument(condition_span(fault.kind.condition));
        wait_and_prepare(waiting, &mut self.preparations).await;
        self.recheck(&fault)
    }
}

/// Waits, and polls the preparations meanwhile; completed ones are removed.
async fn wait_and_prepare(waiting: impl Future<Output = ()>, preparations: &mut Vec<Preparation<'_>>) {
    tokio::pin!(waiting);
    std::future::poll_fn(|context| {
        preparations.retain_mut(|work| work.as_mut().poll(context).is_pending());
        waiting.as_mut().poll(context)
    })
    .await;
}

fn condition_span(condition: Condition) -> Span {
    info_span!("condition", condition = condition.name())
}

async fn execute_repair(
    context: &Context,
    session: &mut Session,
    fault: &Fault,
    repair: &Repair,
) -> Result<(), Fault> {
    let started = Instant::now();
    let action = repair.action;
    info!(event = "repair.started", fault = fault.code(), action, "{action}");
    let result = (repair.run)(context, session).await;
    let elapsed_ms = started.elapsed().as_millis();
    let outcome = if result.is_ok() { "done" } else { "failed" };
    let detail = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    info!(event = "repair.finished", fault = fault.code(), action, outcome, elapsed_ms, detail = %detail, "{action}: {outcome}");
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparations_run_during_a_wait_and_are_removed_when_complete() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let ends: Preparation<'_> = Box::pin(async { sender.send(()).unwrap() });
            let never_ends: Preparation<'_> = Box::pin(std::future::pending());
            let mut preparations = vec![ends, never_ends];
            // The wait ends only when the first preparation has run.
            wait_and_prepare(async { receiver.await.unwrap() }, &mut preparations).await;
            assert_eq!(preparations.len(), 1);
        });
    }
}
