//! Condition 3: the sidecar answers, and it is the sidecar.

use std::time::SystemTime;

use super::{Evidence, Vm};
use crate::fault::{self, Fault};
use crate::host::link_local::LinkLocalError;
use crate::imds;

/// `/healthz` is advisory: any status proves that the sidecar answers, and the token request decides.
pub(super) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let reply = imds::health(&vm.settings.imds.endpoint).await.map_err(unreachable)?;
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
