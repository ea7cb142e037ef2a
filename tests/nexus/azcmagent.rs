//! Stand-in for azcmagent: the documented commands, outputs and exit codes. If there is no public example of an output,
//! it is invented in the documented form; parsers must not depend on its wording.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{json, Value};

use crate::agent_package;
use crate::azcmagent_connect as connect;
use crate::azcmagent_show as show;
use crate::guest::{perform, Guest};
use crate::nexus::spec::{Outcome, AGENT_VERSION};

/// Options with a value, by their short form.
const SHORT: [(&str, &str); 8] = [
    ("-s", "subscription-id"),
    ("-g", "resource-group"),
    ("-l", "location"),
    ("-t", "tenant-id"),
    ("-n", "resource-name"),
    ("-i", "service-principal-id"),
    ("-p", "service-principal-secret"),
    ("-o", "output"),
];
const WITH_VALUE: [&str; 19] = [
    "access-token",
    "subscription-id",
    "resource-group",
    "location",
    "tenant-id",
    "user-tenant-id",
    "resource-name",
    "cloud",
    "tags",
    "correlation-id",
    "private-link-scope",
    "gateway-id",
    "automanage-profile",
    "service-principal-id",
    "service-principal-secret",
    "service-principal-cert",
    "extensions",
    "output",
    "config",
];
const SWITCHES: [(&str, &str); 11] = [
    ("-v", "verbose"),
    ("-j", "json"),
    ("-f", "force-local-only"),
    ("-h", "help"),
    ("", "no-color"),
    ("", "log-stderr"),
    ("", "use-device-code"),
    ("", "use-azcli"),
    ("", "ignore-network-check"),
    ("", "enable-automatic-upgrade"),
    ("", "os"),
];
/// `config list`, in its order, with the values of a fresh installation.
const PROPERTIES: [(&str, &str); 12] = [
    ("incomingconnections.enabled", "true"),
    ("incomingconnections.ports", "[]"),
    ("connection.type", "default"),
    ("proxy.url", ""),
    ("proxy.bypass", "[]"),
    ("extensions.allowlist", "[]"),
    ("extensions.blocklist", "[]"),
    ("guestconfiguration.enabled", "true"),
    ("extensions.enabled", "true"),
    ("config.mode", "full"),
    ("guestconfiguration.agent.cpulimit", "5"),
    ("extensions.agent.cpulimit", "5"),
];

/// A parsed command line; flags override the file of `--config`.
#[derive(Debug, Default)]
pub struct Options {
    pub words: Vec<String>,
    pub flags: BTreeMap<String, String>,
    pub file: BTreeMap<String, String>,
    pub config: Option<PathBuf>,
}

impl Options {
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.flags.get(name).or_else(|| self.file.get(name));
        found.map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "true")
    }
}

pub fn run(guest: &Guest) -> u8 {
    let options = match parse(&guest.arguments) {
        Ok(options) => options,
        Err((code, text)) => {
            guest.called(&["azcmagent"], None);
            println!("{text}");
            return code;
        }
    };
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    let name = match words.as_slice() {
        ["config", verb, ..] => format!("azcmagent config {verb}"),
        [verb, ..] => format!("azcmagent {verb}"),
        [] => "azcmagent".to_owned(),
    };
    let outcome = guest.called(&[&name, "azcmagent"], options.config.as_deref());
    let token = options.get("access-token").unwrap_or("").to_owned();
    if let Some(code) = perform(&outcome, &token) {
        return code;
    }
    if let Outcome::Fail { azcm, message } = &outcome {
        return fail(*azcm, message);
    }
    match words.as_slice() {
        ["version"] => {
            let installed = agent_package::load(guest).installed.get("azcmagent").cloned();
            println!("azcmagent version  {}", installed.unwrap_or_else(|| AGENT_VERSION.to_owned()));
            0
        }
        ["show", ..] => show::run(guest, &options, &outcome),
        ["connect"] => connect::run(guest, &options, &outcome),
        ["disconnect"] => disconnect(guest, &options),
        ["config", rest @ ..] => config(guest, rest),
        ["check"] => connect::check(guest, &options),
        ["logs"] => {
            println!("INFO    Creating zip file azcmagent-logs.zip");
            0
        }
        _ => {
            println!("Azure Connected Machine Agent\n\nUsage:\n  azcmagent [command]");
            if words.is_empty() {
                0
            } else {
                101
            }
        }
    }
}

fn parse(arguments: &[String]) -> Result<Options, (u8, String)> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let (flag, mut value) = match word.split_once('=') {
            Some((flag, value)) if word.starts_with('-') => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let long = flag.strip_prefix("--");
        let valued = WITH_VALUE.iter().find(|name| long == Some(**name)).copied();
        let short = SHORT.iter().find(|(short, _)| *short == flag).map(|(_, name)| *name);
        let switch = SWITCHES
            .iter()
            .find(|(short, name)| long == Some(*name) || (!short.is_empty() && *short == flag));
        if let Some((_, name)) = switch {
            options.flags.insert((*name).to_owned(), value.unwrap_or_else(|| "true".to_owned()));
        } else if let Some(name) = valued.or(short) {
            value = value.or_else(|| rest.next().cloned());
            let value = value.ok_or_else(|| (101, format!("Error: flag needs an argument: {flag}")))?;
            options.flags.insert(name.to_owned(), value);
        } else if flag.starts_with('-') {
            return Err((101, format!("Error: unknown flag: {flag}")));
        } else {
            options.words.push(word.clone());
        }
    }
    if let Some(path) = options.flags.remove("config") {
        let missing = |_| (19, trailer(19, &format!("open {path}: no such file or directory")));
        let text = fs::read_to_string(&path).map_err(missing)?;
        options.file = settings(&text).map_err(|error| (27, trailer(27, &error)))?;
        options.config = Some(PathBuf::from(path));
    }
    Ok(options)
}

/// Reads `flag-name: value` pairs from JSON or from the simplest YAML.
fn settings(text: &str) -> Result<BTreeMap<String, String>, String> {
    if text.trim_start().starts_with('{') {
        let object: BTreeMap<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let plain = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return Ok(object.into_iter().map(|(name, value)| (name, plain(value))).collect());
    }
    let lines =
        text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#') && *line != "---");
    let pairs = lines.map(|line| line.split_once(':').ok_or_else(|| format!("cannot read line {line:?}")));
    pairs
        .map(|pair| pair.map(|(n, v)| (n.trim().to_owned(), v.trim().trim_matches(['"', '\'']).to_owned())))
        .collect()
}

fn config(guest: &Guest, words: &[&str]) -> u8 {
    let file = guest.path("var/opt/azcmagent/localconfig.json");
    let mut all: BTreeMap<String, String> = guest.read_json(&file);
    let value = |all: &BTreeMap<String, String>, name: &str| {
        let preset = PROPERTIES.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
        all.get(name).cloned().unwrap_or_else(|| preset.to_owned())
    };
    let known = |name: &str| PROPERTIES.iter().any(|(known, _)| *known == name);
    match words {
        ["list"] => {
            println!("Local Configuration Settings");
            for (name, _) in PROPERTIES {
                println!("  {name:<54}: {}", value(&all, name));
            }
            0
        }
        [_, name, ..] if !known(name) => fail(23, &format!("invalid property name: {name}")),
        ["get", name] => {
            println!("{}", value(&all, name));
            0
        }
        ["set", name, new] => {
            all.insert((*name).to_owned(), (*new).to_owned());
            guest.write_json(&file, &all);
            println!("Config property {name} set to value {new}");
            if name.starts_with("proxy.") {
                println!("INFO    Updating service configuration: Azure Arc Proxy");
            }
            0
        }
        ["clear", name] => {
            all.remove(*name);
            guest.write_json(&file, &all);
            println!("Config property {name} cleared");
            0
        }
        _ => 101,
    }
}

/// The proxy that the agent uses: its setting, then the environment.
pub fn proxy(guest: &Guest) -> Option<String> {
    let all: BTreeMap<String, String> = guest.read_json(&guest.path("var/opt/azcmagent/localconfig.json"));
    let own = all.get("proxy.url").filter(|url| !url.is_empty()).cloned();
    own.or_else(|| std::env::var("HTTPS_PROXY").ok()).or_else(|| std::env::var("https_proxy").ok())
}

fn disconnect(guest: &Guest, options: &Options) -> u8 {
    if !nix::unistd::geteuid().is_root() {
        println!("You must be root to execute /usr/bin/azcmagent");
        return 18;
    }
    if !options.is("force-local-only") {
        let Some(token) = options.get("access-token") else { return connect::sign_in() };
        if let Err(code) = connect::delete_resource(guest, token) {
            return code;
        }
    }
    drop(fs::remove_file(guest.path("var/opt/azcmagent/cloudconfig.json")));
    guest.write_json(&guest.path("var/opt/azcmagent/agentconfig.json"), &json!({}));
    println!("INFO    Disconnected machine from Azure");
    0
}

/// The titles of the documented codes.
fn title(code: u16) -> &'static str {
    match code {
        1 => "Default Error",
        2 => "Internal Error",
        3 => "Not Supported",
        4 => "Azure Arc Proxy is Not Running",
        12 => "Invalid Access Token",
        16 => "Missing Mandatory Parameter",
        18 => "Admin Privileges Needed",
        19 => "Configuration File Not Found",
        20 => "Unknown Region",
        23 => "Invalid Argument",
        26 => "Network Error",
        27 => "Configuration Conflict",
        41 => "Failed to Get Access Token",
        42 => "Failed to Create Resource",
        43 => "Failed to Delete Resource",
        28 => "Failed to Open TPM",
        44 => "Resource Already Exists",
        61 => "Agent Communication Error",
        62 => "Failed to Onboard Server",
        63 => "Failed to Disconnect",
        65 => "Unable to Obtain Agent Metadata",
        67 => "Machine Already Connected",
        70 => "Unable to Obtain Local Configuration",
        81 => "Failed to Get MSI Certificate from HIS",
        102 => "Failed to Generate Resource Name",
        103 => "Failed to Generate RSA Keys",
        108 => "TPM Keys",
        _ => "Error",
    }
}

/// The trailer of a failed command, in the only current form that is public.
pub fn trailer(code: u16, message: &str) -> String {
    format!(
        "INFO    Exit Code:  AZCM{code:04}: {}\nINFO    For troubleshooting, see https://aka.ms/arc/azcmerror\n\
         FATAL   {message}",
        title(code)
    )
}

pub fn fail(code: u16, message: &str) -> u8 {
    println!("{}", trailer(code, message));
    u8::try_from(code).unwrap_or(1)
}
