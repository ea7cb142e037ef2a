//! The command that creates the VM with the user-data.

use crate::model::var::{Word, Words};
use crate::settings::{Azure, Identity};

/// The `az networkcloud virtualmachine create` command for a VM that enrolls itself with these settings, word by word.
///
/// Values that only the operator knows are shell variables. The user-data is named as a file, which `az` reads, because
/// Linux limits one argument to 131,071 bytes.
pub fn create_words(
    azure: &Azure,
    identity: &Identity,
    file_name: &str,
    vm: Option<&str>,
    csn: Option<&str>,
) -> Words {
    let text = |text: String| Word::Text(text);
    let shell = Word::Shell;
    let arc_name = azure.resource_name.as_ref().map(ToString::to_string).filter(|name| is_vm_name(name));
    let name = vm.map(str::to_owned).or(arc_name).map_or(shell("\"$VM_NAME\""), text);
    let mut words: Words = "az networkcloud virtualmachine create".split(' ').map(Word::from).collect();
    let options: [(&'static str, Word); 13] = [
        ("--name", name),
        ("--resource-group", text(azure.resource_group.to_string())),
        ("--subscription", text(azure.subscription_id.to_string())),
        ("--location", text(azure.location.to_string())),
        ("--extended-location", shell("name=\"$CUSTOM_LOCATION_ID\" type=CustomLocation")),
        ("--admin-username", shell("\"$ADMIN_USERNAME\"")),
        ("--ssh-key-values", shell("\"$SSH_PUBLIC_KEY\"")),
        (
            "--csn",
            csn.map_or(shell("attached-network-id=\"$CLOUD_SERVICES_NETWORK_ID\""), |id| {
                Word::Assignment("attached-network-id", id.to_owned())
            }),
        ),
        ("--network-attachments", shell("\"$NETWORK_ATTACHMENTS\"")),
        ("--cpu-cores", shell("\"$CPU_CORES\"")),
        ("--memory-size", shell("\"$MEMORY_SIZE\"")),
        ("--storage-profile", shell("create-option=Ephemeral delete-option=Delete disk-size=\"$DISK_SIZE\"")),
        ("--vm-image", shell("\"$VM_IMAGE\"")),
    ];
    for (option, value) in options {
        words.extend([option.into(), value]);
    }
    match identity {
        Identity::System => words.push("--mi-system-assigned".into()),
        Identity::ResourceId(id) => words.extend(["--mi-user-assigned".into(), text(id.to_string())]),
        // Azure requires the resource id, which does not follow from the other two.
        Identity::ClientId(_) | Identity::ObjectId(_) => {
            words.extend(["--mi-user-assigned".into(), shell("\"$IDENTITY_RESOURCE_ID\"")]);
        }
    }
    words.extend(["--user-data-content".into(), text(format!("@{file_name}"))]);
    words
}

/// The command of [`create_words`], with one option per line.
pub fn create_command(azure: &Azure, identity: &Identity, file_name: &str) -> String {
    let mut command = String::new();
    for word in create_words(azure, identity, file_name, None, None) {
        let word = word.in_command();
        let is_option = word.starts_with("--");
        command.push_str(if is_option { " \\\n    " } else { " " });
        command.push_str(&word);
    }
    command.push('\n');
    command.trim_start().to_owned()
}

/// Whether the name of the Arc machine is also a valid VM name; the rule of Nexus is stricter.
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
    fn unknown_values_are_shell_variables() {
        let command = create_command(&azure(Some("vm-7")), &Identity::System, "user-data.b64");
        for option in [
            "--name vm-7 ",
            "--resource-group \"edge(1)\" ",
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
    fn the_identity_comes_from_the_settings() {
        let id = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/\
                  Microsoft.ManagedIdentity/userAssignedIdentities/uami";
        let command = |identity: Identity| create_command(&azure(None), &identity, "x");
        let by_id = command(Identity::from_resource_id(id).unwrap());
        assert!(by_id.contains(&format!("--mi-user-assigned \"{id}\" ")), "{by_id}");
        let guid = Guid::new("11111111-2222-3333-4444-555555555555").unwrap();
        for identity in [Identity::ClientId(guid.clone()), Identity::ObjectId(guid)] {
            assert!(command(identity).contains("--mi-user-assigned \"$IDENTITY_RESOURCE_ID\""));
        }
    }

    #[test]
    fn only_valid_vm_names_are_used() {
        assert!(is_vm_name("vm-1"));
        for name in ["v", "-vm", "vm-", "vm.example", "vm_1"] {
            assert!(!is_vm_name(name), "{name}");
        }
    }
}
