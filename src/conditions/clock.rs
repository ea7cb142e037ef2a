//! Condition 4: the clock agrees with the sidecar's, or with that of an Azure endpoint, within two minutes.

use std::time::{Duration, SystemTime};

use super::{Evidence, Vm};
use crate::catalogue;
use crate::clients::arm;
use crate::host::https::{self, Request};
use crate::model::fault::Fault;

/// The skew at which azcmagent starts to warn (release notes of 1.29) and tokens start to fail.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(120);

/// Time for the answer of an endpoint, whose clock only stands in for the sidecar's.
const LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let (whose, clocks) = match vm.learnt.clocks.get() {
        Some(clocks) => ("the sidecar", Some(clocks)),
        None => endpoints_clock(vm).await,
    };
    let Some((theirs, ours)) = clocks else {
        return Ok(format!("not checked: neither the sidecar nor {whose} gives a date"));
    };
    let (skew, word) = difference(theirs, ours);
    if skew <= TOLERANCE {
        return Ok(format!("within {} s of {whose}'s", skew.as_secs().max(1)));
    }
    // Rounded, and without the times themselves, so that the same skew is the same evidence at every look.
    let about = (skew.as_secs() + 5) / 10 * 10;
    Err(catalogue::CLOCK_SKEWED.with_evidence(format!("this VM's clock is about {about} s {word} {whose}'s")))
}

/// The clock of ARM's host, and ours at that moment.
async fn endpoints_clock(vm: &Vm) -> (&'static str, Option<(SystemTime, SystemTime)>) {
    let host = arm::host(vm.settings.azure.cloud);
    let url = format!("https://{host}/");
    let request = Request { method: "HEAD", ..Request::get(&url, vm.within(LIMIT).min(LIMIT)) };
    let reply = https::send(&vm.host.commands, vm.settings.proxy.url.as_ref(), request).await;
    let date = reply.ok().and_then(|reply| httpdate::parse_http_date(reply.field("date")?).ok());
    (host, date.map(|theirs| (theirs, SystemTime::now())))
}

/// The time by the sidecar's clock, where it is known and ours agrees with it.
pub(crate) fn sidecars_now(vm: &Vm) -> Option<SystemTime> {
    let (theirs, ours) = vm.learnt.clocks.get()?;
    let now = SystemTime::now();
    match ours.duration_since(theirs) {
        Ok(ahead) => (ahead <= TOLERANCE).then(|| now - ahead),
        Err(behind) => (behind.duration() <= TOLERANCE).then(|| now + behind.duration()),
    }
}

fn difference(theirs: SystemTime, ours: SystemTime) -> (Duration, &'static str) {
    match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    }
}
