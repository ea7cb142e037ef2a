//! What a person sees while a run goes on: a line a condition, and a live state while it waits.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tracing::info;

use crate::conditions::Condition;
use crate::fault::{Fault, Repair};
use crate::host::output;
use crate::host::SharedMask;
use crate::report::{self, Style};

/// How a run shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all: the log lines are on standard output.
    Silent,
    /// Line by line.
    Lines,
    /// On a terminal, with a state that is rewritten in place.
    Live,
}

/// The progress of one run.
pub struct Progress {
    mode: Mode,
    style: Style,
    mask: SharedMask,
    shown: Cell<Option<Condition>>,
    waiting_for: Cell<Option<&'static str>>,
}

impl Progress {
    /// Progress in a mode; colour only where a terminal shows it.
    pub fn new(mode: Mode, style: Style, mask: SharedMask) -> Self {
        Self { mode, style, mask, shown: Cell::new(None), waiting_for: Cell::new(None) }
    }

    /// Says something once.
    pub fn say(&self, text: &str) {
        if self.mode != Mode::Silent {
            output::print(&self.mask.apply(text));
        }
    }

    /// A condition holds.
    pub fn holds(&self, condition: Condition, evidence: &str) {
        // A condition that is looked at again on the way to a later one is not worth a second line.
        if self.shown.get().is_none_or(|last| condition > last) {
            self.shown.set(Some(condition));
            self.say(&report::line(&self.style, report::Mark::Good, condition.name(), evidence));
        }
        self.waiting_for.set(None);
    }

    /// A condition fails for good.
    pub fn fails(&self, fault: &Fault) {
        self.say(&report::line(&self.style, report::Mark::Bad, fault.entry.condition.name(), fault.entry.means));
    }

    /// A repair begins.
    pub fn repairing(&self, fault: &Fault, repair: Repair) {
        self.waiting_for.set(None);
        let text = format!("{} …", repair.describe());
        self.say(&report::line(&self.style, report::Mark::Busy, fault.entry.condition.name(), &text));
    }

    /// Waits before looking again: logged once a wait, shown live where there is a terminal.
    pub async fn wait(&self, fault: &Fault, delay: Duration, left: Duration) {
        info!(
            event = "wait.started",
            fault = fault.code(),
            delay_ms = delay.as_millis(),
            remaining_s = left.as_secs(),
            "looking again in {:.1} s",
            delay.as_secs_f64()
        );
        match self.mode {
            Mode::Live => self.count_down(fault, delay, left).await,
            Mode::Lines | Mode::Silent => {
                if self.waiting_for.replace(Some(fault.code())) != Some(fault.code()) {
                    let text = format!("{} Waiting, at most {} more.", fault.entry.means, report::span(left));
                    self.say(&report::line(&self.style, report::Mark::Busy, fault.entry.condition.name(), &text));
                }
                tokio::time::sleep(delay).await;
            }
        }
    }

    async fn count_down(&self, fault: &Fault, delay: Duration, left: Duration) {
        if self.waiting_for.replace(Some(fault.code())) != Some(fault.code()) {
            self.say(&report::line(&self.style, report::Mark::Busy, fault.entry.condition.name(), fault.entry.means));
        }
        let started = Instant::now();
        loop {
            let passed = started.elapsed();
            let Some(rest) = delay.checked_sub(passed).filter(|rest| !rest.is_zero()) else { break };
            let text = format!(
                "      looking again in {}; giving up in {}",
                report::span(rest),
                report::span(left.saturating_sub(passed))
            );
            output::print(&format!("\r{text}\x1b[K"));
            tokio::time::sleep(rest.min(Duration::from_secs(1))).await;
        }
        output::print("\r\x1b[K");
    }
}
