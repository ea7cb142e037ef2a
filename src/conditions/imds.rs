//! Condition 3: the sidecar answers, and it is the sidecar.

use std::time::{Instant, SystemTime};

use super::sanity::Verdict;
use super::{Evidence, Vm};
use crate::fault::{self, Fault};
use crate::host::link_local::{self, LinkLocalError};
use crate::imds;

/// `/healthz` is advisory: any status proves that the sidecar answers, and the token request decides.
pub(super) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let started = Instant::now();
    let endpoint = &vm.settings.imds.endpoint;
    let reply = imds::health(endpoint, vm.within(link_local::EXCHANGE)).await;
    let found = match &reply {
        Ok(reply) => (reply.status == 200, imds::words(reply)),
        Err(error) => (false, error.to_string()),
    };
    let verdict = match (&reply, found.0) {
        (Ok(_), true) => Verdict::Ok,
        (Ok(_), false) => Verdict::Information,
        (Err(_), _) => Verdict::Fails,
    };
    vm.note("IMDS health", format!("{endpoint}/healthz"), verdict, found.1, started);
    let reply = reply.map_err(unreachable)?;
    if let Some(sign) = imds::signs_of_a_proxy(&reply) {
        return Err(fault::IMDS_PROXIED.seen(format!("{}; {sign}", imds::words(&reply))));
    }
    let date = reply.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    vm.learnt.clocks.set(date.map(|theirs| (theirs, SystemTime::now())));
    Ok(match reply.status {
        200..=299 => "answers directly, healthy".to_owned(),
        404 => "answers directly; it has no /healthz page".to_owned(),
        status => format!("answers directly; /healthz says {status}, which is advisory"),
    })
}

/// No answer, as a fault.
pub(super) fn unreachable(error: LinkLocalError) -> Fault {
    let evidence = error.to_string();
    let entry = match error {
        LinkLocalError::Refused { .. } => &fault::IMDS_REFUSED,
        LinkLocalError::NoRoute { .. } => &fault::IMDS_NO_ROUTE,
        LinkLocalError::Timeout { .. } => &fault::IMDS_TIMEOUT,
        LinkLocalError::Broken { .. } => &fault::IMDS_BROKEN,
    };
    entry.seen(evidence)
}
