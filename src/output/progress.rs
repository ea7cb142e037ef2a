//! The progress of a run on the terminal: one line per condition, and a live status while it waits.

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

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMode {
    /// Not shown, because the log lines are on standard output.
    Silent,
    /// Line by line.
    Lines,
    /// On a terminal, with a status line that is rewritten in place.
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
    /// Progress in this mode and style.
    pub fn new(mode: ProgressMode, style: Style, mask: SharedMask) -> Self {
        Self { mode, style, mask, shown: Cell::new(None), waiting_for: Cell::new(None) }
    }

    /// Prints a text, redacted.
    pub fn print(&self, text: &str) {
        if self.mode != ProgressMode::Silent {
            output::print(&self.mask.apply(text));
        }
    }

    /// Shows that a condition holds.
    pub fn holds(&self, condition: Condition, evidence: &str) {
        // A condition that is observed again on the way to a later one is not printed twice.
        if self.shown.get().is_none_or(|last| condition > last) {
            self.shown.set(Some(condition));
            self.print(&terminal::line(&self.style, terminal::Mark::Good, condition.name(), evidence));
        }
        self.waiting_for.set(None);
    }

    /// Shows a fault that ends the run.
    pub fn fails(&self, fault: &Fault) {
        self.print(&terminal::line(
            &self.style,
            terminal::Mark::Bad,
            fault.kind.condition.name(),
            fault.kind.summary,
        ));
    }

    /// Shows that a repair begins.
    pub fn repairing(&self, fault: &Fault, action: &str) {
        self.waiting_for.set(None);
        let text = format!("{action} …");
        self.print(&terminal::line(&self.style, terminal::Mark::Busy, fault.kind.condition.name(), &text));
    }

    /// Shows that a repair did not remove its fault.
    pub fn without_effect(&self, condition: Condition, done: &Repaired) {
        let after = done.after.as_deref().unwrap_or_default();
        let evidence = if after == done.before {
            format!("still {after}")
        } else {
            format!("before: {}; now: {after}", done.before)
        };
        let text = format!("{} has not helped; {evidence}", done.repair);
        self.print(&terminal::line(&self.style, terminal::Mark::Busy, condition.name(), &text));
    }

    /// Runs a future; on a terminal shows the elapsed time.
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

    /// Waits before the next observation; on a terminal shows a countdown.
    pub async fn wait(&self, fault: &Fault, wait: &Wait) {
        if wait.is_logged {
            let tenths = (wait.delay.as_millis() + 50) / 100;
            info!(
                event = "wait.started",
                fault = fault.code(),
                delay_ms = wait.delay.as_millis(),
                waited_s = wait.waited.as_secs(),
                remaining_s = wait.left.as_secs(),
                "looking again in {}.{} s",
                tenths / 10,
                tenths % 10
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
            self.print(&terminal::line(
                &self.style,
                terminal::Mark::Busy,
                fault.kind.condition.name(),
                &text,
            ));
        }
        match self.mode {
            ProgressMode::Live => count_down(wait).await,
            ProgressMode::Lines | ProgressMode::Silent => tokio::time::sleep(wait.delay).await,
        }
    }
}

/// One wait of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Delay until the next observation.
    pub delay: Duration,
    /// Time that the condition has been failing.
    pub waited: Duration,
    /// Time until the window of the condition ends.
    pub left: Duration,
    /// Whether the wait is logged; repeated waits are logged less often.
    pub is_logged: bool,
}

/// Interval at which the live status is rewritten.
const TICK: Duration = Duration::from_secs(1);

/// Moves to the beginning of the line and clears it.
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
