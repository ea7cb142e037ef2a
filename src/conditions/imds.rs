//! Condition 3: the IMDS sidecar answers, and nothing answers in its place.

use std::time::{Instant, SystemTime};

use super::{probe, Notes, Observation};
use crate::catalogue;
use crate::clients::imds;
use crate::context::{Context, Learned, SidecarFacts};
use crate::formats::http_date;
use crate::host::link_local::{self, LinkLocalError, LinkLocalReply};
use crate::model::check::{Evidence, ProbeState};
use crate::model::fault::Fault;

/// Requests `/healthz`, which is advisory: any status proves that the sidecar answers, and the token request decides.
pub(super) async fn observe(context: &Context) -> Observation {
    let started = Instant::now();
    let reply = ask_health(context).await;
    let (state, words) = match &reply {
        Ok(reply) if reply.status == 200 && !imds::is_page(reply) => {
            (ProbeState::Ok, imds::describe_reply(reply))
        }
        Ok(reply) => (ProbeState::Information, imds::describe_reply(reply)),
        Err(error) => (ProbeState::Fails, error.to_string()),
    };
    let mut notes = Notes::default();
    let target = format!("{}{}", context.settings.imds.endpoint, imds::HEALTH);
    notes.probes.push(probe(context, "IMDS health", target, state, &words, started));
    let clocks = reply.as_ref().ok().filter(|reply| imds::proxy_headers(reply).is_none()).and_then(clocks);
    notes.learned = Learned::Sidecar(SidecarFacts { clocks, health: health(&reply) });
    notes.observation(reply.map_err(classify_error).and_then(|reply| evaluate(&reply)))
}

fn evaluate(reply: &LinkLocalReply) -> Result<Evidence, Fault> {
    if let Some(sign) = imds::proxy_headers(reply) {
        return Err(catalogue::IMDS_PROXIED.with_evidence(format!("{}; {sign}", imds::describe_reply(reply))));
    }
    if imds::is_page(reply) {
        // Some web frameworks return a page for unknown paths; the token request decides.
        return Ok(format!("answers directly; /healthz says {} with a web page", reply.status));
    }
    Ok(match reply.status {
        200..=299 => "answers directly, healthy".to_owned(),
        404 => "answers directly; it has no /healthz page".to_owned(),
        status => format!("answers directly; /healthz says {status}, which is advisory"),
    })
}

/// The sidecar's clock by its Date header, and this VM's clock.
fn clocks(reply: &LinkLocalReply) -> Option<(SystemTime, SystemTime)> {
    let theirs = http_date::parse(reply.header("date")?)?;
    Some((theirs, SystemTime::now()))
}

/// Requests the health page.
pub(super) async fn ask_health(context: &Context) -> Result<LinkLocalReply, LinkLocalError> {
    imds::health(&context.settings.imds.endpoint, context.within(link_local::EXCHANGE)).await
}

/// Whether the sidecar reports itself healthy, and its message; none if it has no health page.
pub(super) fn health(reply: &Result<LinkLocalReply, LinkLocalError>) -> Option<(bool, String)> {
    match reply {
        Ok(reply) if reply.status == 404 || imds::is_page(reply) => None,
        Ok(reply) => Some(((200..300).contains(&reply.status), imds::describe_reply(reply))),
        Err(error) => Some((false, error.to_string())),
    }
}

/// The fault of a failed request.
pub(super) fn classify_error(error: LinkLocalError) -> Fault {
    let evidence = error.to_string();
    let kind = match error {
        LinkLocalError::Refused { .. } => &catalogue::IMDS_REFUSED,
        LinkLocalError::NoRoute { .. } => &catalogue::IMDS_NO_ROUTE,
        LinkLocalError::Timeout { .. } => &catalogue::IMDS_TIMEOUT,
        LinkLocalError::Broken { .. } => &catalogue::IMDS_BROKEN,
    };
    kind.with_evidence(evidence)
}
