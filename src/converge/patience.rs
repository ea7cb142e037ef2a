//! How long and how often: the bounds of the loop, apart from it so that they can be tested.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::condition::Condition;
use crate::fault::{Fault, Repair};

/// What has been waited and repaired so far. Nothing here is ever reset: every loop ends.
#[derive(Debug)]
pub struct Patience {
    deadline: Instant,
    since: BTreeMap<Condition, Instant>,
    met: BTreeMap<&'static str, u32>,
    repeats: BTreeMap<&'static str, (String, u32)>,
    repaired: Vec<Repair>,
    windows: BTreeMap<Condition, Duration>,
}

impl Patience {
    /// Patience until the deadline of the run.
    pub fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            since: BTreeMap::new(),
            met: BTreeMap::new(),
            repeats: BTreeMap::new(),
            repaired: Vec::new(),
            windows: BTreeMap::new(),
        }
    }

    /// Counts a fault; how often it was met with the same evidence.
    ///
    /// Another kind between does not count: a fault and the one that its repair meets take turns.
    pub fn count(&mut self, fault: &Fault) -> u32 {
        let (evidence, repeat) = self.repeats.entry(fault.code()).or_default();
        *repeat = if *evidence == fault.evidence { *repeat + 1 } else { 1 };
        let repeat = *repeat;
        evidence.clone_from(&fault.evidence);
        *self.met.entry(fault.code()).or_default() += 1;
        self.since.entry(fault.entry.condition).or_insert_with(Instant::now);
        // A fault that needs longer (410 and its 70 s) lengthens the window of its condition for good.
        let least = self.windows.entry(fault.entry.condition).or_default();
        *least = (*least).max(fault.entry.least_window);
        repeat
    }

    /// How often a fault was met with the evidence that it has now.
    pub fn repeat(&self, fault: &Fault) -> u32 {
        self.repeats.get(fault.code()).map_or(0, |(_, repeat)| *repeat)
    }

    /// Whether a repair may run: it has not yet succeeded in vain as often as its bound.
    pub fn may_repair(&self, repair: Repair) -> bool {
        let times = self.repaired.iter().filter(|done| **done == repair).count();
        u32::try_from(times).unwrap_or(u32::MAX) < repair.bound()
    }

    /// Whether a repair of azcmagent may have changed what was seen of it before.
    pub fn has_repaired_any(&self) -> bool {
        self.repaired.iter().any(|repair| *repair != Repair::PersistProxy)
    }

    /// Notes that a repair ran to its end.
    pub fn repaired(&mut self, repair: Repair) {
        self.repaired.push(repair);
    }

    /// How much longer a fault is waited for: its condition's window, within the run's deadline.
    pub fn left(&self, fault: &Fault, window: Duration) -> Duration {
        let now = Instant::now();
        let condition = fault.entry.condition;
        let window = window.min(fault.entry.most_window);
        let window = window.max(self.windows.get(&condition).copied().unwrap_or_default());
        let since = self.since.get(&condition).copied().unwrap_or(now);
        (since + window).min(self.deadline).saturating_duration_since(now)
    }

    /// How long the condition of a fault has been failing.
    pub fn waited(&self, fault: &Fault) -> Duration {
        self.since.get(&fault.entry.condition).map(Instant::elapsed).unwrap_or_default()
    }

    /// The wait before looking again; none when waiting is over or pointless.
    pub fn delay(&self, fault: &Fault, window: Duration) -> Option<Duration> {
        let pace = fault.entry.pace?;
        let left = self.left(fault, window);
        if left.is_zero() {
            return None;
        }
        let failures = self.met.get(fault.code()).copied().unwrap_or(1).saturating_sub(1);
        Some(pace.delay(failures, fault.retry_after).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault;

    const MINUTE: Duration = Duration::from_secs(60);

    fn patience(deadline: Duration) -> Patience {
        Patience::new(Instant::now() + deadline)
    }

    #[test]
    fn what_waiting_cannot_help_is_not_waited_for() {
        let mut patience = patience(MINUTE);
        let fault = fault::IDENTITY_AMBIGUOUS.seen("");
        patience.count(&fault);
        assert_eq!(patience.delay(&fault, MINUTE), None);
    }

    #[test]
    fn a_window_ends_and_the_deadline_ends_all() {
        let mut patience = patience(MINUTE);
        let fault = fault::IMDS_REFUSED.seen("");
        patience.count(&fault);
        assert!(patience.left(&fault, MINUTE * 5) <= MINUTE);
        assert_eq!(patience.delay(&fault, Duration::ZERO), None);
        let delay = patience.delay(&fault, MINUTE).unwrap();
        assert!(delay <= Duration::from_secs(1));
    }

    #[test]
    fn an_update_of_imds_is_waited_for_at_least_75_seconds() {
        let mut patience = patience(MINUTE * 10);
        let updating = fault::IDENTITY_UPDATING.seen("");
        patience.count(&updating);
        assert!(patience.left(&updating, Duration::from_secs(3)) > Duration::from_secs(70));
    }

    #[test]
    fn an_identity_that_is_not_there_is_not_waited_for_as_long_as_a_token() {
        let mut patience = patience(MINUTE * 60);
        let none = fault::IDENTITY_NONE.seen("");
        patience.count(&none);
        assert!(patience.left(&none, MINUTE * 10) <= MINUTE * 5);
        assert!(patience.left(&none, MINUTE) <= MINUTE);
    }

    #[test]
    fn the_servers_wish_is_honoured_within_the_window() {
        let mut patience = patience(MINUTE * 10);
        let fault = fault::IDENTITY_THROTTLED.seen("").asked_to_wait(Some(MINUTE));
        patience.count(&fault);
        assert_eq!(patience.delay(&fault, MINUTE * 5), Some(MINUTE));
        assert!(patience.delay(&fault, Duration::from_secs(10)).unwrap() <= Duration::from_secs(10));
    }

    #[test]
    fn repairs_are_bounded() {
        let mut patience = patience(MINUTE);
        let mut times = 0;
        while patience.may_repair(Repair::StartServices) {
            patience.repaired(Repair::StartServices);
            times += 1;
        }
        assert_eq!(times, Repair::StartServices.bound());
        assert!(patience.may_repair(Repair::Connect));
    }

    #[test]
    fn repeats_count_only_unchanged_failures() {
        let mut patience = patience(MINUTE);
        assert_eq!(patience.count(&fault::IMDS_REFUSED.seen("a")), 1);
        assert_eq!(patience.count(&fault::IMDS_REFUSED.seen("a")), 2);
        assert_eq!(patience.count(&fault::IMDS_REFUSED.seen("b")), 1);
        assert_eq!(patience.count(&fault::IMDS_TIMEOUT.seen("b")), 1);
        assert_eq!(patience.count(&fault::IMDS_REFUSED.seen("b")), 2);
        assert_eq!(patience.repeat(&fault::IMDS_REFUSED.seen("b")), 2);
    }
}
