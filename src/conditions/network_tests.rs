//! The guide's network sanity tests, for `doctor`.
//!
//! Conditions record the probes that they make; the tests that no condition needs are here.

use std::time::{Duration, Instant};

use super::{dns, egress, probe};
use crate::clients::azcmagent;
use crate::context::Context;
use crate::host::https::{self, HttpsRequest};
use crate::host::link_local;
use crate::host::names;
use crate::host::tasks::{join_all, Task};
use crate::model::check::{Probe, ProbeState};
use crate::settings::Cloud;

/// Time limit of a test; none of them decides a condition.
const LIMIT: Duration = Duration::from_secs(10);

/// The names of all tests in display order, prerequisites first.
const TESTS: [&str; 8] = [
    "IMDS reached",
    "IMDS health",
    "Azure VM probe",
    "name resolved",
    "tunnel by the proxy",
    "endpoint",
    "optional endpoint",
    "azcmagent check",
];

/// The position of a test in display order.
pub fn rank(test: &str) -> usize {
    TESTS.iter().position(|known| *known == test).unwrap_or(TESTS.len())
}

/// Runs the tests that no condition makes, concurrently (guide, "VM network connectivity sanity tests").
pub async fn run(context: &Context) -> Vec<Probe> {
    let mut tests: Vec<Task<'_, Vec<Probe>>> =
        vec![Box::pin(reach_imds(context)), Box::pin(azcmagent_check(context))];
    // The guide's nslookup asks for the first two: ARM and Entra.
    for name in egress::endpoints(context).into_iter().take(2) {
        tests.push(Box::pin(resolve(context, name)));
    }
    for name in optional_endpoints(context) {
        tests.push(Box::pin(ask(context, name)));
    }
    join_all(tests).await.into_iter().flatten().collect()
}

/// Skipped probes for the required endpoints, because the condition `cause` does not hold.
pub fn skipped_endpoints(context: &Context, cause: &str) -> Vec<Probe> {
    let detail = format!("not tried: {cause} does not hold");
    let skipped = |host| {
        let target = format!("https://{host}");
        probe(context, "endpoint", target, ProbeState::Skipped, &detail, Instant::now())
    };
    egress::endpoints(context).into_iter().map(skipped).collect()
}

/// Connects to the sidecar's port, in place of the guide's ping, which the sidecar need not answer.
async fn reach_imds(context: &Context) -> Vec<Probe> {
    let started = Instant::now();
    let endpoint = &context.settings.imds.endpoint;
    let (state, detail) = match link_local::probe(endpoint).await {
        Ok(()) => (ProbeState::Ok, "takes connections".to_owned()),
        Err(error) => (ProbeState::Fails, error.to_string()),
    };
    vec![probe(context, "IMDS reached", endpoint.clone(), state, &detail, started)]
}

async fn resolve(context: &Context, name: String) -> Vec<Probe> {
    let started = Instant::now();
    let found = names::resolve(&context.host.commands, &name, dns::LIMIT).await;
    // With a proxy the name is resolved there, so the VM need not resolve it.
    let (state, detail) = match (found, &context.settings.proxy.url) {
        (Ok(address), _) => (ProbeState::Ok, address.to_string()),
        (Err(error), Some(_)) => (ProbeState::Information, format!("{error}; the proxy resolves it")),
        (Err(error), None) => (ProbeState::Fails, error.to_string()),
    };
    vec![probe(context, "name resolved", name, state, &detail, started)]
}

/// Endpoints in the guide or the network requirements that enrollment does not need.
fn optional_endpoints(context: &Context) -> Vec<(String, &'static str)> {
    let location = &context.settings.azure.location;
    match context.settings.azure.cloud {
        Cloud::Public => vec![
            (format!("san-af-{location}-prod.azurewebsites.net"), "only SQL Server needs it"),
            (format!("{location}.login.microsoft.com"), "signs in by region"),
            (format!("{location}-gas.guestconfiguration.azure.com"), "policies and extensions need it"),
        ],
        Cloud::UsGovernment | Cloud::China => Vec::new(),
    }
}

async fn ask(context: &Context, (host, needed_for): (String, &'static str)) -> Vec<Probe> {
    let started = Instant::now();
    let url = format!("https://{host}/");
    let request = HttpsRequest { method: "HEAD", ..HttpsRequest::get(&url, context.within(LIMIT)) };
    let (state, detail) =
        match https::send(&context.host.commands, context.settings.proxy.url.as_ref(), request).await {
            Ok(_) => (ProbeState::Ok, "answers over verified TLS".to_owned()),
            Err(error) => (ProbeState::Information, format!("{needed_for}; {error}")),
        };
    vec![probe(context, "optional endpoint", format!("https://{host}"), state, &detail, started)]
}

/// Runs `azcmagent check`, which tests the endpoints that the installed version needs in this cloud and region.
async fn azcmagent_check(context: &Context) -> Vec<Probe> {
    const TEST: &str = "azcmagent check";
    let commands = &context.host.commands;
    if commands.find(azcmagent::PROGRAM).is_none() {
        return Vec::new();
    }
    let started = Instant::now();
    let azure = &context.settings.azure;
    let (location, cloud) = (azure.location.as_str(), azure.cloud.name());
    let detail = match azcmagent::check(commands, location, cloud, LIMIT).await {
        Ok(endpoints) if !endpoints.is_empty() => {
            let row = |(endpoint, is_reached)| match is_reached {
                true => probe(context, TEST, endpoint, ProbeState::Ok, "azcmagent reaches it", started),
                false => {
                    let detail = "azcmagent does not reach it";
                    probe(context, TEST, endpoint, ProbeState::Information, detail, started)
                }
            };
            return endpoints.into_iter().map(row).collect();
        }
        Ok(_) => "its output cannot be parsed".to_owned(),
        Err(error) => error.to_string(),
    };
    vec![probe(context, TEST, location.to_owned(), ProbeState::Information, &detail, started)]
}
