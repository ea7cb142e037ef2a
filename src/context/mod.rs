//! The state of a run: the immutable [`Context`], the [`Facts`] that conditions share, and the [`Session`] with the
//! resources that the run holds.

mod facts;
mod session;
mod values;

pub use facts::{AgentFacts, ConnectionFacts, Facts, IdentityFacts, Learned, SidecarFacts};
pub use session::{ConnectDetail, Session};
pub use values::{about_endpoints, not_writable, value};

use std::time::{Duration, Instant};

use crate::clients::arm::{self, Arm};
use crate::clients::imds::Claims;
use crate::host::{system, Host};
use crate::model::secret::Secret;
use crate::output::record;
use crate::settings::{ResourceName, Settings};

/// The mode of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Establish the conditions: as root, under the lock, until the deadline.
    Enroll,
    /// Observe the conditions without changes.
    Observe,
    /// Observe the conditions without changes and without the network.
    ObserveLocally,
}

/// The minimum time limit of a change, even past the deadline, so that it can finish.
const LEAST_FOR_CHANGES: Duration = Duration::from_secs(10);

/// The minimum time limit of an observation, so that a healthy program can answer even at the deadline.
const LEAST_FOR_OBSERVING: Duration = Duration::from_secs(1);

/// The immutable inputs of a run.
pub struct Context {
    /// The configuration.
    pub settings: Settings,
    /// The I/O boundary.
    pub host: Host,
    /// The run's id, which is also the default correlation id.
    pub run_id: String,
    /// Whether azcmagent is run verbosely.
    pub verbose: bool,
    /// When the run has to end.
    pub deadline: Instant,
    /// The mode of the run.
    pub mode: Mode,
    /// The path of the configuration file, for messages.
    pub config: String,
    /// Whether the target is known; an observing user may not be allowed to read it.
    pub has_target: bool,
    /// Whether cloud-init runs this for the first time on this VM.
    pub is_first_boot: bool,
    /// How the proxy variables of the calling shell differ from the settings; empty if they do not.
    pub shell_mismatch: String,
}

impl Context {
    /// Whether this run makes changes.
    pub fn makes_changes(&self) -> bool {
        self.mode == Mode::Enroll
    }

    /// Limits a time limit to the remaining time of the run, but not below the minimum of the mode.
    pub fn within(&self, limit: Duration) -> Duration {
        let least = if self.makes_changes() { LEAST_FOR_CHANGES } else { LEAST_FOR_OBSERVING };
        let left = self.deadline.saturating_duration_since(Instant::now());
        limit.min(left.max(least))
    }

    /// The hostname; below another root, the one in its /etc/hostname.
    pub fn hostname(&self) -> Option<String> {
        let written = self.host.text("/etc/hostname");
        written.filter(|_| !self.host.files.is_real()).or_else(system::hostname)
    }

    /// This VM's firmware id (DMI product UUID), in lower case; only root may read it.
    pub fn firmware_id(&self) -> Option<String> {
        let text = self.host.text("/sys/class/dmi/id/product_uuid")?;
        Some(text.trim().to_ascii_lowercase()).filter(|id| !id.is_empty())
    }

    /// The firmware id of the enrolled VM from the record: empty if it could not be read then, none without an enrollment.
    pub fn recorded_vm(&self) -> Option<String> {
        record::read(&self.host.files).ok().flatten()?.vm
    }

    /// A client of Azure Resource Manager with this token.
    pub fn arm<'a>(&'a self, token: &'a Secret) -> Arm<'a> {
        Arm {
            commands: &self.host.commands,
            proxy: self.settings.proxy.url.as_ref(),
            azure: &self.settings.azure,
            token,
            limit: self.within(arm::LIMIT),
        }
    }

    /// The Arc machine's name: the configured name, else the hostname in a valid form, else the VM's name in the token.
    pub fn resource_name(&self, claims: &Claims) -> Option<ResourceName> {
        self.settings.azure.resource_name.clone().or_else(|| {
            let hostname = self.hostname()?;
            // "localhost" is the default of machines without a hostname: a fleet of them would share one Arc machine.
            let is_default = hostname.trim().split('.').next() == Some("localhost");
            let name = if is_default { claims.vm_name()? } else { hostname };
            ResourceName::from_hostname(name.trim())
        })
    }

    /// The tenant: the configured one, or the token's.
    pub fn tenant(&self, claims: &Claims) -> Option<String> {
        let configured = self.settings.azure.tenant_id.as_ref().map(ToString::to_string);
        configured.or_else(|| claims.tid.clone())
    }
}
