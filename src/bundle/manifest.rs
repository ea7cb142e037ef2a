//! `manifest.json`: what is in the bundle, where it comes from, and what could not be had.

use std::time::Duration;

use serde_json::{json, Value};

use super::{Part, LARGEST_ENTRY, LARGEST_WHOLE};
use crate::conditions::Vm;

/// What cannot be seen from inside the VM, and the command that shows it; from the guide's sections on the cloud
/// services network and on the permissions of the identity.
pub const OUTSIDE: [(&str, &str); 4] = [
    (
        "CSN configuration",
        "az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\"",
    ),
    ("role assignments of the identity", "az role assignment list --assignee {principal_id} --all"),
    (
        "the VM and its identity in Azure",
        "az networkcloud virtualmachine show --name {vm} --resource-group \"$VM_RESOURCE_GROUP\" --query identity",
    ),
    ("the Arc machine in Azure", "az connectedmachine show --name {resource_name} --resource-group {resource_group}"),
];

/// The manifest of these parts, as text.
pub fn write(vm: &Vm, elapsed: Duration, parts: &[Part]) -> String {
    let entries: Vec<Value> = parts.iter().filter_map(entry).collect();
    let mut missing: Vec<Value> = parts.iter().filter_map(missing).collect();
    let why = "it cannot be seen from inside the VM; add the output of this command, run by a person with the az CLI";
    for (name, command) in OUTSIDE {
        missing.push(json!({ "name": name, "why": why, "command": vm.fill(command) }));
    }
    let az =
        "arc-enroll does not use the az CLI; identity.json and doctor.json have what the sidecar answers";
    missing.push(json!({ "name": "az login --identity", "why": az }));
    let manifest = json!({
        "version": 1,
        "agent": env!("CARGO_PKG_VERSION"),
        "created": humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        "elapsed_ms": millis(elapsed),
        "as_root": crate::host::system::is_root(),
        "secrets": "taken out; *** stands in their place",
        "largest_entry": LARGEST_ENTRY,
        "largest_whole": LARGEST_WHOLE,
        "entries": entries,
        "missing": missing,
    });
    format!("{manifest:#}\n")
}

fn entry(part: &Part) -> Option<Value> {
    let super::Content::Text(text, status, is_cut) = &part.content else { return None };
    Some(json!({
        "name": part.name, "from": part.from, "bytes": text.len(), "truncated": is_cut, "status": status,
        "elapsed_ms": millis(part.elapsed),
    }))
}

fn missing(part: &Part) -> Option<Value> {
    let why = part.why_missing()?;
    Some(json!({ "name": part.name, "from": part.from, "why": why, "elapsed_ms": millis(part.elapsed) }))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
