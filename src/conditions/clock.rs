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
    let evidence = format!(
        "this VM's clock says {}, the sidecar's {}: {} s {word}",
        humantime::format_rfc3339_seconds(ours),
        humantime::format_rfc3339_seconds(theirs),
        skew.as_secs(),
    );
    Err(fault::CLOCK_SKEWED.seen(evidence))
}

fn difference(theirs: SystemTime, ours: SystemTime) -> (Duration, &'static str) {
    match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    }
}
