//! Condition 4: the clock agrees with the sidecar's, or with that of an Azure endpoint, within two minutes.

use std::time::{Duration, SystemTime};

use super::Observation;
use crate::catalogue;
use crate::clients::arm;
use crate::context::{Context, Facts};
use crate::formats::http_date;
use crate::host::https::{self, HttpsRequest};
use crate::model::check::Evidence;
use crate::model::fault::Fault;

/// The skew at which azcmagent starts to warn (release notes of 1.29) and tokens start to fail.
pub(super) const TOLERANCE: Duration = Duration::from_secs(120);

/// Time limit of the request to the endpoint whose clock replaces the sidecar's.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn observe(context: &Context, facts: &Facts) -> Observation {
    evaluate(context, facts).await.into()
}

async fn evaluate(context: &Context, facts: &Facts) -> Result<Evidence, Fault> {
    let (whose, clocks) = match facts.sidecar.clocks {
        Some(clocks) => ("the sidecar", Some(clocks)),
        None => endpoint_clock(context).await,
    };
    let Some((theirs, ours)) = clocks else {
        return Ok(format!("not checked: neither the sidecar nor {whose} gives a date"));
    };
    let (skew, word) = difference(theirs, ours);
    if skew <= TOLERANCE {
        return Ok(format!("within {} s of {whose}'s", skew.as_secs().max(1)));
    }
    // Rounded, and without the times, so that the evidence of the same skew does not change.
    let about = (skew.as_secs() + 5) / 10 * 10;
    Err(catalogue::CLOCK_SKEWED.with_evidence(format!("this VM's clock is about {about} s {word} {whose}'s")))
}

/// The clock of ARM's host and this VM's clock at the same moment.
async fn endpoint_clock(context: &Context) -> (&'static str, Option<(SystemTime, SystemTime)>) {
    let host = arm::host(context.settings.azure.cloud);
    let url = format!("https://{host}/");
    let request = HttpsRequest { method: "HEAD", ..HttpsRequest::get(&url, context.within(LIMIT)) };
    let reply = https::send(&context.host.commands, context.settings.proxy.url.as_ref(), request).await;
    let date = reply.ok().and_then(|reply| http_date::parse(reply.field("date")?));
    (host, date.map(|theirs| (theirs, SystemTime::now())))
}

/// The current time by the sidecar's clock, if it is known and agrees with this VM's clock.
pub(super) fn sidecar_now(facts: &Facts) -> Option<SystemTime> {
    let (theirs, ours) = facts.sidecar.clocks?;
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
