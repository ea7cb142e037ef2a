//! The settings of a run: domain types that the rest of the program may rely on.
//!
//! [`raw`] reads a configuration file. [`merge`] joins it with [`overrides`] (flags, environment) and
//! defaults, and checks every value once before it enters [`Settings`]. No other module handles raw text.

mod checks;
mod merge;
mod nearest;
mod node;
mod overrides;
mod proxy_url;
mod raw;
mod tags;
pub mod targets;
mod values;
mod yaml;

pub use checks::{parse_duration, parse_sha256};
pub use merge::load;
pub use nearest::nearest;
pub use overrides::Overrides;
pub use proxy_url::ProxyUrl;
pub use raw::Problem;
pub use values::{Guid, Identity, Location, ResourceGroup, ResourceId, ResourceName};

use std::path::PathBuf;
use std::time::Duration;

use crate::formats::url::Url;
use crate::model::condition::Window;
use crate::model::pairs::Pairs;

/// The default path of the configuration file, below `--root`; `--config` overrides it.
pub const DEFAULT_PATH: &str = "/etc/arc-enroll/config.yaml";

/// The log file unless the configuration names another one: cloud-init's own (guide, "Validate VM instance logs").
pub const DEFAULT_LOG: &str = "/var/log/cloud-init-output.log";

/// Where user-data installs the program. `/usr/local/bin` is in every PATH and exists on every distribution; unlike
/// `/tmp`, `/var/tmp` and `/opt`, it is not mounted `noexec` or cleaned at boot.
pub const BINARY_PATH: &str = "/usr/local/bin/arc-enroll";

/// The validated settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Arc machine to create.
    pub azure: Azure,
    /// The managed identity to request tokens for.
    pub identity: Identity,
    /// The sidecar that issues tokens.
    pub imds: Imds,
    /// The proxy of the cloud services network.
    pub proxy: Proxy,
    /// The Connected Machine agent.
    pub agent: Agent,
    /// Retry windows.
    pub wait: WaitSettings,
    /// Automatic repair.
    pub repair: RepairSettings,
    /// The log file and level.
    pub log: Log,
}

/// The target of the enrollment, with the names that `azcmagent connect` uses.
#[derive(Clone, Debug)]
pub struct Azure {
    /// Subscription of the Arc machine.
    pub subscription_id: Guid,
    /// Resource group of the Arc machine.
    pub resource_group: ResourceGroup,
    /// Region of the Arc machine.
    pub location: Location,
    /// Tenant of the subscription; when absent, the tenant in the token.
    pub tenant_id: Option<Guid>,
    /// Name of the Arc machine; when absent, a valid name derived from the hostname.
    pub resource_name: Option<ResourceName>,
    /// The Azure cloud.
    pub cloud: Cloud,
    /// Tags of the Arc machine.
    pub tags: Pairs,
    /// Private link scope, if private endpoints are used.
    pub private_link_scope: Option<ResourceId>,
    /// Arc gateway, if one is used.
    pub gateway_id: Option<ResourceId>,
    /// Correlation id of the onboarding; when absent, the id of the run.
    pub correlation_id: Option<Guid>,
}

impl Azure {
    /// The resource id of the resource group.
    pub fn scope(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription_id, self.resource_group)
    }
}

/// The Azure clouds that support Arc-enabled servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// The public cloud.
    Public,
    /// Azure Government.
    UsGovernment,
    /// Azure operated by 21Vianet in China.
    China,
}

impl Cloud {
    /// The name that azcmagent uses for this cloud.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "AzureCloud",
            Self::UsGovernment => "AzureUSGovernment",
            Self::China => "AzureChinaCloud",
        }
    }

    /// Every cloud.
    pub const ALL: [Self; 3] = [Self::Public, Self::UsGovernment, Self::China];
}

/// The IMDS sidecar.
#[derive(Clone, Debug)]
pub struct Imds {
    /// Scheme, host and port, without path and trailing slash.
    pub endpoint: String,
    /// The resource to request tokens for; it becomes the `aud` claim.
    pub resource: String,
}

impl Imds {
    /// The host of the endpoint.
    pub fn host(&self) -> Option<&str> {
        Url::split(&self.endpoint).map(|url| url.host())
    }
}

/// The proxy settings to apply on the VM.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The proxy; `None` for direct connections.
    pub url: Option<ProxyUrl>,
    /// Hosts, addresses and networks to reach without the proxy.
    pub no_proxy: Vec<String>,
    /// Whether the settings are written to the proxy files of the system.
    pub persist: bool,
}

/// How azcmagent is installed and used.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The installation method.
    pub install: Install,
    /// The version to install and keep, in the notation of the package manager or script.
    pub version: Option<String>,
    /// Fingerprints (40 upper-case hex digits) of repository keys to trust; when empty, Microsoft's keys.
    pub repository_key: Vec<String>,
    /// How the token is passed to `azcmagent connect`.
    pub token: TokenHandover,
    /// Whether to override azcmagent's rejection of Azure VMs.
    pub allow_azure_vm: bool,
}

/// The ways to install azcmagent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Install {
    /// By the package manager from packages.microsoft.com.
    Repository,
    /// By Microsoft's install script.
    Script,
    /// From one package file.
    Package(Package),
    /// No installation: azcmagent must already be installed.
    Never,
}

/// A package file to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its location.
    pub source: PackageSource,
    /// Its SHA-256, 64 lower-case hex digits.
    pub sha256: String,
}

/// The location of a package file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageSource {
    /// A path on this VM, below `--root`.
    File(PathBuf),
    /// A URL that is fetched through the proxy.
    Url(String),
}

/// How the token is passed to `azcmagent connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenHandover {
    /// In a private file in memory.
    File,
    /// On the command line, where any process on the VM can read it; for versions that ignore the file.
    Argument,
}

/// Retry windows.
#[derive(Clone, Debug)]
pub struct WaitSettings {
    /// The total time of one `enroll`.
    pub boot: Duration,
    /// How long to retry while no token is issued.
    pub token: Duration,
    /// How long to retry while a role assignment is missing.
    pub access: Duration,
    /// How long to retry while the network, the proxy or an endpoint is unavailable.
    pub endpoint: Duration,
}

impl WaitSettings {
    /// How long a condition with this window is retried.
    pub fn window(&self, window: Window) -> Duration {
        match window {
            Window::Endpoint => self.endpoint,
            Window::Token => self.token,
            Window::EndpointOrToken => self.endpoint.min(self.token),
            Window::Access => self.access,
        }
    }
}

/// Automatic repair.
#[derive(Clone, Debug)]
pub struct RepairSettings {
    /// Whether the repair timer is installed.
    pub timer: bool,
    /// The interval between runs of the timer.
    pub every: Duration,
    /// Whether an Expired Arc machine may be deleted and created again.
    pub recreate_expired: bool,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    /// The file that receives the JSON lines, below `--root`.
    pub file: PathBuf,
    /// Lines less severe than this are not written.
    pub level: Level,
}

/// Levels of log lines, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Failures that end a run.
    Error,
    /// Delays and losses.
    Warn,
    /// Progress.
    Info,
    /// Every attempt and every change.
    Debug,
    /// All details.
    Trace,
}

#[cfg(test)]
mod tests;
