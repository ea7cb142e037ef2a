//! The command that creates the VM with the user-data.

use crate::model::shell::quote;
use crate::settings::{Azure, Identity};

/// The `az networkcloud virtualmachine create` line for a VM that enrolls itself with these settings.
///
/// What only the operator knows stands there as a shell variable. The user-data is named as a file: Linux
/// takes at most 131,071 bytes for one argument, and `az` reads `@FILE` by itself.
pub fn create_command(azure: &Azure, identity: &Identity, file_name: &str) -> String {
    let name = azure.resource_name.as_ref().map(ToString::to_string);
    let name = match name {
        Some(name) if is_vm_name(&name) => name,
        _ => String::from("\"$VM_NAME\""),
    };
    let identity = match identity {
        Identity::System => String::from("--mi-system-assigned"),
        Identity::ResourceId(id) => format!("--mi-user-assigned {}", quote(&id.to_string())),
        // Azure takes the resource id only, and the other two do not tell it.
        Identity::ClientId(_) | Identity::ObjectId(_) => {
            String::from("--mi-user-assigned \"$IDENTITY_RESOURCE_ID\"")
        }
    };
    let options = [
        format!("--name {name}"),
        format!("--resource-group {}", quote(&azure.resource_group.to_string())),
        format!("--subscription {}", azure.subscription_id),
        format!("--location {}", quote(&azure.location.to_string())),
        String::from("--extended-location name=\"$CUSTOM_LOCATION_ID\" type=CustomLocation"),
        String::from("--admin-username \"$ADMIN_USERNAME\""),
        String::from("--ssh-key-values \"$SSH_PUBLIC_KEY\""),
        String::from("--csn attached-network-id=\"$CLOUD_SERVICES_NETWORK_ID\""),
        String::from("--network-attachments \"$NETWORK_ATTACHMENTS\""),
        String::from("--cpu-cores \"$CPU_CORES\""),
        String::from("--memory-size \"$MEMORY_SIZE\""),
        String::from(
            "--storage-profile create-option=Ephemeral delete-option=Delete disk-size=\"$DISK_SIZE\"",
        ),
        String::from("--vm-image \"$VM_IMAGE\""),
        identity,
        format!("--user-data-content {}", quote(&format!("@{file_name}"))),
    ];
    format!("az networkcloud virtualmachine create \\\n    {}\n", options.join(" \\\n    "))
}

/// Whether Nexus takes the name of the Arc machine for the VM too; its rule is the narrower one.
fn is_vm_name(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::settings::{Cloud, Guid, Location, ResourceGroup, ResourceName};

    fn azure(resource_name: Option<&str>) -> Azure {
        Azure {
            subscription_id: Guid::new("11111111-2222-3333-4444-555555555555").unwrap(),
            resource_group: ResourceGroup::new("edge(1)").unwrap(),
            location: Location::new("eastus").unwrap(),
            tenant_id: None,
            resource_name: resource_name.map(|name| ResourceName::new(name).unwrap()),
            cloud: Cloud::Public,
            tags: crate::model::pairs::Pairs::default(),
            private_link_scope: None,
            gateway_id: None,
            correlation_id: None,
        }
    }

    #[test]
    fn the_command_holds_what_is_known_and_asks_for_the_rest() {
        let command = create_command(&azure(Some("vm-7")), &Identity::System, "user-data.b64");
        for option in [
            "--name vm-7 ",
            "--resource-group 'edge(1)' ",
            "--subscription 11111111-2222-3333-4444-555555555555 ",
            "--location eastus ",
            "--extended-location name=\"$CUSTOM_LOCATION_ID\" type=CustomLocation ",
            "--mi-system-assigned ",
            "--user-data-content @user-data.b64\n",
        ] {
            assert!(command.contains(option), "{option} in {command}");
        }
        assert!(create_command(&azure(None), &Identity::System, "x").contains("--name \"$VM_NAME\""));
    }

    #[test]
    fn the_identity_is_the_one_of_the_settings() {
        let id = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/\
                  Microsoft.ManagedIdentity/userAssignedIdentities/uami";
        let command = |identity: Identity| create_command(&azure(None), &identity, "x");
        let by_id = command(Identity::from_resource_id(id).unwrap());
        assert!(by_id.contains(&format!("--mi-user-assigned {id} ")), "{by_id}");
        let guid = Guid::new("11111111-2222-3333-4444-555555555555").unwrap();
        for identity in [Identity::ClientId(guid.clone()), Identity::ObjectId(guid)] {
            assert!(command(identity).contains("--mi-user-assigned \"$IDENTITY_RESOURCE_ID\""));
        }
    }

    #[test]
    fn only_names_that_nexus_takes_are_filled_in() {
        assert!(is_vm_name("vm-1"));
        for name in ["v", "-vm", "vm-", "vm.example", "vm_1"] {
            assert!(!is_vm_name(name), "{name}");
        }
    }
}
