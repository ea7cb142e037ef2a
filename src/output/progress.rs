//! What a person sees while a run goes on: a line a condition, and a live state while it waits.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use tracing::info;

use crate::host::output;
use crate::host::SharedMask;
use crate::model::condition::Condition;
use crate::model::fault::Fault;
use crate::output::record::Repaired;
use crate::output::terminal::{self, Style};

/// How a run shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMode {
    /// Not at all: the log lines are on standard output.
    Silent,
    /// Line by line.
    Lines,
    /// On a terminal, with a state that is rewritten in place.
    Live,
}

/// The progress of one run.
pub struct Progress {
    mode: ProgressMode,
    style: Style,
    mask: SharedMask,
    shown: Cell<Option<Condition>>,
    waiting_for: Cell<Option<&'static str>>,
}

impl Progress {
    /// Progress in a mode; colour only where a terminal shows it.
    pub fn new(mode: ProgressMode, style: Style, mask: SharedMask) -> Self {
        Self { mode, style, mask, shown: Cell::new(None), waiting_for: Cell::new(None) }
    }

    /// Says something once.
    pub fn say(&self, text: &str) {
        if self.mode != ProgressMode::Silent {
            output::print(&self.mask.apply(text));
        }
    }

    /// A condition holds.
    pub fn holds(&self, condition: Condition, evidence: &str) {
        // A condition that is looked at again on the way to a later one is not worth a second line.
        if self.shown.get().is_none_or(|last| condition > last) {
            self.shown.set(Some(condition));
            self.say(&terminal::line(&self.style, terminal::Mark::Good, condition.name(), evidence));
        }
        self.waiting_for.set(None);
    }

    /// A condition fails for good.
    pub fn fails(&self, fault: &Fault) {
        self.say(&terminal::line(
            &self.style,
            terminal::Mark::Bad,
            fault.kind.condition.name(),
            fault.kind.summary,
        ));
    }

    /// A repair begins.
    pub fn repairing(&self, fault: &Fault, action: &str) {
        self.waiting_for.set(None);
        let text = format!("{action} …");
        self.say(&terminal::line(&self.style, terminal::Mark::Busy, fault.kind.condition.name(), &text));
    }

    /// A repair was made, and the fault is still there.
    pub fn without_effect(&self, condition: Condition, done: &Repaired) {
        let after = done.after.as_deref().unwrap_or_default();
        let seen = if after == done.before {
            format!("still {after}")
        } else {
            format!("before: {}; now: {after}", done.before)
        };
        let text = format!("{} has not helped; {seen}", done.repair);
        self.say(&terminal::line(&self.style, terminal::Mark::Busy, condition.name(), &text));
    }

    /// Shows how long something takes, where there is a terminal.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        if self.mode != ProgressMode::Live {
            return work.await;
        }
        let started = Instant::now();
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    output::print(CLEAR);
                    return done;
                }
                () = tokio::time::sleep(TICK) => {
                    output::print(&format!("{CLEAR}      for {} so far", terminal::duration(started.elapsed())));
                }
            }
        }
    }

    /// Waits before looking again: logged as the failure is, shown live where there is a terminal.
    pub async fn wait(&self, fault: &Fault, wait: &Wait) {
        if wait.is_logged {
            info!(
                event = "wait.started",
                fault = fault.code(),
                delay_ms = wait.delay.as_millis(),
                waited_s = wait.waited.as_secs(),
                remaining_s = wait.left.as_secs(),
                "looking again in {:.1} s",
                wait.delay.as_secs_f64()
            );
        }
        let is_news = self.waiting_for.replace(Some(fault.code())) != Some(fault.code());
        if is_news {
            let limit = match self.mode {
                ProgressMode::Live => String::new(),
                ProgressMode::Lines | ProgressMode::Silent => {
                    format!(" Waiting, at most {} more.", terminal::duration(wait.left))
                }
            };
            let text = format!("{}{limit}", fault.kind.summary);
            self.say(&terminal::line(&self.style, terminal::Mark::Busy, fault.kind.condition.name(), &text));
        }
        match self.mode {
            ProgressMode::Live => count_down(wait).await,
            ProgressMode::Lines | ProgressMode::Silent => tokio::time::sleep(wait.delay).await,
        }
    }
}

/// One wait of the loop.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Until the next look.
    pub delay: Duration,
    /// How long the condition has been failing.
    pub waited: Duration,
    /// How much longer it may fail.
    pub left: Duration,
    /// Whether the log says so: repeats are thinned there.
    pub is_logged: bool,
}

/// How often the live state is rewritten.
const TICK: Duration = Duration::from_secs(1);

/// Back to the beginning of the line, and the line empty.
const CLEAR: &str = "\r\x1b[K";

async fn count_down(wait: &Wait) {
    let started = Instant::now();
    loop {
        let passed = started.elapsed();
        let Some(rest) = wait.delay.checked_sub(passed).filter(|rest| !rest.is_zero()) else { break };
        output::print(&format!(
            "{CLEAR}      for {} so far; looking again in {}; giving up in {}",
            terminal::duration(wait.waited + passed),
            terminal::duration(rest),
            terminal::duration(wait.left.saturating_sub(passed))
        ));
        tokio::time::sleep(rest.min(TICK)).await;
    }
    output::print(CLEAR);
}
