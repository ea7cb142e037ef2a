//! `azcmagent show` of the stand-in, as text and as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{json, Value};

use crate::agent_package;
use crate::azcmagent::{proxy, Options};
use crate::guest::Guest;
use crate::nexus::spec::{Outcome, AGENT_VERSION};
use crate::systemctl;

/// Unit, display name and state word.
type Service = (&'static str, &'static str, String);

const SERVICES: [(&str, &str); 4] = [
    ("himdsd.service", "Agent Service (himdsd)"),
    ("arcproxyd.service", "Azure Arc Proxy (arcproxyd)"),
    ("extd.service", "Extension Service (extd)"),
    ("gcad.service", "GC Service (gcad)"),
];

/// The labels of the text form and the keys of the JSON form, in the order of the text.
const LINES: [(&str, &str); 17] = [
    ("Resource Name", "resourceName"),
    ("Resource Group Name", "resourceGroup"),
    ("Resource Namespace", "resourceNamespace"),
    ("Resource Id", "resourceId"),
    ("Subscription ID", "subscriptionId"),
    ("Tenant ID", "tenantId"),
    ("VM ID", "vmId"),
    ("Correlation ID", "correlationId"),
    ("Location", "location"),
    ("Cloud", "cloud"),
    ("Agent Version", "agentVersion"),
    ("Agent Status", "status"),
    ("Agent Last Heartbeat", "lastHeartbeat"),
    ("Agent Error Code", "agentErrorCode"),
    ("Agent Error Details", "agentErrorDetails"),
    ("Using HTTPS Proxy", "httpsProxy"),
    ("Proxy Bypass List", "proxyBypass"),
];

pub fn run(guest: &Guest, options: &Options, outcome: &Outcome) -> u8 {
    let mut facts = facts(guest);
    if let Outcome::Patch(patch) = outcome {
        for (name, value) in patch.as_object().into_iter().flatten() {
            facts[name] = value.clone();
        }
    }
    if options.is("json") {
        println!("{}", serde_json::to_string_pretty(&facts).expect("facts are JSON"));
        return 0;
    }
    for (label, key) in LINES {
        println!("{label:<40}: {}", facts[key].as_str().unwrap_or(""));
    }
    println!("Dependent Service Status");
    for service in facts["services"].as_array().into_iter().flatten() {
        let text = |key: &str| service[key].as_str().unwrap_or("").to_owned();
        println!("  {:<38}: {}", text("displayName"), text("status"));
    }
    0
}

fn facts(guest: &Guest) -> Value {
    let config: BTreeMap<String, String> = guest.read_json(&guest.path("var/opt/azcmagent/agentconfig.json"));
    let cloud: Value = guest.read_json(&guest.path("var/opt/azcmagent/cloudconfig.json"));
    let services = services(guest);
    let himds = services.iter().any(|(unit, _, state)| *unit == "himdsd.service" && state == "active");
    // A machine that was never connected and one without heartbeats have the same status.
    let connected =
        cloud["connected"] == true && himds && shows_since_connect(guest) >= guest.plan.connected_after_shows;
    let text = |name: &str| config.get(name).cloned().unwrap_or_default();
    let version = agent_package::load(guest).installed.get("azcmagent").cloned();
    json!({
        "resourceName": text("resourceName"),
        "resourceGroup": text("resourceGroup"),
        "resourceNamespace": if config.is_empty() { "" } else { "Microsoft.HybridCompute" },
        "resourceId": text("resourceId"),
        "subscriptionId": text("subscriptionId"),
        "tenantId": text("tenantId"),
        "vmId": text("vmId"),
        "correlationId": text("correlationId"),
        "location": text("location"),
        "cloud": text("cloud"),
        "agentVersion": version.unwrap_or_else(|| AGENT_VERSION.to_owned()),
        "agentLogfile": "/var/opt/azcmagent/log/himds.log",
        "status": match (connected, cloud["expired"] == true) {
            (_, true) => "Expired",
            (true, false) => "Connected",
            (false, false) => "Disconnected",
        },
        "lastHeartbeat": if connected { crate::token::date(crate::token::epoch(), "T", true) } else { String::new() },
        "agentErrorCode": "", "agentErrorDetails": "", "agentErrorTimestamp": "",
        "httpsProxy": proxy(guest).unwrap_or_default(),
        "proxyBypass": "", "upstreamProxy": "", "gatewayUrl": "", "cloudProvider": "N/A",
        "services": services.iter().map(|(unit, name, state)| json!({
            "displayName": name, "serviceName": unit.trim_end_matches(".service"), "status": state,
        })).collect::<Vec<Value>>(),
    })
}

/// How often `show` was called since the machine was connected, this call included.
fn shows_since_connect(guest: &Guest) -> u32 {
    if guest.plan.connected_after_shows == 0 {
        return 0;
    }
    let text = std::fs::read_to_string(guest.home.join("calls.jsonl")).unwrap_or_default();
    let calls: Vec<&str> = text.lines().filter(|line| line.contains("\"call\":\"azcmagent")).collect();
    let start = calls.iter().rposition(|line| line.contains("azcmagent connect")).unwrap_or(0);
    let shows = calls.iter().skip(start).filter(|line| line.contains("azcmagent show")).count();
    u32::try_from(shows.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// The states of the four services: from the stand-in of systemctl, or from the real one.
pub fn services(guest: &Guest) -> Vec<Service> {
    let simulated = guest.root != Path::new("/");
    let system = simulated.then(|| systemctl::load(guest));
    let state = |unit: &str| match &system {
        Some(system) => system.units.get(unit).map_or("inactive".to_owned(), |unit| unit.active.clone()),
        None => {
            let output = Command::new("systemctl").args(["is-active", unit]).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
        }
    };
    SERVICES.iter().map(|(unit, name)| (*unit, *name, state(unit))).collect()
}
