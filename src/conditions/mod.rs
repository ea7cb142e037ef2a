//! The eleven conditions that make a VM count as enrolled, and what the loop may ask of them.
//!
//! Each condition is one file with an `observe` that changes nothing. What stands in the way comes back as
//! a [`Fault`]; the repairs are in [`repair`].

mod access;
mod agent;
mod clock;
mod connected;
mod dns;
mod egress;
mod host;
mod identity;
mod imds;
mod install;
mod proxy;
mod proxy_environment;
mod repair;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime};

use crate::azcmagent::show::Show;
use crate::fault::Fault;
use crate::host::link_local::LinkLocal;
use crate::host::lock::{self, Lock};
use crate::host::Host;
use crate::imds::{Claims, Token};
use crate::settings::{ResourceName, Settings};

/// The conditions, in the order in which they are made to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Root, systemd, disk, one run at a time.
    Host,
    /// The proxy variables hold everywhere.
    ProxyEnvironment,
    /// The sidecar answers, directly.
    Imds,
    /// The clock is right.
    Clock,
    /// The CSN proxy opens tunnels.
    Proxy,
    /// The Azure names resolve, here or at the proxy.
    Dns,
    /// Every endpoint that Arc needs answers.
    Egress,
    /// There is a token.
    Identity,
    /// azcmagent is there, runs, and knows its proxy.
    Agent,
    /// The identity may create the machine.
    Access,
    /// The machine is connected.
    Connected,
}

impl Condition {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Host,
        Self::ProxyEnvironment,
        Self::Imds,
        Self::Clock,
        Self::Proxy,
        Self::Dns,
        Self::Egress,
        Self::Identity,
        Self::Agent,
        Self::Access,
        Self::Connected,
    ];

    /// Whether it is only the way to [`Condition::Connected`]: where that holds, this need not.
    pub fn is_only_the_way(self) -> bool {
        !matches!(self, Self::Host | Self::ProxyEnvironment | Self::Agent | Self::Connected)
    }

    /// Its number, from 1; exit codes are made from it.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Its name in the log, in reports and in the configuration's documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ProxyEnvironment => "proxy-environment",
            Self::Imds => "imds",
            Self::Clock => "clock",
            Self::Proxy => "proxy",
            Self::Dns => "dns",
            Self::Egress => "egress",
            Self::Identity => "identity",
            Self::Agent => "agent",
            Self::Access => "access",
            Self::Connected => "connected",
        }
    }

    /// The conditions without which observing this one is meaningless.
    pub fn needs(self) -> &'static [Self] {
        match self {
            Self::Host | Self::ProxyEnvironment | Self::Imds | Self::Proxy | Self::Dns | Self::Agent => &[],
            Self::Clock | Self::Identity => &[Self::Imds],
            Self::Egress => &[Self::Proxy],
            Self::Access => &[Self::Proxy, Self::Identity],
            Self::Connected => &[Self::Agent],
        }
    }

    /// How long a fault of this condition is waited for, from the settings.
    pub fn window(self, settings: &Settings) -> Duration {
        let wait = &settings.wait;
        match self {
            // The sidecar is there for the token alone: whichever patience ends first ends the wait.
            Self::Imds => wait.endpoint.min(wait.token),
            Self::Identity => wait.token,
            Self::Access => wait.access,
            _ => wait.endpoint,
        }
    }
}

/// What was seen of a condition that holds.
pub type Evidence = String;

/// A VM as the conditions see it: settings, the host, and what was learnt on the way.
pub struct Vm {
    /// What is wanted.
    pub settings: Settings,
    /// The doors to the outside.
    pub host: Host,
    /// The client for the sidecar.
    pub link_local: LinkLocal,
    /// This run's id, also its correlation id.
    pub run_id: String,
    /// Whether more detail is wanted of azcmagent too.
    pub verbose: bool,
    /// When the run has to end.
    pub deadline: Instant,
    /// Whether this run has to be the only one; observing alone need not.
    pub exclusive: bool,
    /// What was learnt in this run.
    pub learnt: Learnt,
}

/// What one condition learnt and another uses.
#[derive(Debug, Default)]
pub struct Learnt {
    /// The token, until it is spent.
    pub token: RefCell<Option<Token>>,
    /// The last token's claims; they outlive it, for explanation.
    pub claims: RefCell<Claims>,
    /// Token requests so far.
    pub token_attempts: Cell<u32>,
    /// The sidecar's clock and ours at the same moment.
    pub clocks: Cell<Option<(SystemTime, SystemTime)>>,
    /// The last answer of `azcmagent show`.
    pub show: RefCell<Option<Show>>,
    /// Whether connect succeeded in this run.
    pub connected: Cell<bool>,
    /// The lock, once it is held.
    pub lock: RefCell<Option<Lock>>,
    /// Endpoints that a fault is about.
    pub endpoints: RefCell<Vec<String>>,
}

impl Vm {
    /// Observes one condition and changes nothing: what was seen, or what stands in the way.
    ///
    /// # Errors
    /// The fault.
    pub async fn observe(&self, condition: Condition) -> Result<Evidence, Fault> {
        match condition {
            Condition::Host => host::observe(self).await,
            Condition::ProxyEnvironment => proxy_environment::observe(self),
            Condition::Imds => imds::observe(self).await,
            Condition::Clock => clock::observe(self),
            Condition::Proxy => proxy::observe(self).await,
            Condition::Dns => dns::observe(self).await,
            Condition::Egress => egress::observe(self).await,
            Condition::Identity => identity::observe(self).await,
            Condition::Agent => agent::observe(self).await,
            Condition::Access => access::observe(self).await,
            Condition::Connected => connected::observe(self).await,
        }
    }

    /// A time limit that does not outlive the run by more than the grace that a command needs to end.
    pub fn within_the_run(&self, limit: Duration) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        limit.min(left.max(Duration::from_secs(10)))
    }

    /// Gets a token as `identity` does; `check` says whether it has to be one for ARM.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn await_token(&self, check: bool) -> Result<(), Fault> {
        identity::acquire_checked(self, check).await
    }

    /// The Arc machine's name: the configured one, or the hostname made legal.
    pub fn resource_name(&self) -> Option<ResourceName> {
        self.settings.azure.resource_name.clone().or_else(|| {
            let named = self.host.files.read("/etc/hostname").ok().flatten();
            let from_file = named.filter(|_| !self.host.files.is_real());
            let name = from_file.or_else(crate::host::system::hostname)?;
            ResourceName::from_hostname(name.trim())
        })
    }

    /// The tenant: the configured one, or the token's.
    pub fn tenant(&self) -> Option<String> {
        let configured = self.settings.azure.tenant_id.as_ref().map(ToString::to_string);
        configured.or_else(|| self.learnt.claims.borrow().tid.clone())
    }

    /// Fills a catalogue text with this VM's own values.
    pub fn fill(&self, text: &str) -> String {
        let azure = &self.settings.azure;
        let scope =
            format!("/subscriptions/{}/resourceGroups/{}", azure.subscription_id, azure.resource_group);
        let claims = self.learnt.claims.borrow();
        let endpoints = self.learnt.endpoints.borrow();
        let proxy = self.settings.proxy.url.as_ref();
        let or = |value: Option<String>, placeholder: &str| value.unwrap_or_else(|| placeholder.to_owned());
        let first_endpoint = endpoints.first().cloned();
        let values = [
            ("{subscription_id}", azure.subscription_id.to_string()),
            ("{resource_group}", azure.resource_group.to_string()),
            ("{location}", azure.location.to_string()),
            ("{scope}", format!("\"{scope}\"")),
            ("{resource_name}", or(self.resource_name().map(|name| name.to_string()), "\"$ARC_NAME\"")),
            ("{vm}", or(claims.vm_name(), "$VM_NAME")),
            ("{principal_id}", or(claims.oid.clone(), "\"$PRINCIPAL_ID\"")),
            ("{imds}", self.settings.imds.endpoint.clone()),
            ("{proxy}", or(proxy.map(|url| url.without_credentials()), "\"$PROXY\"")),
            ("{proxy_address}", or(proxy.map(|url| format!("{}:{}", url.host(), url.port())), "\"$PROXY\"")),
            ("{endpoint}", or(first_endpoint, "management.azure.com")),
            ("{endpoints}", endpoints.join(" ")),
            ("{egress_json}", egress_json(&endpoints)),
            ("{log}", self.settings.log.file.display().to_string()),
            ("{config}", crate::settings::DEFAULT_PATH.to_owned()),
            ("{holder}", or(lock::holder(&self.host.files), "PID")),
            ("{path}", "/".to_owned()),
        ];
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// The endpoints as the CSN's `--additional-egress-endpoints` takes them.
fn egress_json(endpoints: &[String]) -> String {
    let names: Vec<String> =
        endpoints.iter().map(|name| format!("{{'domainName':'{name}','port':443}}")).collect();
    format!("[{{'category':'azure-arc','endpoints':[{}]}}]", names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_contract() {
        let numbers: Vec<u8> = Condition::ALL.iter().map(|condition| condition.number()).collect();
        assert_eq!(numbers, (1..=11).collect::<Vec<u8>>());
        assert_eq!((Condition::Host.number(), Condition::Connected.number()), (1, 11));
    }

    #[test]
    fn a_condition_only_needs_earlier_ones() {
        for condition in Condition::ALL {
            assert!(condition.needs().iter().all(|needed| *needed < condition));
        }
    }
}
