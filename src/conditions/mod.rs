//! The observers: one file a condition, from what a run works with to an [`Observation`].
//!
//! An observer changes nothing, on this VM or in this process: what it has learned goes to the engine, which hands it
//! to later conditions as [`Facts`].

mod access;
mod agent;
mod clock;
pub mod connected;
mod dns;
pub mod egress;
mod host;
pub mod identity;
mod imds;
pub mod network_tests;
mod proxy;
pub mod proxy_environment;

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use crate::context::{Context, Facts, Learned};
use crate::model::check::{Evidence, Probe, ProbeState};
use crate::model::condition::Condition;
use crate::model::fault::Fault;

/// What came of observing a condition.
#[derive(Debug)]
pub struct Observation {
    /// What was seen where it holds, or what stands in the way.
    pub outcome: Result<Evidence, Fault>,
    /// The tests of the network that were made for it.
    pub probes: Vec<Probe>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
    /// What other conditions may use.
    pub learned: Learned,
}

impl From<Result<Evidence, Fault>> for Observation {
    fn from(outcome: Result<Evidence, Fault>) -> Self {
        Notes::default().observation(outcome)
    }
}

/// What an observer notes on its way to the outcome.
#[derive(Debug, Default)]
struct Notes {
    probes: Vec<Probe>,
    not_checked: Vec<String>,
    learned: Learned,
}

impl Notes {
    fn observation(self, outcome: Result<Evidence, Fault>) -> Observation {
        let Self { probes, not_checked, learned } = self;
        Observation { outcome, probes, not_checked, learned }
    }
}

/// Observes a condition.
pub fn observe<'a>(
    condition: Condition,
    context: &'a Context,
    facts: &'a Facts,
) -> Pin<Box<dyn Future<Output = Observation> + 'a>> {
    match condition {
        Condition::Host => Box::pin(host::observe(context)),
        Condition::ProxyEnvironment => Box::pin(proxy_environment::observe(context, facts)),
        Condition::Imds => Box::pin(imds::observe(context)),
        Condition::Clock => Box::pin(clock::observe(context, facts)),
        Condition::Proxy => Box::pin(proxy::observe(context)),
        Condition::Dns => Box::pin(dns::observe(context)),
        Condition::Egress => Box::pin(egress::observe(context)),
        Condition::Identity => Box::pin(identity::observe(context, facts)),
        Condition::Agent => Box::pin(agent::observe(context, facts)),
        Condition::Access => Box::pin(access::observe(context, facts)),
        Condition::Connected => Box::pin(connected::observe(context, facts)),
    }
}

/// A test of the network that began at `since` and ends now.
fn probe(
    context: &Context,
    test: &'static str,
    target: String,
    state: ProbeState,
    detail: &str,
    since: Instant,
) -> Probe {
    let detail = context.host.mask.apply(detail);
    Probe { test, target, state, detail, elapsed: since.elapsed() }
}
