//! The observers, one file per condition: each turns context and facts into an [`Observation`].
//!
//! An observer changes nothing on this VM, and in this process only which secrets are redacted from now on. It returns its
//! facts to the engine, which passes them to later conditions as [`Facts`].

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

use std::time::Instant;

use crate::context::{Context, Facts, Learned};
use crate::host::tasks::Task;
use crate::model::check::{Evidence, Probe, ProbeState};
use crate::model::condition::Condition;
use crate::model::fault::Fault;

/// The result of observing a condition.
#[derive(Debug)]
pub struct Observation {
    /// The evidence if the condition holds, else the fault.
    pub outcome: Result<Evidence, Fault>,
    /// The network probes made for it.
    pub probes: Vec<Probe>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
    /// Facts for other conditions.
    pub learned: Learned,
}

impl From<Result<Evidence, Fault>> for Observation {
    fn from(outcome: Result<Evidence, Fault>) -> Self {
        Notes::default().observation(outcome)
    }
}

/// The parts of an observation that an observer collects before the outcome is known.
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
pub fn observe<'a>(condition: Condition, context: &'a Context, facts: &'a Facts) -> Task<'a, Observation> {
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

/// A network probe that began at `since` and ends now, with its detail redacted.
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
