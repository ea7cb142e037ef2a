//! `manifest.json`: what is in the bundle, where it comes from, and what could not be had.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Content, Part, LARGEST_ENTRY, LARGEST_WHOLE};
use crate::context::{value, Context, Facts};
use crate::model::step::{workstation, Step, Who};

/// What cannot be seen from inside the VM, and the command that shows it; from the guide's sections on the cloud
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

/// Why those are not there.
const UNSEEN: &str =
    "it cannot be seen from inside the VM; add the output of this command, run by a person with the az CLI";

/// Why the guide's own way to a token is not taken.
const NO_AZ: &str =
    "arc-enroll does not use the az CLI; identity.json and doctor.json have what the sidecar answers";

/// The manifest of these parts, as text: JSON with a line for every entry.
pub fn write(context: &Context, facts: &Facts, elapsed: Duration, parts: &[Part]) -> String {
    let (mut entries, mut missing) = (Vec::new(), Vec::new());
    for part in parts {
        let (name, from, elapsed) = (quoted(&part.name), quoted(&part.from), part.elapsed.as_millis());
        let about = format!(r#"{{"name":{name},"from":{from},"elapsed_ms":{elapsed},"#);
        match &part.content {
            Content::Text(text, status, is_cut) => {
                let (bytes, status) = (text.len(), status.as_deref().map_or(Value::Null, quoted));
                entries.push(format!(r#"{about}"bytes":{bytes},"truncated":{is_cut},"status":{status}}}"#));
            }
            Content::Missing(why) => missing.push(format!(r#"{about}"why":{}}}"#, quoted(why))),
            Content::Json(_) => {}
        }
    }
    for outside in OUTSIDE {
        let step = outside.render(&|var| value(context, facts, var));
        let (name, command) = (step.text, quoted(&step.command));
        missing.push(format!(r#"{{"name":"{name}","why":"{UNSEEN}","command":{command}}}"#));
    }
    missing.push(format!(r#"{{"name":"az login --identity","why":"{NO_AZ}"}}"#));
    format!(
        r#"{{"version":1,"agent":"{}","created":"{}","elapsed_ms":{},"as_root":{},
"secrets":"taken out; *** stands in their place","largest_entry":{LARGEST_ENTRY},"largest_whole":{LARGEST_WHOLE},
"entries":[
{}
],
"missing":[
{}
]}}
"#,
        env!("CARGO_PKG_VERSION"),
        humantime::format_rfc3339_seconds(SystemTime::now()),
        elapsed.as_millis(),
        crate::host::system::is_root(),
        entries.join(",\n"),
        missing.join(",\n"),
    )
}

/// A text that shows as JSON does it, with quotation marks and escapes.
pub fn quoted(text: &str) -> Value {
    Value::from(text)
}
