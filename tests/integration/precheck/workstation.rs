//! The operator's workstation: a folder with a stand-in for az, its world, and a configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{json, Value};
use tempfile::TempDir;

use crate::nexus::spec::{
    LOCATION, RESOURCE_GROUP, SUBSCRIPTION, SYSTEM_OBJECT, TENANT, USER_CLIENT, USER_OBJECT,
};
use crate::nexus::vm::agent_program;

/// A secret in the VM's user-data and in the password of the workstation's proxy, which must never be shown.
const SECRET: &str = "dG9wLXNlY3JldC11c2VyLWRhdGE";

/// The az commands that precheck may run, which change nothing.
const LOOKS: [&str; 5] = ["show", "list", "version", "assignment list", "definition list"];

pub const VM: &str = "web-1";
pub const CSN: &str = "csn-1";
pub const OTHER_GROUP: &str = "network-rg";

pub fn group_id() -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}")
}

/// Id of a Nexus resource in the resource group.
pub fn nexus_id(kind: &str, name: &str) -> String {
    format!("{}/providers/Microsoft.NetworkCloud/{kind}/{name}", group_id())
}

pub fn uami_id(name: &str) -> String {
    format!("{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}", group_id())
}

/// The guide's first role.
pub const MANAGER: (&str, &str) =
    ("Azure Connected Machine Resource Manager", "f5819b54-e033-4d82-ac66-4fec3cbf3f4c");
/// The guide's second role.
pub const LIST_ACCESS: (&str, &str) =
    ("HybridCompute Machine ListAccessDetails Action", "e9701b4d-e6e7-4657-91cd-360a0881d224");

/// A role assignment as az lists it.
pub fn assigned((name, id): (&str, &str), principal: &str, scope: &str) -> Value {
    json!({
        "id": format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{id}-{principal}"),
        "principalId": principal, "principalType": "ServicePrincipal", "scope": scope,
        "roleDefinitionId": format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{id}"),
        "roleDefinitionName": name, "condition": null,
    })
}

/// Categories as a cloud services network lists them.
pub fn endpoints(category: &str, names: &[&str]) -> Value {
    let endpoints: Vec<Value> = names.iter().map(|name| json!({"domainName": name, "port": 443})).collect();
    json!({"category": category, "endpoints": endpoints})
}

/// The endpoints that Arc needs, as the platform lists them.
pub const ARC: [&str; 6] = [
    "management.azure.com",
    "login.microsoftonline.com",
    "pas.windows.net",
    "*.his.arc.azure.com",
    "*.guestconfiguration.azure.com",
    "guestnotificationservice.azure.com",
];

pub fn csn(name: &str) -> Value {
    json!({
        "name": name, "id": nexus_id("cloudServicesNetworks", name), "type": "microsoft.networkcloud/cloudservicesnetworks",
        "clusterId": nexus_id("clusters", "cluster-1"), "provisioningState": "Succeeded", "detailedStatus": "Available",
        "detailedStatusMessage": "", "enableDefaultEgressEndpoints": "True",
        "additionalEgressEndpoints": [endpoints("packages", &["packages.microsoft.com"])],
        "enabledEgressEndpoints": [endpoints("default", &ARC), endpoints("packages", &["packages.microsoft.com"])],
        "systemData": {"createdBy": "someone"}, "unknownMember": [1, {"a": null}],
    })
}

pub fn vm(identity: Value) -> Value {
    json!({
        "name": VM, "id": nexus_id("virtualMachines", VM), "provisioningState": "Succeeded", "identity": identity,
        "clusterId": nexus_id("clusters", "cluster-1"), "userDataContent": SECRET.repeat(100),
        "cloudServicesNetworkAttachment": {"attachedNetworkId": nexus_id("cloudServicesNetworks", CSN), "name": "csn"},
    })
}

pub fn system() -> Value {
    json!({"type": "SystemAssigned", "principalId": SYSTEM_OBJECT, "tenantId": TENANT, "userAssignedIdentities": null})
}

pub fn user(name: &str) -> Value {
    json!({
        "type": "UserAssigned", "principalId": null,
        "userAssignedIdentities": {uami_id(name): {"principalId": USER_OBJECT, "clientId": USER_CLIENT}},
    })
}

/// A correct setup: a VM with a system-assigned and a user-assigned identity, both with
/// their roles.
pub fn world() -> Value {
    let group = group_id();
    let roles = [MANAGER, LIST_ACCESS];
    let assignments: Vec<Value> = [SYSTEM_OBJECT, USER_OBJECT]
        .iter()
        .flat_map(|principal| roles.map(|role| assigned(role, principal, &group)))
        .collect();
    json!({
        "version": {"azure-cli": "2.91.0", "azure-cli-core": "2.91.0", "extensions": {"networkcloud": "4.0.0b1"}},
        "account": {
            "id": SUBSCRIPTION, "name": "contoso", "state": "Enabled", "tenantId": TENANT,
            "environmentName": "AzureCloud", "user": {"name": "operator@contoso.com", "type": "user"},
        },
        "groups": [{"name": RESOURCE_GROUP, "id": group, "location": LOCATION}],
        "providers": {
            "Microsoft.HybridCompute": "Registered", "Microsoft.GuestConfiguration": "Registered",
            "Microsoft.HybridConnectivity": "Registered",
        },
        "cloudServicesNetworks": [csn(CSN)],
        "virtualMachines": [vm(system())],
        "clusters": [{"name": "cluster-1", "id": nexus_id("clusters", "cluster-1"), "clusterVersion": "4.7.2",
            "availableUpgradeVersions": []}],
        "identities": [{"name": "uami", "id": uami_id("uami"), "principalId": USER_OBJECT, "clientId": USER_CLIENT}],
        "assignments": assignments, "definitions": [], "said": [],
    })
}

/// The workstation.
pub struct Workstation {
    folder: TempDir,
    config: String,
}

/// One run of precheck.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Workstation {
    /// With this world, and the least configuration.
    pub fn new(world: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let workstation = Self { folder, config: String::new() };
        let az = workstation.path("az");
        fs::write(&az, include_str!("az.py")).expect("az");
        fs::set_permissions(&az, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
        fs::write(workstation.path("world.json"), world.to_string()).expect("a world");
        workstation
    }

    /// With more lines of configuration.
    pub fn configured(mut self, more: &str) -> Self {
        self.config.push_str(more);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, before it is started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let config = format!(
            "azure: {{subscription_id: {SUBSCRIPTION}, resource_group: {RESOURCE_GROUP}, location: {LOCATION}}}\n{}",
            self.config
        );
        fs::write(self.path("nexus.yaml"), config).expect("a configuration");
        let mut command = Command::new(agent_program());
        command.args(["precheck", "--config"]).arg(self.path("nexus.yaml")).args(arguments).env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", self.folder.path().display()));
        command
            .env("HOME", self.folder.path())
            .env("HTTPS_PROXY", format!("http://operator:{SECRET}@proxy.contoso:8080"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let run = Run {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        assert!(
            !run.stdout.contains(SECRET) && !run.stderr.contains(SECRET),
            "a secret is shown: {}",
            run.stdout
        );
        self.assert_only_looked();
        run
    }

    /// The calls of az so far.
    pub fn calls(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("calls.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a call")).collect()
    }

    fn assert_only_looked(&self) {
        for call in self.calls() {
            let words: Vec<&str> =
                call["argv"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
            let verb =
                words.iter().take_while(|word| !word.starts_with("--")).last().copied().unwrap_or_default();
            assert!(LOOKS.contains(&verb), "{words:?} is no look");
            assert_eq!(call["stdin"], "", "az could ask");
        }
    }
}

impl Run {
    /// The rows of the JSON form by name.
    pub fn rows(&self) -> BTreeMap<String, Value> {
        let value: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout));
        assert_eq!(
            (&value["version"], &value["exit_code"]),
            (&1.into(), &self.code.into()),
            "{}",
            self.stdout
        );
        let rows = value["conditions"].as_array().expect("rows");
        rows.iter().map(|row| (row["check"].as_str().expect("a name").to_owned(), row.clone())).collect()
    }

    /// Standard output with continued lines joined and single spaces.
    pub fn unfolded(&self) -> String {
        let text = self.stdout.replace(" \\\n", " ").replace("\\\n", "");
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
    }
}

/// One test of a fault: the world, the options, and the expected report.
pub struct Met {
    world: Value,
    config: &'static str,
    arguments: Vec<&'static str>,
    exit: i32,
    check: &'static str,
    seen: Vec<String>,
    remedy: Vec<String>,
    without: Vec<&'static str>,
}

impl Met {
    /// The fault is in this row, with this exit code.
    pub fn new(check: &'static str, exit: i32) -> Self {
        let (arguments, seen, remedy, without) = (vec!["--vm", VM], Vec::new(), Vec::new(), Vec::new());
        Self { world: world(), config: "", arguments, exit, check, seen, remedy, without }
    }

    pub fn world(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.world);
        self
    }

    /// az has this result for every call that contains `to`.
    pub fn said(self, to: &str, code: i32, stdout: &str, stderr: &str) -> Self {
        let said = json!({"to": to, "code": code, "stdout": stdout, "stderr": stderr});
        self.world(|world| world["said"].as_array_mut().expect("a list").push(said))
    }

    pub fn config(self, config: &'static str) -> Self {
        Self { config, ..self }
    }

    pub fn arguments(self, arguments: &[&'static str]) -> Self {
        Self { arguments: arguments.to_vec(), ..self }
    }

    /// Expects this text in the evidence.
    pub fn seen(mut self, words: impl Into<String>) -> Self {
        self.seen.push(words.into());
        self
    }

    /// Expects this text in the remediation.
    pub fn remedy(mut self, words: impl Into<String>) -> Self {
        self.remedy.push(words.into());
        self
    }

    /// Expects that this text is not in the remediation.
    pub fn without(mut self, words: &'static str) -> Self {
        self.without.push(words);
        self
    }

    /// Runs precheck with text and JSON output, and checks the report.
    pub fn assert(self, code: &str) {
        assert!(
            self.exit != 0 && !self.seen.is_empty() && !self.remedy.is_empty(),
            "{code}: nothing is asserted"
        );
        let workstation = Workstation::new(&self.world).configured(self.config);
        let run = workstation.run(&self.arguments);
        let mut arguments = self.arguments.clone();
        arguments.extend(["--output", "json"]);
        let json = workstation.run(&arguments);
        assert_eq!((run.code, json.code), (self.exit, self.exit), "{code}\n{}{}", run.stdout, run.stderr);
        let rows = json.rows();
        let row = &rows[self.check];
        assert_eq!((&row["state"], &row["fault"]), (&"fails".into(), &code.into()), "{row}\n{}", run.stdout);
        let evidence = row["evidence"].as_str().unwrap_or_default();
        for words in &self.seen {
            assert!(evidence.contains(words.as_str()), "{code}: {words:?} is not in {evidence:?}");
        }
        let remedy: Vec<&str> =
            row["remedy"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (remedy, shown) = (remedy.join("\n"), one_line(&run.unfolded()));
        for words in &self.remedy {
            assert!(remedy.contains(words.as_str()), "{code}: {words:?} is not in\n{remedy}");
            assert!(shown.contains(&one_line(words)), "{code}: {words:?} is not in\n{shown}");
        }
        for words in self.without {
            assert!(!remedy.contains(words), "{code}: {words:?} is in\n{remedy}");
        }
        assert!(
            !remedy.contains("_at}") && !remedy.contains("{az}") && !remedy.contains("{create}"),
            "{remedy}"
        );
        assert!(run.stdout.contains(code), "{}", run.stdout);
        let wide = run.stdout.lines().find(|line| line.chars().count() > 80);
        assert!(wide.is_none(), "{code}: wider than 80 columns: {wide:?}\n{}", run.stdout);
    }
}
