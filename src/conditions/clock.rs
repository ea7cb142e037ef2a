//! Condition 4: the clock agrees with the sidecar's within two minutes.

use std::time::{Duration, SystemTime};

use super::{Evidence, Vm};
use crate::fault::{self, Fault};

/// The skew at which azcmagent starts to warn (release notes of 1.29) and tokens start to fail.
const TOLERANCE: Duration = Duration::from_secs(120);

pub(super) fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let Some((theirs, ours)) = vm.learnt.clocks.get() else {
        return Ok("not checked: the sidecar's reply has no date".to_owned());
    };
    let (skew, word) = difference(theirs, ours);
    if skew <= TOLERANCE {
        return Ok(format!("within {} s of the sidecar's", skew.as_secs().max(1)));
    }
    // Rounded, and without the times themselves, so that the same skew is the same evidence at every look.
    let about = (skew.as_secs() + 5) / 10 * 10;
    Err(fault::CLOCK_SKEWED.seen(format!("this VM's clock is about {about} s {word} the sidecar's")))
}

fn difference(theirs: SystemTime, ours: SystemTime) -> (Duration, &'static str) {
    match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    }
}
