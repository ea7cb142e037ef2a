//! The eleven conditions that make a VM count as enrolled, and what the loop may ask of them.
//!
//! Each condition is one file with an `observe` that changes nothing. What stands in the way comes back as
//! a [`Fault`]; the repairs are in [`repair`].

pub(crate) mod access;
pub(crate) mod agent;
pub(crate) mod clock;
pub(crate) mod connected;
pub(crate) mod dns;
pub(crate) mod egress;
pub(crate) mod host;
pub(crate) mod identity;
pub(crate) mod imds;
pub(crate) mod proxy;
pub(crate) mod proxy_environment;
pub mod sanity;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

pub use egress::required as required_endpoints;
pub use proxy_environment::others as other_files;

use crate::clients::arm::{self, Arm, Permissions};
use crate::clients::imds::{Claims, Token};
use crate::host::lock::{self, Lock};
use crate::host::Host;
use crate::model::condition::Condition;
use crate::model::fault::Fault;
use crate::model::secret::Secret;
use crate::model::url::Url;
use crate::operator::user_data::create_command;
use crate::operator::user_data::egress_list;
use crate::settings::{ResourceName, Settings};
use crate::timer::Repeat;
use sanity::Probe;

/// What was seen of a condition that holds.
pub type Evidence = String;

/// A VM as the conditions see it: settings, the host, and what was learnt on the way.
pub struct Vm {
    /// What is wanted.
    pub settings: Settings,
    /// The I/O boundary.
    pub host: Host,
    /// This run's id, also its correlation id.
    pub run_id: String,
    /// Whether more detail is wanted of azcmagent too.
    pub verbose: bool,
    /// When the run has to end.
    pub deadline: Instant,
    /// Whether this run has to be the only one; observing alone need not.
    pub exclusive: bool,
    /// The configuration file, as a person would name it.
    pub config: String,
    /// Whether the target is known; who only looks may have no right to read it.
    pub has_target: bool,
    /// How the timer repeats this run.
    pub repeat: Repeat,
    /// What was learnt in this run.
    pub learnt: Learnt,
}

/// What one condition learnt and another uses.
#[derive(Debug, Default)]
pub struct Learnt {
    /// The token, until it is spent.
    pub token: RefCell<Option<Rc<Token>>>,
    /// The last token's claims; they outlive it, for explanation.
    pub claims: RefCell<Claims>,
    /// Token requests so far.
    pub token_attempts: Cell<u32>,
    /// The sidecar's clock and ours at the same moment.
    pub clocks: Cell<Option<(SystemTime, SystemTime)>>,
    /// Whether azcmagent took its proxy.url in this run.
    pub agent_proxy_set: Cell<bool>,
    /// Whether connect succeeded in this run.
    pub connected: Cell<bool>,
    /// Whether azcmagent was seen to be connected to any machine.
    pub onboarded: Cell<bool>,
    /// Whether nothing is asked over the network, for those who only want to know of this VM.
    pub is_local: Cell<bool>,
    /// What ARM lists that the identity may do.
    pub permissions: RefCell<Option<Permissions>>,
    /// Whether the next connect is to be verbose because one has failed; nothing before, false once it was.
    pub wants_detail: Cell<Option<bool>>,
    /// Whether cloud-init runs this for the first time on this VM.
    pub first_boot: Cell<bool>,
    /// The lock, once it is held.
    pub lock: RefCell<Option<Lock>>,
    /// Whether the timer looks after this VM, once that is settled.
    pub timer: Cell<Option<bool>>,
    /// Endpoints that a fault is about.
    pub endpoints: RefCell<Vec<String>>,
    /// The path that a fault is about.
    pub path: RefCell<Option<String>>,
    /// Whether the running systemd was told to read the proxy settings in this run.
    pub manager_told: Cell<bool>,
    /// What the proxy variables of the shell have wrong that started this process.
    pub shell: RefCell<String>,
    /// Whether the sidecar called itself healthy, and its words; nothing where it has no such page.
    pub health: RefCell<Option<(bool, String)>>,
    /// What was measured of the network.
    pub probes: RefCell<Vec<Probe>>,
    /// What could not be looked at, and why.
    pub unseen: RefCell<Vec<String>>,
}

impl Vm {
    /// Observes one condition and changes nothing: what was seen, or what stands in the way.
    ///
    /// # Errors
    /// The fault.
    pub async fn observe(&self, condition: Condition) -> Result<Evidence, Fault> {
        match condition {
            Condition::Host => host::observe(self).await,
            Condition::ProxyEnvironment => proxy_environment::observe(self).await,
            Condition::Imds => imds::observe(self).await,
            Condition::Clock => clock::observe(self).await,
            Condition::Proxy => proxy::observe(self).await,
            Condition::Dns => dns::observe(self).await,
            Condition::Egress => egress::observe(self).await,
            Condition::Identity => identity::observe(self).await,
            Condition::Agent => agent::observe(self).await,
            Condition::Access => access::observe(self).await,
            Condition::Connected => connected::observe(self).await,
        }
    }

    /// Takes the lock, if this run has to be the only one and has it not yet.
    ///
    /// # Errors
    /// `host.busy` when another run has it, or why it is out of reach.
    pub fn take_lock(&self) -> Result<(), Fault> {
        host::take_lock(self)
    }

    /// A time limit that does not outlive the run: by more than the grace that a change needs to end where
    /// something is changed, and not at all where it is only looked at.
    pub fn within(&self, limit: Duration) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let least = Duration::from_secs(if self.exclusive { 10 } else { 1 });
        limit.min(left.max(least))
    }

    /// Gets a token as `identity` does; `check` says whether it has to be one for ARM.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn await_token(&self, check: bool) -> Result<(), Fault> {
        identity::acquire_checked(self, check).await
    }

    /// The hostname; below another root, the one that is written there.
    pub fn hostname(&self) -> Option<String> {
        let named = self.host.text("/etc/hostname");
        named.filter(|_| !self.host.files.is_real()).or_else(crate::host::system::hostname)
    }

    /// ARM, asked with this token.
    pub(crate) fn arm<'a>(&'a self, token: &'a Secret) -> Arm<'a> {
        let (commands, azure) = (&self.host.commands, &self.settings.azure);
        Arm {
            commands,
            proxy: self.settings.proxy.url.as_ref(),
            azure,
            token,
            limit: self.within(arm::LIMIT),
        }
    }

    /// This VM's id as its firmware tells it, in lower case; only root may read it.
    pub fn firmware_id(&self) -> Option<String> {
        let text = self.host.text("/sys/class/dmi/id/product_uuid")?;
        Some(text.trim().to_ascii_lowercase()).filter(|id| !id.is_empty())
    }

    /// The Arc machine's name: the configured one, or the hostname made legal, or the VM's name in the token.
    pub fn resource_name(&self) -> Option<ResourceName> {
        self.settings.azure.resource_name.clone().or_else(|| {
            let hostname = self.hostname()?;
            // Every machine without a name of its own is called so: a fleet of them would be one Arc machine.
            let is_nobody = hostname.trim().split('.').next() == Some("localhost");
            let name = if is_nobody { self.learnt.claims.borrow().vm_name()? } else { hostname };
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
        let of_target =
            |value: &str, placeholder: &str| if self.has_target { value } else { placeholder }.to_owned();
        let first_endpoint = endpoints.first().cloned();
        let imds_host = Url::split(&self.settings.imds.endpoint).map(|url| url.host());
        let tenant_option = azure.tenant_id.as_ref().map_or(String::new(), |id| format!(" --tenant {id}"));
        let values = [
            ("{subscription_id}", of_target(azure.subscription_id.as_str(), "\"$SUBSCRIPTION_ID\"")),
            ("{resource_group}", of_target(azure.resource_group.as_str(), "\"$RESOURCE_GROUP\"")),
            ("{location}", of_target(azure.location.as_str(), "\"$LOCATION\"")),
            ("{scope}", of_target(&format!("\"{scope}\""), "\"$SCOPE\"")),
            ("{resource_name}", or(self.resource_name().map(|name| name.to_string()), "\"$ARC_NAME\"")),
            ("{vm}", or(claims.vm_name(), "$VM_NAME")),
            ("{principal_id}", or(claims.oid.clone(), "\"$PRINCIPAL_ID\"")),
            ("{imds}", self.settings.imds.endpoint.clone()),
            ("{imds_host}", imds_host.unwrap_or_default().to_owned()),
            ("{proxy_host}", or(proxy.map(|url| url.host().to_owned()), "\"$PROXY\"")),
            ("{proxy}", or(proxy.map(|url| url.without_credentials()), "\"$PROXY\"")),
            ("{proxy_address}", or(proxy.map(|url| format!("{}:{}", url.host(), url.port())), "\"$PROXY\"")),
            ("{endpoint}", or(first_endpoint, "management.azure.com")),
            ("{endpoints}", if endpoints.is_empty() { "$ENDPOINTS".to_owned() } else { endpoints.join(" ") }),
            ("{egress_json}", egress_json(&endpoints)),
            ("{log}", self.settings.log.file.display().to_string()),
            ("{config}", self.config.clone()),
            ("{holder}", or(lock::holder(&self.host.files), "PID")),
            ("{path}", or(self.learnt.path.borrow().clone(), "/")),
            ("{packages}", crate::repairs::install_agent::package_manager(self).to_owned()),
            ("{cloud}", azure.cloud.name().to_owned()),
            ("{tenant_option}", tenant_option),
            (
                "{create}",
                create_command(azure, &self.settings.identity, "user-data.b64").replace(" \\\n   ", ""),
            ),
        ];
        let text = values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        OPERATORS.iter().fold(text, |text, (name, value)| text.replace(name, value))
    }
}

/// What only precheck knows, which fills it in before; elsewhere a person does.
const OPERATORS: [(&str, &str); 8] = [
    ("{az}", "az account show"),
    ("{csn_at}", "--name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\""),
    ("{csn_of_vm}", "\"$CSN_ID\""),
    ("{csn_egress_json}", "$ENDPOINTS"),
    ("{vm_at}", "--name \"$VM_NAME\" --resource-group \"$VM_RESOURCE_GROUP\""),
    ("{identity_at}", "--name \"$IDENTITY_NAME\" --resource-group \"$IDENTITY_RESOURCE_GROUP\""),
    ("{cluster_at}", "--name \"$CLUSTER_NAME\" --resource-group \"$CLUSTER_RESOURCE_GROUP\""),
    ("{cluster_target}", "\"$CLUSTER_VERSION\""),
];

/// The endpoints as the CSN's `--additional-egress-endpoints` takes them.
fn egress_json(endpoints: &[String]) -> String {
    if endpoints.is_empty() {
        return "$ENDPOINTS".to_owned();
    }
    let endpoints: Vec<String> =
        endpoints.iter().map(|name| egress_list::endpoint(name, Some(443))).collect();
    format!("[{}]", egress_list::category("azure-arc", &endpoints))
}
