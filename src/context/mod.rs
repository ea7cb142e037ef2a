//! What a run works with: the [`Context`], which does not change, the [`Facts`] that conditions have learned for each
//! other, and the [`Session`], which holds what has to be held or given back.

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
use crate::settings::{ResourceName, Settings};

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Make the conditions hold: as root, alone, until the deadline.
    Enroll,
    /// Observe them, and change nothing.
    Observe,
    /// Observe them without the network.
    ObserveLocally,
}

/// Least time of a change, past the deadline too, so that it can end properly.
const LEAST_FOR_CHANGES: Duration = Duration::from_secs(10);

/// Least time of an observation, so that the answer of a healthy program is not missed at the deadline.
const LEAST_FOR_OBSERVING: Duration = Duration::from_secs(1);

/// What a run works with and never changes.
pub struct Context {
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
    /// What the run is for.
    pub mode: Mode,
    /// The configuration file, as a person would name it.
    pub config: String,
    /// Whether the target is known; who only observes may have no right to read it.
    pub has_target: bool,
    /// Whether cloud-init runs this for the first time on this VM.
    pub is_first_boot: bool,
    /// The firmware id of the VM that enrolled, by the record: empty where it could not be read then, nothing where no VM
    /// has enrolled.
    pub recorded_vm: Option<String>,
    /// What is wrong with the proxy variables of the shell that started this process; empty where nothing is.
    pub shell_mismatch: String,
}

impl Context {
    /// Whether this run makes changes.
    pub fn makes_changes(&self) -> bool {
        self.mode == Mode::Enroll
    }

    /// A time limit that does not outlive the run, but for the least that ending properly takes.
    pub fn within(&self, limit: Duration) -> Duration {
        let least = if self.makes_changes() { LEAST_FOR_CHANGES } else { LEAST_FOR_OBSERVING };
        let left = self.deadline.saturating_duration_since(Instant::now());
        limit.min(left.max(least))
    }

    /// The hostname; below another root, the one that is written there.
    pub fn hostname(&self) -> Option<String> {
        let written = self.host.text("/etc/hostname");
        written.filter(|_| !self.host.files.is_real()).or_else(system::hostname)
    }

    /// This VM's id from its firmware, in lower case; only root may read it.
    pub fn firmware_id(&self) -> Option<String> {
        let text = self.host.text("/sys/class/dmi/id/product_uuid")?;
        Some(text.trim().to_ascii_lowercase()).filter(|id| !id.is_empty())
    }

    /// Azure Resource Manager, asked with this token.
    pub fn arm<'a>(&'a self, token: &'a Secret) -> Arm<'a> {
        Arm {
            commands: &self.host.commands,
            proxy: self.settings.proxy.url.as_ref(),
            azure: &self.settings.azure,
            token,
            limit: self.within(arm::LIMIT),
        }
    }

    /// The Arc machine's name: the configured one, or the hostname made legal, or the VM's name in the token.
    pub fn resource_name(&self, claims: &Claims) -> Option<ResourceName> {
        self.settings.azure.resource_name.clone().or_else(|| {
            let hostname = self.hostname()?;
            // Every machine without a name of its own is called so: a fleet of them would be one Arc machine.
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
