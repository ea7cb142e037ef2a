//! Condition 3: the sidecar answers, and it is the sidecar.

use std::time::{Instant, SystemTime};

use super::sanity::Verdict;
use super::{Evidence, Vm};
use crate::catalogue;
use crate::clients::imds;
use crate::host::link_local::{self, LinkLocalError, Reply};
use crate::model::fault::Fault;

/// `/healthz` is advisory: any status proves that the sidecar answers, and the token request decides.
pub(crate) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let started = Instant::now();
    let reply = ask_health(vm).await;
    let (verdict, words) = match &reply {
        Ok(reply) if reply.status == 200 && !imds::is_page(reply) => (Verdict::Ok, imds::words(reply)),
        Ok(reply) => (Verdict::Information, imds::words(reply)),
        Err(error) => (Verdict::Fails, error.to_string()),
    };
    vm.note("IMDS health", format!("{}/healthz", vm.settings.imds.endpoint), verdict, words, started);
    let reply = reply.map_err(unreachable)?;
    if let Some(sign) = imds::signs_of_a_proxy(&reply) {
        return Err(catalogue::IMDS_PROXIED.with_evidence(format!("{}; {sign}", imds::words(&reply))));
    }
    let date = reply.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    vm.learnt.clocks.set(date.map(|theirs| (theirs, SystemTime::now())));
    if imds::is_page(&reply) {
        // Some web frameworks answer so where they have no such page; the token request tells.
        return Ok(format!("answers directly; /healthz says {} with a web page", reply.status));
    }
    Ok(match reply.status {
        200..=299 => "answers directly, healthy".to_owned(),
        404 => "answers directly; it has no /healthz page".to_owned(),
        status => format!("answers directly; /healthz says {status}, which is advisory"),
    })
}

/// Asks for the health page, and keeps what it says.
pub(crate) async fn ask_health(vm: &Vm) -> Result<Reply, LinkLocalError> {
    let reply = imds::health(&vm.settings.imds.endpoint, vm.within(link_local::EXCHANGE)).await;
    let health = match &reply {
        Ok(reply) if reply.status == 404 || imds::is_page(reply) => None,
        Ok(reply) => Some(((200..300).contains(&reply.status), imds::words(reply))),
        Err(error) => Some((false, error.to_string())),
    };
    vm.learnt.health.replace(health);
    reply
}

/// No answer, as a fault.
pub(crate) fn unreachable(error: LinkLocalError) -> Fault {
    let evidence = error.to_string();
    let entry = match error {
        LinkLocalError::Refused { .. } => &catalogue::IMDS_REFUSED,
        LinkLocalError::NoRoute { .. } => &catalogue::IMDS_NO_ROUTE,
        LinkLocalError::Timeout { .. } => &catalogue::IMDS_TIMEOUT,
        LinkLocalError::Broken { .. } => &catalogue::IMDS_BROKEN,
    };
    entry.with_evidence(evidence)
}
