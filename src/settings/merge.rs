//! Merges file, flags, environment and defaults into [`Settings`], or reports all problems at once.

use std::path::PathBuf;
use std::time::Duration;

use super::node::{Scalar, Value};
use super::overrides::Overrides;
use super::raw::{parse_one_of, Check, Document, Found, Problem, Problems};
use super::values::excerpt;
use super::{
    checks, tags, Agent, Azure, Cloud, Guid, Identity, Imds, Install, Level, Location, Log, Package,
    PackageSource, Proxy, ProxyUrl, RepairSettings, ResourceGroup, ResourceId, ResourceName, Settings,
    TokenHandover, WaitSettings,
};
use crate::model::pairs::Pairs;

/// The proxy address of every cloud services network (Operator Nexus documentation).
const CSN_PROXY: &str = "http://169.254.0.11:3128";

/// The default entries of `proxy.no_proxy`.
const NO_PROXY: [&str; 4] = ["localhost", "127.0.0.1", "::1", "169.254.169.254"];

/// Longest retry window; beyond a day the repair timer retries.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest interval of the repair timer; an Arc machine expires after 45 days without contact.
const LONGEST_INTERVAL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Shortest interval of the repair timer; a shorter one would start runs back to back.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);

/// Parses and merges the settings. `text` is the content of the file, `None` without a file; `origin` names the file
/// in messages.
///
/// # Errors
/// All problems of the configuration.
pub fn load(text: Option<&str>, origin: &str, overrides: &Overrides) -> Result<Settings, Problems> {
    // The YAML parser counts a byte order mark as a column, so that the second key would be an error.
    let text = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let document = match text {
        Some(text) => Document::parse(text, origin).map_err(|problem| Problems::new(vec![problem]))?,
        None => Document::absent(origin),
    };
    if text.is_some() && document.is_empty() && REQUIRED.iter().any(|key| overrides.get(key).is_none()) {
        let message = format!("holds no settings; required are {}", REQUIRED.join(", "));
        return Err(Problems::new(vec![Problem::in_file(origin, "", Some(1), &message)]));
    }
    Merge { document, overrides, other_problems: Vec::new() }.settings()
}

const REQUIRED: [&str; 3] = ["azure.subscription_id", "azure.resource_group", "azure.location"];

struct Merge<'a> {
    document: Document<'a>,
    overrides: &'a Overrides,
    other_problems: Vec<Problem>,
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
        problems.append(&mut self.other_problems);
        match azure {
            Some(azure) if problems.is_empty() => {
                Ok(Settings { azure, identity, imds, proxy, agent, wait, repair, log })
            }
            _ => Err(Problems::new(problems)),
        }
    }

    /// A value of the target from flag, environment or file. The value in the file is checked in any case.
    fn target<T>(&mut self, key: &str, check: Check<T>) -> Found<T> {
        let from_file = self.document.parsed(key, check);
        self.overridden(key, check).unwrap_or(from_file)
    }

    fn overridden<T>(&mut self, key: &str, check: Check<T>) -> Option<Found<T>> {
        let given = self.overrides.get(key)?;
        Some(match check(&given.value) {
            Ok(value) => Found::Valid(value),
            Err(message) => {
                self.other_problems.push(Problem::outside_file(&given.place, key, &message));
                Found::Invalid
            }
        })
    }

    fn required<T>(&mut self, key: &str, check: Check<T>) -> Option<T> {
        let found = self.target(key, check);
        if matches!(found, Found::Absent) {
            let alternatives = Overrides::alternatives(key).join(" or ");
            let message = format!("is missing and has no default; write it here or give {alternatives}");
            self.document.report(key, &message);
        }
        found.valid()
    }

    fn azure(&mut self) -> Option<Azure> {
        let subscription_id = self.required("azure.subscription_id", Guid::new);
        let resource_group = self.required("azure.resource_group", ResourceGroup::new);
        let location = self.required("azure.location", Location::new);
        let tenant_id = self.target("azure.tenant_id", Guid::new).valid();
        let resource_name = self.target("azure.resource_name", ResourceName::new).valid();
        let cloud =
            self.target("azure.cloud", |text| parse_one_of(text, &Cloud::ALL.map(|it| (it.name(), it))));
        let tags = self.tags();
        let private_link_scope = self.document.parsed("azure.private_link_scope", |text| {
            ResourceId::of_type(text, "Microsoft.HybridCompute/privateLinkScopes")
        });
        let gateway_id = self
            .document
            .parsed("azure.gateway_id", |text| ResourceId::of_type(text, "Microsoft.HybridCompute/gateways"));
        let correlation_id = self.document.parsed("azure.correlation_id", Guid::new).valid();
        Some(Azure {
            subscription_id: subscription_id?,
            resource_group: resource_group?,
            location: location?,
            tenant_id,
            resource_name,
            cloud: cloud.valid().unwrap_or(Cloud::Public),
            tags,
            private_link_scope: private_link_scope.valid(),
            gateway_id: gateway_id.valid(),
            correlation_id,
        })
    }

    fn tags(&mut self) -> Pairs {
        const KEY: &str = "azure.tags";
        let from_file = self.document.tags(KEY);
        self.overridden(KEY, tags::parse).map_or(from_file, Found::valid).unwrap_or_default()
    }

    fn identity(&mut self) -> Identity {
        let from_file = self.identity_from_file();
        let found = self.overridden("identity", Identity::from_resource_id).unwrap_or(from_file);
        found.valid().unwrap_or(Identity::System)
    }

    fn identity_from_file(&mut self) -> Found<Identity> {
        const FORMS: &str = "write system, {resource_id: …}, {client_id: …} or {object_id: …}";
        let Some(node) = self.document.value("identity") else { return Found::Absent };
        let message = match (&node.value, node.as_text()) {
            (Value::Mapping(_), _) => return self.user_assigned(FORMS),
            (_, Some("system")) => return Found::Valid(Identity::System),
            (_, Some(text)) if text.starts_with('/') => {
                format!("an id needs its key: {{resource_id: {}}}", excerpt(text))
            }
            (_, Some(text)) => format!("{} names no identity; {FORMS}", excerpt(text)),
            _ => format!("is not an identity; {FORMS}"),
        };
        self.document.report("identity", &message);
        Found::Invalid
    }

    fn user_assigned(&mut self, forms: &str) -> Found<Identity> {
        let keys = ["identity.resource_id", "identity.client_id", "identity.object_id"];
        let given: Vec<&str> = keys.into_iter().filter(|key| self.document.value(key).is_some()).collect();
        let resource = self.document.parsed(keys[0], Identity::from_resource_id);
        let client = self.document.parsed(keys[1], |text| Guid::new(text).map(Identity::ClientId));
        let object = self.document.parsed(keys[2], |text| Guid::new(text).map(Identity::ObjectId));
        match given.len() {
            0 => {
                self.document.report("identity", &format!("names no identity; {forms}"));
                Found::Invalid
            }
            1 => [resource, client, object]
                .into_iter()
                .find(|found| *found != Found::Absent)
                .unwrap_or(Found::Absent),
            _ => {
                self.document
                    .report("identity", &format!("{} exclude each other; keep one", given.join(" and ")));
                Found::Invalid
            }
        }
    }

    fn imds(&mut self) -> Imds {
        let endpoint = self.document.parsed("imds.endpoint", checks::parse_endpoint).valid();
        let resource = self.document.parsed("imds.resource", checks::parse_resource).valid();
        Imds {
            endpoint: endpoint.unwrap_or_else(|| "http://169.254.169.254".to_owned()),
            resource: resource.unwrap_or_else(|| "https://management.azure.com/".to_owned()),
        }
    }

    fn proxy(&mut self) -> Proxy {
        let url = match self.document.parsed("proxy.url", ProxyUrl::new) {
            // An explicit null means no proxy; a missing key means the default.
            Found::Absent if self.document.is_null("proxy.url") => None,
            found => found.valid().or_else(|| ProxyUrl::new(CSN_PROXY).ok()),
        };
        let mut no_proxy: Vec<String> = Vec::new();
        match self.document.list("proxy.no_proxy", checks::parse_no_proxy_entry) {
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
            parse_one_of(text, &[("file", TokenHandover::File), ("argument", TokenHandover::Argument)])
        });
        Agent {
            install,
            version: self.document.parsed("agent.version", checks::parse_version).valid(),
            repository_key: self.repository_key(),
            token: token.valid().unwrap_or(TokenHandover::File),
            allow_azure_vm: self.document.boolean("agent.allow_azure_vm", false),
        }
    }

    fn install(&mut self) -> Install {
        const FORM: &str = "{file: /PATH, sha256: …} or {url: https://…, sha256: …}";
        let found = self.document.parsed("agent.install", |text| {
            parse_one_of(text, &[("repository", 0), ("script", 1), ("package", 2), ("never", 3)])
        });
        let package = self.package(FORM);
        let method = match found {
            Found::Valid(method) => method,
            Found::Absent => 0,
            Found::Invalid => return Install::Never,
        };
        match (method, package) {
            (2, Found::Valid(package)) => return Install::Package(package),
            (2, Found::Absent) => {
                self.document
                    .report("agent.package", &format!("is missing; `install: package` needs {FORM}"));
            }
            (_, Found::Valid(_) | Found::Invalid) if method != 2 => {
                let message = "is only used with `install: package`; set that or remove the package";
                self.document.report("agent.package", message);
            }
            _ => {}
        }
        match method {
            0 => Install::Repository,
            1 => Install::Script,
            _ => Install::Never,
        }
    }

    fn package(&mut self, form: &str) -> Found<Package> {
        let Some(node) = self.document.value("agent.package") else { return Found::Absent };
        if !matches!(node.value, Value::Mapping(_)) {
            self.document.report("agent.package", &format!("must be {form}"));
            return Found::Invalid;
        }
        let file = self.document.parsed("agent.package.file", checks::parse_file_path);
        let url = self.document.parsed("agent.package.url", checks::parse_package_url);
        let digest = self.document.parsed("agent.package.sha256", checks::parse_sha256);
        if digest == Found::Absent {
            self.document
                .report("agent.package.sha256", "is missing; write the output of sha256sum for the package");
        }
        let source = match (file, url) {
            (Found::Absent, Found::Absent) => {
                self.document.report("agent.package", &format!("names neither file nor url; write {form}"));
                None
            }
            (file, Found::Absent) => file.valid().map(PackageSource::File),
            (Found::Absent, url) => url.valid().map(PackageSource::Url),
            _ => {
                self.document.report("agent.package", "file and url exclude each other; keep one");
                None
            }
        };
        match (source, digest) {
            (Some(source), Found::Valid(sha256)) => Found::Valid(Package { source, sha256 }),
            _ => Found::Invalid,
        }
    }

    fn repository_key(&mut self) -> Vec<String> {
        const KEY: &str = "agent.repository_key";
        match self.document.value(KEY).map(|node| &node.value) {
            // One fingerprint may be written without a list.
            Some(Value::Scalar(Scalar::Text | Scalar::Number, _)) => {
                self.document.parsed(KEY, checks::parse_fingerprint).valid().into_iter().collect()
            }
            _ => self.document.list(KEY, checks::parse_fingerprint).unwrap_or_default(),
        }
    }

    fn wait(&mut self) -> WaitSettings {
        let mut window = |key, minutes: u64| {
            let found = self.document.parsed(key, |text| checks::parse_limited_duration(text, LONGEST_WAIT));
            found.valid().unwrap_or(Duration::from_secs(minutes * 60))
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
            let every = checks::parse_limited_duration(text, LONGEST_INTERVAL)?;
            let is_allowed = every >= SHORTEST_INTERVAL;
            let error = || format!("{} is too short; at least 10s is allowed", excerpt(text));
            is_allowed.then_some(every).ok_or_else(error)
        });
        RepairSettings {
            timer: self.document.boolean("repair.timer", true),
            every: every.valid().unwrap_or(Duration::from_secs(60 * 60)),
            recreate_expired: self.document.boolean("repair.recreate_expired", false),
        }
    }

    fn log(&mut self) -> Log {
        let file = self.document.parsed("log.file", checks::parse_file_path).valid();
        let level = self.document.parsed("log.level", |text| {
            let levels = [
                ("error", Level::Error),
                ("warn", Level::Warn),
                ("info", Level::Info),
                ("debug", Level::Debug),
                ("trace", Level::Trace),
            ];
            parse_one_of(text, &levels)
        });
        Log {
            file: file.unwrap_or_else(|| PathBuf::from(super::DEFAULT_LOG)),
            level: level.valid().unwrap_or(Level::Info),
        }
    }
}
