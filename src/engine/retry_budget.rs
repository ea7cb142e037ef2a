//! The limits of the control loop on waits, separate from it for testing.

use std::time::{Duration, Instant};

use crate::model::condition::Condition;
use crate::model::fault::{Fault, FaultKind};

/// The faults and waits of a run so far. Nothing is ever reset, so that every loop ends.
#[derive(Debug)]
pub struct RetryBudget {
    deadline: Instant,
    failing: Vec<Failing>,
    met: Vec<SeenFault>,
}

/// A condition that has failed in this run.
#[derive(Debug)]
struct Failing {
    condition: Condition,
    since: Instant,
    /// A fault with a longer minimum (HTTP 410 with its 70 s) extends the window of its condition for the rest of the run.
    least_window: Duration,
}

/// A fault that has occurred.
#[derive(Debug)]
struct SeenFault {
    kind: &'static FaultKind,
    times: u32,
    evidence: String,
    /// Consecutive occurrences with this evidence.
    repeat: u32,
}

impl RetryBudget {
    /// A budget until the deadline of the run.
    pub fn new(deadline: Instant) -> Self {
        Self { deadline, failing: Vec::new(), met: Vec::new() }
    }

    /// Counts a fault, and returns how often it occurred in a row with the same evidence.
    ///
    /// Faults of other kinds in between are ignored: a fault and the failure of its repair may alternate.
    pub fn count(&mut self, fault: &Fault) -> u32 {
        let condition = fault.kind.condition;
        let least = Duration::from_secs(fault.kind.least_window_s.into());
        match self.failing.iter_mut().find(|failing| failing.condition == condition) {
            Some(failing) => failing.least_window = failing.least_window.max(least),
            None => {
                self.failing.push(Failing { condition, since: Instant::now(), least_window: least });
            }
        }
        if let Some(met) = self.met.iter_mut().find(|met| met.kind == fault.kind) {
            met.times += 1;
            met.repeat = if met.evidence == fault.evidence { met.repeat + 1 } else { 1 };
            met.evidence.clone_from(&fault.evidence);
            return met.repeat;
        }
        self.met.push(SeenFault { kind: fault.kind, times: 1, evidence: fault.evidence.clone(), repeat: 1 });
        1
    }

    fn met(&self, fault: &Fault) -> Option<&SeenFault> {
        self.met.iter().find(|met| met.kind == fault.kind)
    }

    fn failing(&self, fault: &Fault) -> Option<&Failing> {
        self.failing.iter().find(|failing| failing.condition == fault.kind.condition)
    }

    /// How often a fault occurred in a row with its present evidence.
    pub fn repeat(&self, fault: &Fault) -> u32 {
        self.met(fault).map_or(0, |met| met.repeat)
    }

    /// The remaining time of a fault's retry window, within the run's deadline.
    pub fn left(&self, fault: &Fault, window: Duration) -> Duration {
        let now = Instant::now();
        let failing = self.failing(fault);
        let window = match fault.kind.most_window_s {
            u16::MAX => window,
            most => window.min(Duration::from_secs(most.into())),
        };
        let window = window.max(failing.map_or(Duration::ZERO, |failing| failing.least_window));
        let since = failing.map_or(now, |failing| failing.since);
        (since + window).min(self.deadline).saturating_duration_since(now)
    }

    /// How long the condition of a fault has been failing.
    pub fn waited(&self, fault: &Fault) -> Duration {
        self.failing(fault).map_or(Duration::ZERO, |failing| failing.since.elapsed())
    }

    /// The delay before the next observation; none if the window is over or a retry cannot help.
    pub fn delay(&self, fault: &Fault, window: Duration) -> Option<Duration> {
        let backoff = fault.kind.backoff?;
        let left = self.left(fault, window);
        if left.is_zero() {
            return None;
        }
        let failures = self.met(fault).map_or(0, |met| met.times.saturating_sub(1));
        Some(backoff.delay(failures, fault.retry_after).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    const MINUTE: Duration = Duration::from_secs(60);

    fn budget(deadline: Duration) -> RetryBudget {
        RetryBudget::new(Instant::now() + deadline)
    }

    #[test]
    fn a_fault_without_backoff_has_no_delay() {
        let mut budget = budget(MINUTE);
        let fault = catalogue::IDENTITY_AMBIGUOUS.with_evidence("");
        budget.count(&fault);
        assert_eq!(budget.delay(&fault, MINUTE), None);
    }

    #[test]
    fn window_and_deadline_limit_the_delay() {
        let mut budget = budget(MINUTE);
        let fault = catalogue::IMDS_REFUSED.with_evidence("");
        budget.count(&fault);
        assert!(budget.left(&fault, MINUTE * 5) <= MINUTE);
        assert_eq!(budget.delay(&fault, Duration::ZERO), None);
        let delay = budget.delay(&fault, MINUTE).unwrap();
        assert!(delay <= Duration::from_secs(1));
    }

    #[test]
    fn an_imds_update_has_a_window_of_at_least_75_seconds() {
        let mut budget = budget(MINUTE * 10);
        let updating = catalogue::IDENTITY_UPDATING.with_evidence("");
        budget.count(&updating);
        assert!(budget.left(&updating, Duration::from_secs(3)) > Duration::from_secs(70));
    }

    #[test]
    fn a_missing_identity_has_a_shorter_window_than_a_token() {
        let mut budget = budget(MINUTE * 60);
        let none = catalogue::IDENTITY_NONE.with_evidence("");
        budget.count(&none);
        assert!(budget.left(&none, MINUTE * 10) <= MINUTE * 5);
        assert!(budget.left(&none, MINUTE) <= MINUTE);
    }

    #[test]
    fn retry_after_is_honoured_within_the_window() {
        let mut budget = budget(MINUTE * 10);
        let fault = catalogue::IDENTITY_THROTTLED.with_evidence("").with_retry_after(Some(MINUTE));
        budget.count(&fault);
        assert_eq!(budget.delay(&fault, MINUTE * 5), Some(MINUTE));
        assert!(budget.delay(&fault, Duration::from_secs(10)).unwrap() <= Duration::from_secs(10));
    }

    #[test]
    fn repeats_count_only_unchanged_failures() {
        let mut budget = budget(MINUTE);
        assert_eq!(budget.count(&catalogue::IMDS_REFUSED.with_evidence("a")), 1);
        assert_eq!(budget.count(&catalogue::IMDS_REFUSED.with_evidence("a")), 2);
        assert_eq!(budget.count(&catalogue::IMDS_REFUSED.with_evidence("b")), 1);
        assert_eq!(budget.count(&catalogue::IMDS_TIMEOUT.with_evidence("b")), 1);
        assert_eq!(budget.count(&catalogue::IMDS_REFUSED.with_evidence("b")), 2);
        assert_eq!(budget.repeat(&catalogue::IMDS_REFUSED.with_evidence("b")), 2);
    }
}
