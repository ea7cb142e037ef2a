//! The guide's sanity tests of the network, one by one, each with its time and state.
//!
//! The conditions note what they try anyway; what nobody needs for a state is tried here, for `doctor`.

use std::time::{Duration, Instant};

use super::{egress, probe};
use crate::clients::azcmagent;
use crate::context::Context;
use crate::host::https::{self, HttpsRequest};
use crate::host::link_local;
use crate::host::names;
use crate::host::tasks::{join_all, Task};
use crate::model::check::{Probe, ProbeState};
use crate::settings::Cloud;

/// Time limit of a test that decides nothing.
const LIMIT: Duration = Duration::from_secs(10);

/// The tests by name, in the order in which they are shown: what comes first is what the rest depends on.
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

/// A test's place in the order of showing.
pub fn rank(test: &str) -> usize {
    TESTS.iter().position(|known| *known == test).unwrap_or(TESTS.len())
}

/// The tests that no condition makes, all at the same time (guide, "VM network connectivity sanity tests").
pub async fn run(context: &Context) -> Vec<Probe> {
    let mut tests: Vec<Task<'_, Vec<Probe>>> =
        vec![Box::pin(reach_imds(context)), Box::pin(agents_own_check(context))];
    // The guide's nslookup asks for the first two: ARM and Entra.
    for name in egress::endpoints(context).into_iter().take(2) {
        tests.push(Box::pin(resolve(context, name)));
    }
    for name in optional_endpoints(context) {
        tests.push(Box::pin(ask(context, name)));
    }
    join_all(tests).await.into_iter().flatten().collect()
}

/// The required endpoints that were not tried because of `cause`.
pub fn skipped_endpoints(context: &Context, cause: &str) -> Vec<Probe> {
    let detail = format!("not tried: {cause} does not hold");
    let skipped = |host| {
        let target = format!("https://{host}");
        probe(context, "endpoint", target, ProbeState::Skipped, &detail, Instant::now())
    };
    egress::endpoints(context).into_iter().map(skipped).collect()
}

/// In place of the guide's ping, which the sidecar need not answer: a connection to its port.
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
    let found = names::resolve(&context.host.commands, &name, Duration::from_secs(5)).await;
    // With a proxy the name is resolved there, and nothing on the VM needs it.
    let (state, detail) = match (found, &context.settings.proxy.url) {
        (Ok(address), _) => (ProbeState::Ok, address.to_string()),
        (Err(error), Some(_)) => (ProbeState::Information, format!("{error}; the proxy resolves it")),
        (Err(error), None) => (ProbeState::Fails, error.to_string()),
    };
    vec![probe(context, "name resolved", name, state, &detail, started)]
}

/// Endpoints that the guide or the network requirements name and that enrolling can do without.
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

/// What azcmagent itself finds of the endpoints that this version needs in this cloud and region.
async fn agents_own_check(context: &Context) -> Vec<Probe> {
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
        Ok(_) => "it said nothing readable".to_owned(),
        Err(error) => error.to_string(),
    };
    vec![probe(context, TEST, location.to_owned(), ProbeState::Information, &detail, started)]
}
