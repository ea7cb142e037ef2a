//! `manifest.json`: the entries of the bundle with their sources, and the missing entries.

use std::time::{Duration, SystemTime};

use super::{Content, Part, LARGEST_ENTRY, LARGEST_WHOLE};
use crate::context::{value, Context, Facts};
use crate::formats::json::object;
use crate::model::step::{workstation, Step, Who};
use crate::output::table::millis;

/// Data that is not visible inside the VM, and the commands that show it; from the guide's sections on the cloud
/// services network and on the permissions of the identity.
pub const OUTSIDE: [Step; 4] = [
    workstation(
        Who::Reader,
        "CSN configuration",
        "az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\"",
    ),
    workstation(
        Who::Reader,
        "role assignments of the identity",
        "az role assignment list --assignee {principal_id} --all",
    ),
    workstation(
        Who::Reader,
        "the VM and its identity in Azure",
        "az networkcloud virtualmachine show --name {vm} --resource-group \"$VM_RESOURCE_GROUP\" --query identity",
    ),
    workstation(
        Who::Reader,
        "the Arc machine in Azure",
        "az connectedmachine show --name {resource_name} --resource-group {resource_group}",
    ),
];

/// The reason why [`OUTSIDE`] is missing.
const UNSEEN: &str =
    "it cannot be seen from inside the VM; add the output of this command, run by a person with the az CLI";

/// The reason why the guide's command for a token is not run.
const NO_AZ: &str =
    "arc-enroll does not use the az CLI; identity.json and doctor.json have what the sidecar answers";

/// The manifest as indented JSON.
pub fn render(context: &Context, facts: &Facts, elapsed: Duration, parts: &[Part]) -> String {
    let (mut entries, mut missing) = (Vec::new(), Vec::new());
    for part in parts {
        let (name, from, elapsed) = (&part.name, &part.from, millis(part.elapsed));
        match &part.content {
            Content::Text(text, status, is_cut) => entries.push(object! {
                "name": name, "from": from, "elapsed_ms": elapsed, "bytes": text.len(), "truncated": is_cut,
                "status": status,
            }),
            Content::Missing(why) => {
                missing.push(object! { "name": name, "from": from, "elapsed_ms": elapsed, "why": why });
            }
            Content::Json(_) => {}
        }
    }
    for outside in OUTSIDE {
        let step = outside.render(&|var| value(context, facts, var));
        missing.push(object! { "name": step.text, "why": UNSEEN, "command": step.command });
    }
    missing.push(object! { "name": "az login --identity", "why": NO_AZ });
    let manifest = object! {
        "version": 1,
        "agent": env!("CARGO_PKG_VERSION"),
        "created": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "elapsed_ms": millis(elapsed),
        "as_root": crate::host::system::is_root(),
        "secrets": "redacted; *** replaces each one",
        "largest_entry": LARGEST_ENTRY,
        "largest_whole": LARGEST_WHOLE,
        "entries": entries,
        "missing": missing,
    };
    format!("{manifest:#}\n")
}
