//! Condition 5: the CSN proxy accepts connections and opens a tunnel.

use std::time::Instant;

use super::{egress, probe, Notes, Observation};
use crate::catalogue;
use crate::context::{about_endpoints, Context};
use crate::host::tunnel::{self, Tunnel};
use crate::model::check::{Evidence, ProbeState};
use crate::model::fault::Fault;
use crate::settings::ProxyUrl;

pub(super) async fn observe(context: &Context) -> Observation {
    let mut notes = Notes::default();
    let outcome = evaluate(context, &mut notes).await;
    notes.observation(outcome)
}

async fn evaluate(context: &Context, notes: &mut Notes) -> Result<Evidence, Fault> {
    let Some(proxy) = &context.settings.proxy.url else {
        return Ok("no proxy is configured".to_owned());
    };
    let endpoints = egress::endpoints(context);
    let mut refused = Vec::new();
    for (index, host) in endpoints.iter().enumerate() {
        let started = Instant::now();
        let answer = tunnel::probe(&context.host.commands, proxy, host, context.within(tunnel::OPEN)).await;
        let state = if answer == Tunnel::Open { ProbeState::Ok } else { ProbeState::Fails };
        let (target, detail) = (format!("{host}:443"), tunnel::describe(&answer));
        notes.probes.push(probe(context, "tunnel by the proxy", target, state, &detail, started));
        match answer {
            Tunnel::Open => return Ok(format!("{} opens tunnels", proxy.without_credentials())),
            // Other endpoints may be allowed: a working proxy can refuse individual names.
            answer @ Tunnel::Answered { status: 403 | 404 | 451, .. } => {
                refused.push(format!("{host}: {}", tunnel::describe(&answer)));
            }
            // A failure behind the proxy may concern only this endpoint, so one more is tried.
            failure if index == 0 && is_upstream_failure(&failure) => refused.push(String::new()),
            failure => return Err(classify(proxy, host, &failure)),
        }
    }
    refused.retain(|text| !text.is_empty());
    let fault = catalogue::PROXY_TUNNEL_REFUSED.with_evidence(refused.join("; "));
    Err(about_endpoints(fault, &endpoints))
}

/// Whether the failure is between the proxy and the endpoint.
fn is_upstream_failure(failure: &Tunnel) -> bool {
    matches!(failure, Tunnel::Answered { status: 500..=599, .. } | Tunnel::Timeout { connected: true })
}

fn classify(proxy: &ProxyUrl, host: &str, failure: &Tunnel) -> Fault {
    let kind = match failure {
        Tunnel::Refused => &catalogue::PROXY_REFUSED,
        Tunnel::NoRoute(_) => &catalogue::PROXY_NO_ROUTE,
        Tunnel::Timeout { .. } => &catalogue::PROXY_TIMEOUT,
        Tunnel::Answered { status: 407, .. } => &catalogue::PROXY_AUTHENTICATION,
        Tunnel::Answered { status: 500..=599, .. } => &catalogue::PROXY_FAILING,
        Tunnel::Answered { .. } | Tunnel::Broken(_) | Tunnel::Open => &catalogue::PROXY_BROKEN,
    };
    kind.with_evidence(format!(
        "{}, CONNECT {host}:443: {}",
        proxy.without_credentials(),
        tunnel::describe(failure)
    ))
}
