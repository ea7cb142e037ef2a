//! The loop: observe → (does not hold) → repair or wait → observe …
//!
//! Everything that a condition, a repair or azcmagent reports is a fault of the catalogue; the catalogue says
//! what to do next, and [`RetryBudget`] bounds it.

mod effect;
mod retry_budget;

pub use effect::Effects;
pub use retry_budget::RetryBudget;

use tracing::{info, info_span, warn, Instrument, Span};

use crate::conditions::{Evidence, Vm};
use crate::model::condition::Condition;
use crate::model::fault::{Fault, Repair};
use crate::output::progress::{Progress, Wait};
use crate::timer;

/// How a run ended.
#[derive(Debug)]
pub enum Verdict {
    /// Every condition holds.
    Enrolled(Evidence),
    /// One does not, and the run stopped there.
    Stopped(Fault),
    /// Another run is at work, and this one was to run only if none was.
    Yielded(Fault),
}

/// Makes every condition hold, in order, within the deadline.
pub async fn converge(vm: &Vm, progress: &Progress, effects: &Effects) -> Verdict {
    let mut budget = RetryBudget::new(vm.deadline);
    // What was seen of the goal before the way to it: where it is reached already, the way need not be walked.
    let mut ahead = None;
    let mut index = 0;
    while let Some(&condition) = Condition::ALL.get(index) {
        if ahead.is_some() && condition.is_only_the_way() {
            index += 1;
            continue;
        }
        // It still stands as long as nothing was repaired since.
        let seen = ahead.take_if(|_| condition == Condition::Connected && !budget.has_repaired_any());
        match observe(vm, condition, seen).await {
            Ok(evidence) => {
                progress.holds(condition, &evidence);
                span(condition).in_scope(|| effects.holds(condition, &evidence));
                if condition == Condition::Host {
                    timer::keep(vm, progress).await;
                }
                if condition == Condition::Connected {
                    return Verdict::Enrolled(evidence);
                }
                if condition == Condition::ProxyEnvironment {
                    ahead = look_ahead(vm).await;
                }
                index += 1;
            }
            Err(fault) => match overcome(vm, fault, &mut budget, progress, effects).await {
                Next::LookAgainFrom(earlier) => index = usize::from(earlier.number() - 1),
                Next::Stop(fault) => {
                    progress.fails(&fault);
                    return Verdict::Stopped(fault);
                }
            },
        }
    }
    Verdict::Enrolled(String::new())
}

/// Where the loop goes on.
enum Next {
    LookAgainFrom(Condition),
    Stop(Fault),
}

/// What is seen of the goal, if it is reached already.
async fn look_ahead(vm: &Vm) -> Option<Evidence> {
    look(vm, Condition::Connected).await.ok()
}

async fn observe(vm: &Vm, condition: Condition, seen: Option<Evidence>) -> Result<Evidence, Fault> {
    let evidence = match seen {
        Some(evidence) => evidence,
        None => look(vm, condition).await?,
    };
    let _entered = span(condition).entered();
    info!(event = "condition.holds", "{}: {evidence}", condition.name());
    Ok(evidence)
}

/// Observes a condition, under whose name everything is logged that happens meanwhile.
async fn look(vm: &Vm, condition: Condition) -> Result<Evidence, Fault> {
    vm.observe(condition).instrument(span(condition)).await
}

fn span(condition: Condition) -> Span {
    info_span!("condition", condition = condition.name())
}

/// Repairs what can be repaired, else waits as long as waiting can help.
async fn overcome(
    vm: &Vm,
    met: Fault,
    budget: &mut RetryBudget,
    progress: &Progress,
    effects: &Effects,
) -> Next {
    let mut fault = met;
    span(fault.kind.condition).in_scope(|| effects.fails(&fault, progress));
    loop {
        let span = span(fault.kind.condition);
        tell(&fault, budget, vm, &span);
        let Some(repair) = fault.kind.repair.filter(|repair| vm.may(*repair) && budget.may_repair(*repair))
        else {
            break;
        };
        progress.repairing(&fault, repair);
        match progress.during(run_repair(vm, &fault, repair)).instrument(span).await {
            Ok(()) => {
                budget.repaired(repair);
                effects.begin(repair, &fault);
                return Next::LookAgainFrom(fault.kind.recheck_from);
            }
            Err(other) if other.code() == fault.code() => break,
            Err(other) => fault = other,
        }
    }
    let span = span(fault.kind.condition);
    let window = fault.kind.condition.window(&vm.settings);
    match budget.delay(&fault, window) {
        Some(delay) => {
            let wait = Wait {
                delay,
                waited: budget.waited(&fault),
                left: budget.left(&fault, window),
                is_told: crate::model::backoff::should_log(budget.repeat(&fault)),
            };
            progress.wait(&fault, &wait).instrument(span).await;
            Next::LookAgainFrom(fault.kind.recheck_from)
        }
        None => Next::Stop(fault),
    }
}

/// The first failure and every changed one is logged; repeats are thinned.
fn tell(fault: &Fault, budget: &mut RetryBudget, vm: &Vm, span: &Span) {
    let repeat = budget.count(fault);
    if crate::model::backoff::should_log(repeat) {
        let _entered = span.enter();
        let left = budget.left(fault, fault.kind.condition.window(&vm.settings));
        warn!(
            event = "condition.fails",
            fault = fault.code(),
            evidence = %fault.evidence,
            repeat,
            remaining_s = left.as_secs(),
            "{fault}"
        );
    }
}

async fn run_repair(vm: &Vm, fault: &Fault, repair: Repair) -> Result<(), Fault> {
    let started = std::time::Instant::now();
    let action = repair.describe();
    info!(event = "repair.started", fault = fault.code(), action, "{action}");
    let result = vm.repair(repair).await;
    let elapsed_ms = started.elapsed().as_millis();
    let outcome = if result.is_ok() { "done" } else { "failed" };
    let detail = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    info!(event = "repair.finished", fault = fault.code(), action, outcome, elapsed_ms, detail = %detail, "{action}: {outcome}");
    result
}
