//! How long and how often: the bounds of the loop, apart from it so that they can be tested.

use std::time::{Duration, Instant};

use crate::model::condition::Condition;
use crate::model::fault::{Fault, FaultKind};
use crate::model::repair::RepairId;
use crate::repairs::Repair;

/// What has been waited and repaired so far. Nothing here is ever reset: every loop ends.
#[derive(Debug)]
pub struct RetryBudget {
    deadline: Instant,
    failing: Vec<Failing>,
    met: Vec<MetFault>,
    repaired: Vec<RepairId>,
}

/// A condition that has been met failing.
#[derive(Debug)]
struct Failing {
    condition: Condition,
    since: Instant,
    /// A fault that needs longer (410 and its 70 s) lengthens the window of its condition for good.
    least_window: Duration,
}

/// A fault that has been met.
#[derive(Debug)]
struct MetFault {
    kind: &'static FaultKind,
    times: u32,
    evidence: String,
    /// How often in a row with this evidence.
    repeat: u32,
}

impl RetryBudget {
    /// RetryBudget until the deadline of the run.
    pub fn new(deadline: Instant) -> Self {
        Self { deadline, failing: Vec::new(), met: Vec::new(), repaired: Vec::new() }
    }

    /// Counts a fault; how often it was met with the same evidence.
    ///
    /// Another kind between does not count: a fault and the one that its repair meets take turns.
    pub fn count(&mut self, fault: &Fault) -> u32 {
        let condition = fault.kind.condition;
        let least = fault.kind.least_window;
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
        self.met.push(MetFault { kind: fault.kind, times: 1, evidence: fault.evidence.clone(), repeat: 1 });
        1
    }

    fn met(&self, fault: &Fault) -> Option<&MetFault> {
        self.met.iter().find(|met| met.kind == fault.kind)
    }

    fn failing(&self, fault: &Fault) -> Option<&Failing> {
        self.failing.iter().find(|failing| failing.condition == fault.kind.condition)
    }

    /// How often a fault was met with the evidence that it has now.
    pub fn repeat(&self, fault: &Fault) -> u32 {
        self.met(fault).map_or(0, |met| met.repeat)
    }

    /// Whether a repair may run: it has not yet succeeded without effect as often as its bound.
    pub fn may_repair(&self, repair: &Repair) -> bool {
        let times = self.repaired.iter().filter(|done| **done == repair.id).count();
        u32::try_from(times).unwrap_or(u32::MAX) < repair.bound
    }

    /// Notes that a repair ran to its end.
    pub fn repaired(&mut self, repair: RepairId) {
        self.repaired.push(repair);
    }

    /// How much longer a fault is waited for: its condition's window, within the run's deadline.
    pub fn left(&self, fault: &Fault, window: Duration) -> Duration {
        let now = Instant::now();
        let failing = self.failing(fault);
        let window = window.min(fault.kind.most_window);
        let window = window.max(failing.map_or(Duration::ZERO, |failing| failing.least_window));
        let since = failing.map_or(now, |failing| failing.since);
        (since + window).min(self.deadline).saturating_duration_since(now)
    }

    /// How long the condition of a fault has been failing.
    pub fn waited(&self, fault: &Fault) -> Duration {
        self.failing(fault).map_or(Duration::ZERO, |failing| failing.since.elapsed())
    }

    /// The wait before looking again; none when waiting is over or pointless.
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
    use crate::repairs;

    const MINUTE: Duration = Duration::from_secs(60);

    fn budget(deadline: Duration) -> RetryBudget {
        RetryBudget::new(Instant::now() + deadline)
    }

    #[test]
    fn what_waiting_cannot_help_is_not_waited_for() {
        let mut budget = budget(MINUTE);
        let fault = catalogue::IDENTITY_AMBIGUOUS.with_evidence("");
        budget.count(&fault);
        assert_eq!(budget.delay(&fault, MINUTE), None);
    }

    #[test]
    fn a_window_ends_and_the_deadline_ends_all() {
        let mut budget = budget(MINUTE);
        let fault = catalogue::IMDS_REFUSED.with_evidence("");
        budget.count(&fault);
        assert!(budget.left(&fault, MINUTE * 5) <= MINUTE);
        assert_eq!(budget.delay(&fault, Duration::ZERO), None);
        let delay = budget.delay(&fault, MINUTE).unwrap();
        assert!(delay <= Duration::from_secs(1));
    }

    #[test]
    fn an_update_of_imds_is_waited_for_at_least_75_seconds() {
        let mut budget = budget(MINUTE * 10);
        let updating = catalogue::IDENTITY_UPDATING.with_evidence("");
        budget.count(&updating);
        assert!(budget.left(&updating, Duration::from_secs(3)) > Duration::from_secs(70));
    }

    #[test]
    fn an_identity_that_is_not_there_is_not_waited_for_as_long_as_a_token() {
        let mut budget = budget(MINUTE * 60);
        let none = catalogue::IDENTITY_NONE.with_evidence("");
        budget.count(&none);
        assert!(budget.left(&none, MINUTE * 10) <= MINUTE * 5);
        assert!(budget.left(&none, MINUTE) <= MINUTE);
    }

    #[test]
    fn the_servers_wish_is_honoured_within_the_window() {
        let mut budget = budget(MINUTE * 10);
        let fault = catalogue::IDENTITY_THROTTLED.with_evidence("").with_retry_after(Some(MINUTE));
        budget.count(&fault);
        assert_eq!(budget.delay(&fault, MINUTE * 5), Some(MINUTE));
        assert!(budget.delay(&fault, Duration::from_secs(10)).unwrap() <= Duration::from_secs(10));
    }

    #[test]
    fn repairs_are_bounded() {
        let mut budget = budget(MINUTE);
        let mut times = 0;
        let repair = repairs::find(RepairId::StartServices);
        while budget.may_repair(repair) {
            budget.repaired(repair.id);
            times += 1;
        }
        assert_eq!(times, repair.bound);
        assert!(budget.may_repair(repairs::find(RepairId::Connect)));
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
