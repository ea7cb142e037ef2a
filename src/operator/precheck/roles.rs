//! The permissions of the identity on the resource group (guide, "Verify Managed Identity permissions").

use serde_json::Value;

use super::az::{member, text};
use super::Row;
use crate::catalogue;
use crate::clients::arm::{Permissions, LIST_ACCESS, READ, WRITE};
use crate::formats::json::object;
use crate::model::step::Step;
use crate::settings::Guid;

/// The two roles of the guide, with their ids (built-in roles reference) and the actions that need them.
const ROLES: [Role; 2] = [
    Role {
        name: "Azure Connected Machine Resource Manager",
        id: "f5819b54-e033-4d82-ac66-4fec3cbf3f4c",
        actions: &[WRITE, READ],
        assignment: catalogue::ASSIGN_RESOURCE_MANAGER,
    },
    Role {
        name: "HybridCompute Machine ListAccessDetails Action",
        id: "e9701b4d-e6e7-4657-91cd-360a0881d224",
        actions: &[LIST_ACCESS],
        assignment: catalogue::ASSIGN_LIST_ACCESS,
    },
];

/// A role that the identity needs.
struct Role {
    name: &'static str,
    id: &'static str,
    /// The actions that need it.
    actions: &'static [&'static str],
    /// The step that assigns it.
    assignment: Step,
}

/// One role assignment.
pub struct RoleAssignment {
    role: String,
    role_id: String,
    scope: String,
    condition: bool,
    /// The permissions of a role that is not one of the guide's and was looked up.
    definition: Option<Permissions>,
}

/// Parses listings of role assignments, without duplicates.
pub fn read(listings: &[&Value]) -> Vec<RoleAssignment> {
    let mut ids: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for one in listings.iter().filter_map(|listing| listing.as_array()).flatten() {
        let id = text(one, "id");
        if ids.contains(&id) && !id.is_empty() {
            continue;
        }
        ids.push(id);
        let role_id =
            text(one, "roleDefinitionId").rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let name = text(one, "roleDefinitionName");
        found.push(RoleAssignment {
            role: if name.is_empty() { role_id.clone() } else { name.to_owned() },
            role_id,
            scope: text(one, "scope").to_owned(),
            condition: !text(one, "condition").is_empty(),
            definition: None,
        });
    }
    found
}

impl RoleAssignment {
    /// Whether its scope includes the resource group.
    fn reaches(&self, group: &str) -> bool {
        let (scope, group) = (self.scope.trim_end_matches('/').to_lowercase(), group.to_lowercase());
        if self.scope.is_empty() {
            return false;
        }
        // Azure lists only those management groups that contain the subscription.
        scope.starts_with("/providers/microsoft.management/managementgroups/")
            || group.strip_prefix(&scope).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn is_role(&self, role: &Role) -> bool {
        self.role_id == role.id || self.role.starts_with(role.name)
    }

    fn allows(&self, role: &Role) -> bool {
        let by_definition =
            self.definition.as_ref().map(|known| role.actions.iter().all(|action| known.grants(action)));
        self.is_role(role) || by_definition.unwrap_or(false)
    }

    fn shown(&self) -> String {
        let condition = if self.condition { ", under a condition" } else { "" };
        format!("{} at {}{condition}", self.role, self.scope)
    }
}

/// The ids of roles to look up: those that reach the group and are not the guide's, unless the guide's are assigned.
pub fn unknown_role_ids(assignments: &[RoleAssignment], group: &str) -> Vec<String> {
    let reaching = || assignments.iter().filter(|one| one.reaches(group));
    if ROLES.iter().all(|role| reaching().any(|one| one.is_role(role))) {
        return Vec::new();
    }
    let mut ids = Vec::new();
    for one in reaching().filter(|one| !ROLES.iter().any(|role| one.is_role(role))) {
        if Guid::new(&one.role_id).is_ok() && !ids.contains(&one.role_id) {
            ids.push(one.role_id.clone());
        }
    }
    ids
}

/// Adds the permissions of looked-up role definitions.
pub fn add_definitions<'v>(
    assignments: &mut [RoleAssignment],
    definition: &dyn Fn(&str) -> Option<&'v Value>,
) {
    for one in assignments {
        let first = definition(&one.role_id).and_then(Value::as_array).and_then(|all| all.first());
        let permissions = first.and_then(|first| member(first, "permissions"));
        // The form in which ARM lists the permissions of an identity.
        one.definition = permissions.and_then(|all| Permissions::from_listing(object! { "value": all }));
    }
}

/// Checks whether the assignments grant every required action on the resource group.
pub fn evaluate(assignments: &[RoleAssignment], group: &str) -> Row {
    let (mut by, mut lacks, mut assigned) = (Vec::new(), Vec::new(), Vec::new());
    for role in &ROLES {
        let mut holding = assignments.iter().filter(|one| one.reaches(group) && one.allows(role));
        match holding.next() {
            Some(one) => {
                assigned.push(role.assignment);
                let shown = one.shown();
                if !by.contains(&shown) {
                    by.push(shown);
                }
            }
            None => lacks.push(role.name),
        }
    }
    if lacks.is_empty() {
        return Row::Holds(by.join("; "));
    }
    let mut others: Vec<String> = assignments.iter().take(8).map(RoleAssignment::shown).collect();
    if others.is_empty() {
        others.push("no role".to_owned());
    }
    let seen = format!("at or above {group} it lacks {}; it has {}", lacks.join(" and "), others.join("; "));
    Row::fails_without(&catalogue::ACCESS_UNASSIGNED, seen, &assigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "/subscriptions/s/resourceGroups/rg";

    #[test]
    fn scopes_reach_what_is_below_them() {
        let reaches = |scope: &str| {
            let one = serde_json::json!([{"scope": scope}]);
            read(&[&one]).first().is_some_and(|one| one.reaches(GROUP))
        };
        let mine = "/SUBSCRIPTIONS/S/resourcegroups/RG";
        for scope in
            ["/", "/subscriptions/s", GROUP, mine, "/providers/Microsoft.Management/managementGroups/m"]
        {
            assert!(reaches(scope), "{scope}");
        }
        for scope in [
            "",
            "/subscriptions/s/resourceGroups/r",
            "/subscriptions/s/resourceGroups/rg2",
            "/subscriptions/s/resourceGroups/rg/providers/x/y/z",
            "/subscriptions/t",
        ] {
            assert!(!reaches(scope), "{scope}");
        }
    }
}
