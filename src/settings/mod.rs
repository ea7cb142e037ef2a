//! The settings of a run: domain types that the rest of the program may rely on.
//!
//! A configuration file is read by [`raw`], joined with [`overrides`] (flags, environment) and
//! defaults by [`merge`], and every value is checked once, on its way into [`Settings`]. Nobody
//! else sees raw text.

mod checks;
mod locate;
mod merge;
mod nearest;
mod overrides;
mod proxy_url;
mod raw;
mod tags;
pub mod targets;
mod values;

pub use checks::{parse_duration, sha256};
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

/// Where the configuration is looked for when no `--config` is given, below `--root`.
pub const DEFAULT_PATH: &str = "/etc/arc-enroll/config.yaml";

/// Where user-data puts the program: a directory that is in every PATH, exists everywhere, and is never mounted
/// `noexec` or cleaned at boot, as `/tmp`, `/var/tmp` and `/opt` can be.
pub const BINARY_PATH: &str = "/usr/local/bin/arc-enroll";

/// Everything a run needs to know beforehand.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Arc machine to be made.
    pub azure: Azure,
    /// The managed identity to ask a token for.
    pub identity: Identity,
    /// The sidecar that issues tokens.
    pub imds: Imds,
    /// The proxy of the cloud services network.
    pub proxy: Proxy,
    /// The Connected Machine agent.
    pub agent: Agent,
    /// How long to wait for what.
    pub wait: WaitSettings,
    /// What may be repaired, and how often to look.
    pub repair: RepairSettings,
    /// Where the log goes.
    pub log: Log,
}

/// The target of the enrollment, spelt as `azcmagent connect` spells it.
#[derive(Clone, Debug)]
pub struct Azure {
    /// Subscription that holds the Arc machine.
    pub subscription_id: Guid,
    /// Resource group that holds the Arc machine.
    pub resource_group: ResourceGroup,
    /// Region of the Arc machine.
    pub location: Location,
    /// Tenant of the subscription; the token's own when absent.
    pub tenant_id: Option<Guid>,
    /// Name of the Arc machine; the hostname, made legal, when absent.
    pub resource_name: Option<ResourceName>,
    /// Which Azure.
    pub cloud: Cloud,
    /// Tags of the Arc machine, as they shall stand in Azure.
    pub tags: Pairs,
    /// Private link scope, when private endpoints are used.
    pub private_link_scope: Option<ResourceId>,
    /// Arc gateway, when one is used.
    pub gateway_id: Option<ResourceId>,
    /// Correlation id of the onboarding; this run's id when absent.
    pub correlation_id: Option<Guid>,
}

impl Azure {
    /// The resource group's resource id.
    pub fn scope(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription_id, self.resource_group)
    }
}

/// The Azure clouds that Arc-enabled servers exist in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// The public cloud.
    Public,
    /// Azure Government.
    UsGovernment,
    /// Azure in China.
    China,
}

impl Cloud {
    /// The name azcmagent knows this cloud by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "AzureCloud",
            Self::UsGovernment => "AzureUSGovernment",
            Self::China => "AzureChinaCloud",
        }
    }

    /// Every cloud, for parsing and for messages.
    pub const ALL: [Self; 3] = [Self::Public, Self::UsGovernment, Self::China];
}

/// The IMDS sidecar.
#[derive(Clone, Debug)]
pub struct Imds {
    /// Scheme, host and port, without a path and without a slash at the end.
    pub endpoint: String,
    /// What the token is for; becomes its `aud`.
    pub resource: String,
}

impl Imds {
    /// The host of the endpoint.
    pub fn host(&self) -> Option<&str> {
        Url::split(&self.endpoint).map(|url| url.host())
    }
}

/// The proxy settings to hold everywhere on the VM.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The proxy, or none.
    pub url: Option<ProxyUrl>,
    /// What must be reached directly; bare names and addresses.
    pub no_proxy: Vec<String>,
    /// Whether the settings are written into the system's files.
    pub persist: bool,
}

/// How azcmagent comes onto the VM and how it is used.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Where the package comes from.
    pub install: Install,
    /// The version to install and stay on, as the package manager or script spells it.
    pub version: Option<String>,
    /// Fingerprints (40 upper-case hex digits) of repository keys to trust; Microsoft's own when empty.
    pub repository_key: Vec<String>,
    /// How `azcmagent connect` gets the token.
    pub token: TokenHandover,
    /// Whether azcmagent's refusal of Azure VMs may be overridden.
    pub allow_azure_vm: bool,
}

/// The ways to install azcmagent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Install {
    /// From packages.microsoft.com by the package manager.
    Repository,
    /// By Microsoft's install script.
    Script,
    /// From one package file.
    Package(Package),
    /// Not at all: it has to be there.
    Never,
}

/// A package file to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Where it is.
    pub source: PackageSource,
    /// Its SHA-256, 64 lower-case hex digits.
    pub sha256: String,
}

/// Where a package file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageSource {
    /// On this VM, below `--root`.
    File(PathBuf),
    /// To be fetched through the proxy.
    Url(String),
}

/// How `azcmagent connect` gets the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenHandover {
    /// In a private file that only lives in memory.
    File,
    /// On the command line, for versions that ignore the file; any process on the VM can read it there.
    Argument,
}

/// Windows of waiting.
#[derive(Clone, Debug)]
pub struct WaitSettings {
    /// What one `enroll` may take in all.
    pub boot: Duration,
    /// How long a token may be missing.
    pub token: Duration,
    /// How long a role may be missing.
    pub access: Duration,
    /// How long the network, the proxy or an endpoint may be missing.
    pub endpoint: Duration,
}

impl WaitSettings {
    /// How long a failure of a condition with this window is waited for.
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
    /// How often it looks.
    pub every: Duration,
    /// Whether an Expired Arc machine may be deleted and made again.
    pub recreate_expired: bool,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    /// The file that receives the JSON lines, below `--root`.
    pub file: PathBuf,
    /// Lines below this level are not written.
    pub level: Level,
}

/// Levels of log lines, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What ends a run.
    Error,
    /// What delays a run or loses something.
    Warn,
    /// What happens.
    Info,
    /// Every attempt and every effect.
    Debug,
    /// Everything.
    Trace,
}

#[cfg(test)]
mod tests;
