//! Compares the identity of the VM with the configured one (guide, "Verify Managed Identity permissions").

use serde_json::Value;

use super::az::{member, text};
use super::Row;
use crate::catalogue;
use crate::settings::Identity;

/// Checks the identity of a VM; also returns its principal id if it is the configured one.
pub fn check_vm(vm: &Value, wanted: &Identity) -> (Row, Option<String>) {
    let name = text(vm, "name");
    let identity = member(vm, "identity").unwrap_or(&Value::Null);
    let kind = text(identity, "type");
    let mut users: Vec<(&String, &Value)> = Vec::new();
    if let Some(Value::Object(members)) = identity.get("userAssignedIdentities") {
        users.extend(members);
    }
    let has_system = kind.contains("SystemAssigned");
    if !has_system && users.is_empty() {
        let kind = if kind.is_empty() { "none" } else { kind };
        return (Row::fails(&catalogue::IDENTITY_VM_NONE, format!("{name}: identity is {kind}")), None);
    }
    let is = |value: &Value, name: &str, id: &str| text(value, name).eq_ignore_ascii_case(id);
    let of_user = |matches: &dyn Fn(&str, &Value) -> bool| {
        let found = users.iter().find(|(id, user)| matches(id, user));
        found.map(|(_, user)| text(user, "principalId").to_owned())
    };
    let principal = match wanted {
        Identity::System => has_system.then(|| text(identity, "principalId").to_owned()),
        Identity::ResourceId(id) => of_user(&|known, _| known.eq_ignore_ascii_case(id.as_str())),
        Identity::ClientId(id) => of_user(&|_, user| is(user, "clientId", id.as_str())),
        Identity::ObjectId(id) => of_user(&|_, user| is(user, "principalId", id.as_str())),
    };
    let mut has =
        String::from(if has_system { "a system-assigned identity" } else { "no system-assigned identity" });
    for (id, _) in &users {
        has.push_str(&format!(", {id}"));
    }
    match principal {
        Some(principal) => {
            let shown = if principal.is_empty() { "unknown" } else { &principal };
            let row = Row::Holds(format!("{name} has the {wanted} identity, principal {shown}"));
            (row, Some(principal).filter(|principal| !principal.is_empty()))
        }
        None => (
            Row::fails(&catalogue::IDENTITY_VM_OTHER, format!("{name} has {has}; configured is {wanted}")),
            None,
        ),
    }
}

/// Finds the configured identity in a listing by its client or object id.
pub fn find_in_listing<'v>(listing: &'v Value, wanted: &Identity) -> Option<&'v Value> {
    let (name, id) = match wanted {
        Identity::ClientId(id) => ("clientId", id),
        Identity::ObjectId(id) => ("principalId", id),
        Identity::System | Identity::ResourceId(_) => return None,
    };
    listing.as_array()?.iter().find(|one| id.matches(text(one, name)))
}
