//! The guide's sanity tests of the network, one by one, each with its time and verdict.
//!
//! The conditions note what they try anyway; what nobody needs for a verdict is tried here, for `doctor`.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{egress, Vm};
use crate::clients::azcmagent;
use crate::host::https::{self, Request};
use crate::host::link_local;
use crate::host::names;
use crate::model::condition::Condition;
use crate::settings::Cloud;

/// Time limit of a test that decides nothing.
const LIMIT: Duration = Duration::from_secs(10);

/// What a test showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it has to be.
    Ok,
    /// It is not.
    Fails,
    /// Worth knowing; enrolling does not depend on it.
    Information,
    /// Pointless because of something else.
    Skipped,
}

impl Verdict {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fails => "fails",
            Self::Information => "information",
            Self::Skipped => "skipped",
        }
    }
}

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

/// One test of the network.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What was tried.
    pub test: &'static str,
    /// On what.
    pub target: String,
    /// What it showed.
    pub verdict: Verdict,
    /// In words.
    pub detail: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl Vm {
    /// Notes what a test of the network showed.
    pub fn note(&self, test: &'static str, target: String, verdict: Verdict, detail: String, since: Instant) {
        let detail = self.host.mask.apply(&detail);
        let probe = Probe { test, target, verdict, detail, elapsed: since.elapsed() };
        self.learnt.probes.borrow_mut().push(probe);
    }
}

/// A test under way.
pub type Test<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The tests that no condition makes, all at the same time (guide, "VM network connectivity sanity tests").
pub async fn run(vm: &Vm) {
    let mut tests: Vec<Test<'_>> = vec![Box::pin(reach_imds(vm)), Box::pin(agents_own_check(vm))];
    // The guide's nslookup asks for the first two: ARM and Entra.
    for name in egress::endpoints(vm).into_iter().take(2) {
        tests.push(Box::pin(resolve(vm, name)));
    }
    for name in optional_endpoints(vm) {
        tests.push(Box::pin(ask(vm, name)));
    }
    join_all(tests).await;
}

/// The required endpoints that were not tried because of `cause`.
pub fn skip_endpoints(vm: &Vm, cause: Condition) {
    for host in egress::endpoints(vm) {
        let detail = format!("not tried: {} does not hold", cause.name());
        vm.note("endpoint", format!("https://{host}"), Verdict::Skipped, detail, Instant::now());
    }
}

/// In place of the guide's ping, which the sidecar need not answer: a connection to its port.
async fn reach_imds(vm: &Vm) {
    let started = Instant::now();
    let endpoint = &vm.settings.imds.endpoint;
    let (verdict, detail) = match link_local::reach(endpoint).await {
        Ok(()) => (Verdict::Ok, "takes connections".to_owned()),
        Err(error) => (Verdict::Fails, error.to_string()),
    };
    vm.note("IMDS reached", endpoint.clone(), verdict, detail, started);
}

async fn resolve(vm: &Vm, name: String) {
    let started = Instant::now();
    let found = names::resolve(&vm.host.commands, &name, Duration::from_secs(5)).await;
    // With a proxy the name is resolved there, and nothing on the VM needs it.
    let (verdict, detail) = match (found, &vm.settings.proxy.url) {
        (Ok(address), _) => (Verdict::Ok, address.to_string()),
        (Err(error), Some(_)) => (Verdict::Information, format!("{error}; the proxy resolves it")),
        (Err(error), None) => (Verdict::Fails, error.to_string()),
    };
    vm.note("name resolved", name, verdict, detail, started);
}

/// Endpoints that the guide or the network requirements name and that enrolling can do without.
fn optional_endpoints(vm: &Vm) -> Vec<(String, &'static str)> {
    let location = &vm.settings.azure.location;
    match vm.settings.azure.cloud {
        Cloud::Public => vec![
            (format!("san-af-{location}-prod.azurewebsites.net"), "only SQL Server needs it"),
            (format!("{location}.login.microsoft.com"), "signs in by region"),
            (format!("{location}-gas.guestconfiguration.azure.com"), "policies and extensions need it"),
        ],
        Cloud::UsGovernment | Cloud::China => Vec::new(),
    }
}

async fn ask(vm: &Vm, (host, needed_for): (String, &'static str)) {
    let started = Instant::now();
    let url = format!("https://{host}/");
    let request = Request { method: "HEAD", ..Request::get(&url, vm.within(LIMIT)) };
    let (verdict, detail) =
        match https::send(&vm.host.commands, vm.settings.proxy.url.as_ref(), request).await {
            Ok(_) => (Verdict::Ok, "answers over verified TLS".to_owned()),
            Err(error) => (Verdict::Information, format!("{needed_for}; {error}")),
        };
    vm.note("optional endpoint", format!("https://{host}"), verdict, detail, started);
}

/// What azcmagent itself finds of the endpoints that this version needs in this cloud and region.
async fn agents_own_check(vm: &Vm) {
    if vm.host.commands.find(azcmagent::PROGRAM).is_none() {
        return;
    }
    let started = Instant::now();
    let azure = &vm.settings.azure;
    let checked =
        azcmagent::check(&vm.host.commands, azure.location.as_str(), azure.cloud.name(), LIMIT).await;
    let detail = match checked {
        Ok(endpoints) if !endpoints.is_empty() => {
            for (endpoint, is_reached) in endpoints {
                let (verdict, detail) = if is_reached {
                    (Verdict::Ok, "azcmagent reaches it")
                } else {
                    (Verdict::Information, "azcmagent does not reach it")
                };
                vm.note("azcmagent check", endpoint, verdict, detail.to_owned(), started);
            }
            return;
        }
        Ok(_) => "it said nothing readable".to_owned(),
        Err(error) => error.to_string(),
    };
    vm.note("azcmagent check", azure.location.to_string(), Verdict::Information, detail, started);
}

/// Waits for all of them at the same time.
pub async fn join_all(mut tests: Vec<Test<'_>>) {
    std::future::poll_fn(|context| {
        tests.retain_mut(|test| test.as_mut().poll(context).is_pending());
        if tests.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
