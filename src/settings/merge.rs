//! File, flags, environment and defaults become [`Settings`], or the list of all their faults.

use std::path::PathBuf;
use std::time::Duration;

use serde_yaml::Value;

use super::overrides::Overrides;
use super::raw::{one_of, Check, Document, Found, Problem, Problems};
use super::values::shown;
use super::{
    checks, tags, Agent, Azure, Cloud, Guid, Identity, Imds, Install, Level, Location, Log, Package,
    PackageSource, Proxy, ProxyUrl, RepairSettings, ResourceGroup, ResourceId, ResourceName, Settings,
    TokenHandover, WaitSettings,
};
use crate::model::pairs::Pairs;

/// The proxy of every cloud services network.
const CSN_PROXY: &str = "http://169.254.0.11:3128";

/// What has to be reached directly, by default.
const NO_PROXY: [&str; 4] = ["localhost", "127.0.0.1", "::1", "169.254.169.254"];

/// Longest waiting that is allowed: beyond a day, waiting is the repair timer's.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest pause of the repair timer: an Arc machine expires after 45 days without contact.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Shortest pause of the repair timer: less would be one run after the other.
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);

/// Reads the settings. `origin` names the file in messages; without text there is no file.
pub fn load(text: Option<&str>, origin: &str, overrides: &Overrides) -> Result<Settings, Problems> {
    // The YAML reader counts a byte order mark as a column, which makes the second key an error.
    let text = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let document = match text {
        Some(text) => Document::parse(text, origin).map_err(|problem| Problems::new(vec![problem]))?,
        None => Document::absent(origin),
    };
    if text.is_some() && document.is_empty() && REQUIRED.iter().any(|key| overrides.get(key).is_none()) {
        let message = format!("holds no settings; needed are {}", REQUIRED.join(", "));
        return Err(Problems::new(vec![Problem::in_file(origin, "", Some(1), &message)]));
    }
    Merge { document, overrides, elsewhere: Vec::new() }.settings()
}

const REQUIRED: [&str; 3] = ["azure.subscription_id", "azure.resource_group", "azure.location"];

struct Merge<'a> {
    document: Document<'a>,
    overrides: &'a Overrides,
    elsewhere: Vec<Problem>,
}

impl Merge<'_> {
    fn settings(mut self) -> Result<Settings, Problems> {
        let azure = self.azure();
        let identity = self.identity();
        let imds = self.imds();
        let proxy = self.proxy();
        let agent = self.agent();
        let wait = self.wait();
        let repair = self.repair();
        let log = self.log();
        let mut problems = self.document.into_problems();
        problems.append(&mut self.elsewhere);
        match azure {
            Some(azure) if problems.is_empty() => {
                Ok(Settings { azure, identity, imds, proxy, agent, wait, repair, log })
            }
            _ => Err(Problems::new(problems)),
        }
    }

    /// A value of the target: flag, environment, file. The file's own value is checked in any case.
    fn target<T>(&mut self, key: &str, check: Check<T>) -> Found<T> {
        let from_file = self.document.parsed(key, check);
        self.overridden(key, check).unwrap_or(from_file)
    }

    fn overridden<T>(&mut self, key: &str, check: Check<T>) -> Option<Found<T>> {
        let given = self.overrides.get(key)?;
        Some(match check(&given.value) {
            Ok(value) => Found::Right(value),
            Err(message) => {
                self.elsewhere.push(Problem::elsewhere(&given.place, key, &message));
                Found::Wrong
            }
        })
    }

    fn required<T>(&mut self, key: &str, check: Check<T>) -> Option<T> {
        let found = self.target(key, check);
        if matches!(found, Found::Absent) {
            let ways = Overrides::ways(key).join(" or ");
            self.document.fault(key, &format!("is missing and has no default; write it here or give {ways}"));
        }
        found.right()
    }

    fn azure(&mut self) -> Option<Azure> {
        let subscription_id = self.required("azure.subscription_id", Guid::new);
        let resource_group = self.required("azure.resource_group", ResourceGroup::new);
        let location = self.required("azure.location", Location::new);
        let tenant_id = self.target("azure.tenant_id", Guid::new).right();
        let resource_name = self.target("azure.resource_name", ResourceName::new).right();
        let cloud = self.target("azure.cloud", |text| one_of(text, &Cloud::ALL.map(|it| (it.name(), it))));
        let tags = self.tags();
        let private_link_scope = self.document.parsed("azure.private_link_scope", |text| {
            ResourceId::of_type(text, "Microsoft.HybridCompute/privateLinkScopes")
        });
        let gateway_id = self
            .document
            .parsed("azure.gateway_id", |text| ResourceId::of_type(text, "Microsoft.HybridCompute/gateways"));
        let correlation_id = self.document.parsed("azure.correlation_id", Guid::new).right();
        Some(Azure {
            subscription_id: subscription_id?,
            resource_group: resource_group?,
            location: location?,
            tenant_id,
            resource_name,
            cloud: cloud.right().unwrap_or(Cloud::Public),
            tags,
            private_link_scope: private_link_scope.right(),
            gateway_id: gateway_id.right(),
            correlation_id,
        })
    }

    fn tags(&mut self) -> Pairs {
        const KEY: &str = "azure.tags";
        let from_file = self.document.tags(KEY);
        self.overridden(KEY, tags::parse).map_or(from_file, Found::right).unwrap_or_default()
    }

    fn identity(&mut self) -> Identity {
        let from_file = self.identity_of_file();
        let found = self.overridden("identity", Identity::from_resource_id).unwrap_or(from_file);
        found.right().unwrap_or(Identity::System)
    }

    fn identity_of_file(&mut self) -> Found<Identity> {
        const FORMS: &str = "write system, {resource_id: …}, {client_id: …} or {object_id: …}";
        let message = match self.document.value("identity") {
            None => return Found::Absent,
            Some(Value::String(text)) if text == "system" => return Found::Right(Identity::System),
            Some(Value::Mapping(_)) => return self.user_assigned(FORMS),
            Some(Value::String(text)) if text.starts_with('/') => {
                format!("an id needs its key: {{resource_id: {}}}", shown(text))
            }
            Some(Value::String(text)) => format!("{} names no identity; {FORMS}", shown(text)),
            Some(_) => format!("is not an identity; {FORMS}"),
        };
        self.document.fault("identity", &message);
        Found::Wrong
    }

    fn user_assigned(&mut self, forms: &str) -> Found<Identity> {
        let keys = ["identity.resource_id", "identity.client_id", "identity.object_id"];
        let given: Vec<&str> = keys.into_iter().filter(|key| self.document.value(key).is_some()).collect();
        let resource = self.document.parsed(keys[0], Identity::from_resource_id);
        let client = self.document.parsed(keys[1], |text| Guid::new(text).map(Identity::ClientId));
        let object = self.document.parsed(keys[2], |text| Guid::new(text).map(Identity::ObjectId));
        match given.len() {
            0 => {
                self.document.fault("identity", &format!("names no identity; {forms}"));
                Found::Wrong
            }
            1 => [resource, client, object]
                .into_iter()
                .find(|found| *found != Found::Absent)
                .unwrap_or(Found::Absent),
            _ => {
                self.document
                    .fault("identity", &format!("{} exclude one another; keep one", given.join(" and ")));
                Found::Wrong
            }
        }
    }

    fn imds(&mut self) -> Imds {
        let endpoint = self.document.parsed("imds.endpoint", checks::endpoint).right();
        let resource = self.document.parsed("imds.resource", checks::resource).right();
        Imds {
            endpoint: endpoint.unwrap_or_else(|| "http://169.254.169.254".to_owned()),
            resource: resource.unwrap_or_else(|| "https://management.azure.com/".to_owned()),
        }
    }

    fn proxy(&mut self) -> Proxy {
        let url = match self.document.parsed("proxy.url", ProxyUrl::new) {
            // Here null is a choice, not an omission.
            Found::Absent if self.document.is_null("proxy.url") => None,
            found => found.right().or_else(|| ProxyUrl::new(CSN_PROXY).ok()),
        };
        let mut no_proxy: Vec<String> = Vec::new();
        match self.document.list("proxy.no_proxy", checks::no_proxy_entry) {
            None => no_proxy.extend(NO_PROXY.map(str::to_owned)),
            Some(entries) => entries.into_iter().for_each(|entry| {
                if !no_proxy.contains(&entry) {
                    no_proxy.push(entry);
                }
            }),
        }
        Proxy { url, no_proxy, persist: self.document.boolean("proxy.persist", true) }
    }

    fn agent(&mut self) -> Agent {
        let install = self.install();
        let token = self.document.parsed("agent.token", |text| {
            one_of(text, &[("file", TokenHandover::File), ("argument", TokenHandover::Argument)])
        });
        Agent {
            install,
            version: self.document.parsed("agent.version", checks::version).right(),
            repository_key: self.repository_key(),
            token: token.right().unwrap_or(TokenHandover::File),
            allow_azure_vm: self.document.boolean("agent.allow_azure_vm", false),
        }
    }

    fn install(&mut self) -> Install {
        const FORM: &str = "{file: /PATH, sha256: …} or {url: https://…, sha256: …}";
        let found = self.document.parsed("agent.install", |text| {
            one_of(text, &[("repository", 0), ("script", 1), ("package", 2), ("never", 3)])
        });
        let package = self.package(FORM);
        let way = match found {
            Found::Right(way) => way,
            Found::Absent => 0,
            Found::Wrong => return Install::Never,
        };
        match (way, package) {
            (2, Found::Right(package)) => return Install::Package(package),
            (2, Found::Absent) => {
                self.document.fault("agent.package", &format!("is missing; `install: package` needs {FORM}"));
            }
            (_, Found::Right(_) | Found::Wrong) if way != 2 => {
                let message = "is only used with `install: package`; set that or remove the package";
                self.document.fault("agent.package", message);
            }
            _ => {}
        }
        match way {
            0 => Install::Repository,
            1 => Install::Script,
            _ => Install::Never,
        }
    }

    fn package(&mut self, form: &str) -> Found<Package> {
        match self.document.value("agent.package") {
            None => return Found::Absent,
            Some(Value::Mapping(_)) => {}
            Some(_) => {
                self.document.fault("agent.package", &format!("must be {form}"));
                return Found::Wrong;
            }
        }
        let file = self.document.parsed("agent.package.file", checks::file);
        let url = self.document.parsed("agent.package.url", checks::web_address);
        let digest = self.document.parsed("agent.package.sha256", checks::sha256);
        if digest == Found::Absent {
            self.document
                .fault("agent.package.sha256", "is missing; write the output of sha256sum for the package");
        }
        let source = match (file, url) {
            (Found::Absent, Found::Absent) => {
                self.document.fault("agent.package", &format!("names neither file nor url; write {form}"));
                None
            }
            (file, Found::Absent) => file.right().map(PackageSource::File),
            (Found::Absent, url) => url.right().map(PackageSource::Url),
            _ => {
                self.document.fault("agent.package", "file and url exclude one another; keep one");
                None
            }
        };
        match (source, digest) {
            (Some(source), Found::Right(sha256)) => Found::Right(Package { source, sha256 }),
            _ => Found::Wrong,
        }
    }

    fn repository_key(&mut self) -> Vec<String> {
        const KEY: &str = "agent.repository_key";
        match self.document.value(KEY) {
            // One fingerprint may stand without the list around it.
            Some(Value::String(_) | Value::Number(_)) => {
                self.document.parsed(KEY, checks::fingerprint).right().into_iter().collect()
            }
            _ => self.document.list(KEY, checks::fingerprint).unwrap_or_default(),
        }
    }

    fn wait(&mut self) -> WaitSettings {
        let mut window = |key, minutes: u64| {
            let found = self.document.parsed(key, |text| checks::duration(text, LONGEST_WAIT));
            found.right().unwrap_or(Duration::from_secs(minutes * 60))
        };
        WaitSettings {
            boot: window("wait.boot", 15),
            token: window("wait.token", 10),
            access: window("wait.access", 10),
            endpoint: window("wait.endpoint", 5),
        }
    }

    fn repair(&mut self) -> RepairSettings {
        let every = self.document.parsed("repair.every", |text| {
            let every = checks::duration(text, LONGEST_PAUSE)?;
            let is_sane = every >= SHORTEST_PAUSE;
            let fault = || format!("{} is too short; at least 10s is allowed", shown(text));
            is_sane.then_some(every).ok_or_else(fault)
        });
        RepairSettings {
            timer: self.document.boolean("repair.timer", true),
            every: every.right().unwrap_or(Duration::from_secs(60 * 60)),
            recreate_expired: self.document.boolean("repair.recreate_expired", false),
        }
    }

    fn log(&mut self) -> Log {
        let file = self.document.parsed("log.file", checks::file).right();
        let level = self.document.parsed("log.level", |text| {
            let levels = [
                ("error", Level::Error),
                ("warn", Level::Warn),
                ("info", Level::Info),
                ("debug", Level::Debug),
                ("trace", Level::Trace),
            ];
            one_of(text, &levels)
        });
        Log {
            file: file.unwrap_or_else(|| PathBuf::from("/var/log/cloud-init-output.log")),
            level: level.right().unwrap_or(Level::Info),
        }
    }
}
