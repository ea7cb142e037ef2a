//! Faults that `precheck` finds.

use serde_json::json;

use super::{faults, Meet};
use crate::nexus::spec::{RESOURCE_GROUP, SUBSCRIPTION, SYSTEM_OBJECT};
use crate::precheck::workstation::{endpoints, group_id, nexus_id, user, vm, world, Met, Workstation, CSN};

const SIGNED_OUT: &str =
    "ERROR: AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency \
                          checks by conditional access.\nTo re-authenticate, please run:\naz login\n";
const REFUSED: &str = "ERROR: (AuthorizationFailed) The client 'operator@contoso.com' with object id 'x' does not \
                       have authorization to perform action 'Microsoft.NetworkCloud/cloudServicesNetworks/read' over \
                       scope '/x' or the scope is invalid.\nCode: AuthorizationFailed\n";
const UNKNOWN: &str = "ERROR: 'networkcloud' is misspelled or not recognized by the system.\n";

/// On a workstation without az.
fn without_az(code: &str) {
    let workstation = Workstation::new(&world());
    std::fs::remove_file(workstation.path("az")).expect("az is there");
    let mut command = workstation.command(&["--output", "json"]);
    command.env("PATH", workstation.path(""));
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for words in [code, "az login", "\"cause\":\"az\"", "az is not on this machine"] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

/// A command on the network of the healthy world.
fn on_csn(verb: &str) -> String {
    format!(
        "az networkcloud cloudservicesnetwork {verb} --name {CSN} --resource-group {RESOURCE_GROUP} --subscription \
         {SUBSCRIPTION}"
    )
}

fn attached(csn: &str) -> String {
    format!("--csn attached-network-id=\"{}\"", nexus_id("cloudServicesNetworks", csn))
}

fn create(identity: &str) -> String {
    format!("--vm-image \"$VM_IMAGE\" {identity} --user-data-content @user-data.b64")
}

faults! {
    no_az "host.no-az" => without_az;

    signed_out "host.az-not-signed-in" => Met::new("az", 3)
        .world(|world| world["account"] = json!(null))
        .seen("Please run 'az login' to setup account.")
        .remedy("az login");

    sign_in_expired "host.az-not-signed-in" => Met::new("roles", 3)
        .said("role assignment", 1, "", SIGNED_OUT)
        .seen("AADSTS70043")
        .remedy("az login");

    other_subscription "host.az-wrong-account" => Met::new("az", 3)
        .world(|world| world["account"]["id"] = "99999999-9999-4999-8999-999999999999".into())
        .seen(format!("Subscription '{SUBSCRIPTION}' not found"))
        .remedy("az account list --all --output table");

    other_tenant "host.az-wrong-account" => Met::new("az", 3)
        .arguments(&["--tenant-id", "99999999-9999-4999-8999-999999999999"])
        .seen("the configuration says 99999999-9999-4999-8999-999999999999")
        .remedy("az login --tenant 99999999-9999-4999-8999-999999999999");

    other_cloud "host.az-wrong-account" => Met::new("az", 3)
        .arguments(&["--cloud", "AzureUSGovernment"])
        .seen("az is signed in to AzureCloud")
        .remedy("az cloud set --name AzureUSGovernment");

    extension_absent "host.az-extension" => Met::new("extension", 3)
        .world(|world| world["version"]["extensions"] = json!({}))
        .seen("azure-cli 2.91.0, networkcloud that az version does not list")
        .remedy("az extension add --name networkcloud")
        .without("extension update")
        .without("az upgrade");

    extension_old "host.az-extension" => Met::new("extension", 3)
        .world(|world| world["version"]["extensions"]["networkcloud"] = "3.0.1".into())
        .seen("azure-cli 2.91.0, networkcloud 3.0.1")
        .remedy("az extension update --name networkcloud")
        .without("extension add");

    az_old "host.az-extension" => Met::new("extension", 3)
        .world(|world| world["version"]["azure-cli"] = "2.67.0".into())
        .seen("azure-cli 2.67.0")
        .remedy("az upgrade")
        .without("extension add");

    extension_broken "host.az-extension" => Met::new("csn", 3)
        .said("cloudservicesnetwork", 2, "", UNKNOWN)
        .seen("is misspelled or not recognized")
        .remedy("az extension update --name networkcloud");

    refused "host.az-refused" => Met::new("csn", 3)
        .said("cloudservicesnetwork", 1, "", REFUSED)
        .seen("Microsoft.NetworkCloud/cloudServicesNetworks/read")
        .remedy(on_csn("show"))
        .remedy("az account show --query user");

    refused_roles "host.az-refused" => Met::new("roles", 3)
        .said("role assignment", 1, "", REFUSED)
        .seen("(AuthorizationFailed)")
        .remedy(format!("az role assignment list --assignee {SYSTEM_OBJECT}"));

    failed "host.az-failed" => Met::new("providers", 3)
        .said("provider show", 1, "", "ERROR: HTTPSConnectionPool(host='management.azure.com', port=443): Max retries\n")
        .seen("HTTPSConnectionPool")
        .remedy(format!("az provider show --namespace Microsoft.HybridCompute --subscription {SUBSCRIPTION}"));

    platform "imds.platform-too-old" => Met::new("platform", 13)
        .world(|world| {
            world["clusters"][0]["clusterVersion"] = "4.1.1".into();
            let available = json!([{"targetClusterVersion": "4.4.0"}, {"targetClusterVersion": "4.7.3"}]);
            world["clusters"][0]["availableUpgradeVersions"] = available;
        })
        .seen("its runtime is 4.1.1")
        .remedy(format!(
            "az networkcloud cluster update-version --name cluster-1 --resource-group {RESOURCE_GROUP} \
             --subscription {SUBSCRIPTION} --target-cluster-version 4.7.3"
        ));

    no_csn "proxy.csn-unknown" => Met::new("csn", 15)
        .arguments(&[])
        .world(|world| world["cloudServicesNetworks"] = json!([]))
        .seen(format!("{RESOURCE_GROUP} has none"))
        .remedy("az networkcloud cloudservicesnetwork create --name \"$CSN_NAME\"")
        .remedy("--enable-default-egress-endpoints True");

    several_csns "proxy.csn-unknown" => Met::new("csn", 15)
        .arguments(&[])
        .world(|world| {
            let list = world["cloudServicesNetworks"].as_array_mut().expect("a list");
            list.push(crate::precheck::workstation::csn("csn-2"));
        })
        .seen("has csn-1, csn-2")
        .remedy("--csn NAME")
        .without("create");

    misspelt_csn "proxy.csn-unknown" => Met::new("csn", 15)
        .arguments(&["--csn", "nsc-1"])
        .seen("(ResourceNotFound)")
        .remedy(format!("az networkcloud cloudservicesnetwork list --subscription {SUBSCRIPTION}"));

    other_csn "proxy.csn-of-another" => Met::new("csn", 15)
        .arguments(&["--vm", "web-1", "--csn", "csn-2"])
        .world(|world| {
            let list = world["cloudServicesNetworks"].as_array_mut().expect("a list");
            list.push(crate::precheck::workstation::csn("csn-2"));
        })
        .seen(format!("the VM is attached to {}", nexus_id("cloudServicesNetworks", CSN)))
        .remedy(format!("--csn \"{}\"", nexus_id("cloudServicesNetworks", CSN)))
        .remedy(attached("csn-2"));

    csn_failed "proxy.csn-failed" => Met::new("csn", 15)
        .world(|world| {
            let csn = &mut world["cloudServicesNetworks"][0];
            (csn["provisioningState"], csn["detailedStatusMessage"]) = ("Failed".into(), "out of addresses".into());
        })
        .seen("out of addresses")
        .remedy(on_csn("show"));

    csn_provisioning "proxy.csn-provisioning" => Met::new("csn", 75)
        .world(|world| world["cloudServicesNetworks"][0]["provisioningState"] = "Provisioning".into())
        .seen("provisioningState Provisioning")
        .remedy(on_csn("wait") + " --created");

    egress_defaults "egress.csn-incomplete" => Met::new("egress", 17)
        .world(|world| {
            let csn = &mut world["cloudServicesNetworks"][0];
            csn["enableDefaultEgressEndpoints"] = "False".into();
            csn["enabledEgressEndpoints"] = csn["additionalEgressEndpoints"].clone();
        })
        .seen("default endpoints are not enabled; it lacks management.azure.com, login.microsoftonline.com")
        .remedy(on_csn("update") + " --enable-default-egress-endpoints True")
        .without("--additional-egress-endpoints");

    egress_packages "egress.csn-incomplete" => Met::new("egress", 17)
        .world(|world| {
            let csn = &mut world["cloudServicesNetworks"][0];
            csn["additionalEgressEndpoints"] = json!([endpoints("mirrors", &[".ubuntu.com"])]);
            csn["enabledEgressEndpoints"][1] = endpoints("mirrors", &[".ubuntu.com"]);
        })
        .seen("default endpoints are enabled; it lacks packages.microsoft.com")
        .remedy(on_csn("update") + " --additional-egress-endpoints \"[{'category':'mirrors','endpoints':\
            [{'domainName':'.ubuntu.com','port':443}]},{'category':'azure-arc','endpoints':\
            [{'domainName':'packages.microsoft.com','port':443}]}]\"")
        .without("--enable-default-egress-endpoints");

    egress_hostile_list "egress.csn-incomplete" => Met::new("egress", 17)
        .world(|world| {
            let csn = &mut world["cloudServicesNetworks"][0];
            csn["additionalEgressEndpoints"] = json!([endpoints("$(reboot)", &["`id`"])]);
            csn["enabledEgressEndpoints"] = json!(null);
        })
        .seen("it lacks packages.microsoft.com")
        .remedy("add these in the portal: packages.microsoft.com")
        .without("reboot")
        .without("--additional-egress-endpoints");

    vm_missing "identity.vm-missing" => Met::new("vm", 18)
        .arguments(&["--vm", "wbe-1"])
        .seen("(ResourceNotFound)")
        .remedy(format!("az networkcloud virtualmachine list --subscription {SUBSCRIPTION}"));

    vm_without "identity.vm-without-identity" => Met::new("vm", 18)
        .world(|world| world["virtualMachines"] = json!([vm(json!(null))]))
        .seen("web-1: identity is none")
        .remedy(format!(
            "az networkcloud virtualmachine delete --name web-1 --resource-group {RESOURCE_GROUP} --subscription \
             {SUBSCRIPTION}"
        ))
        .remedy(format!("az networkcloud virtualmachine create --name web-1 --resource-group {RESOURCE_GROUP}"))
        .remedy(attached(CSN))
        .remedy(create("--mi-system-assigned"));

    vm_without_told "identity.vm-without-identity" => Met::new("vm", 18)
        .world(|world| world["virtualMachines"] = json!([vm(json!({"type": "None"}))]))
        .seen("web-1: identity is None")
        .remedy(create("--mi-system-assigned"));

    vm_with_another "identity.vm-other-identity" => Met::new("vm", 18)
        .world(|world| world["virtualMachines"] = json!([vm(user("uami"))]))
        .seen("configured is system-assigned")
        .seen("userAssignedIdentities/uami")
        .remedy(create("--mi-system-assigned"));

    vm_with_its_own "identity.vm-other-identity" => Met::new("vm", 18)
        .config("identity: {client_id: 66666666-6666-4666-8666-666666666666}\n")
        .seen("a system-assigned identity; configured is user-assigned, client id 66666666")
        .remedy(create("--mi-user-assigned \"$IDENTITY_RESOURCE_ID\""));

    vm_with_another_user "identity.vm-other-identity" => Met::new("vm", 18)
        .world(|world| world["virtualMachines"] = json!([vm(user("old"))]))
        .config("identity: {resource_id: /subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/\
            contoso-nexus-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uami}\n")
        .seen("userAssignedIdentities/old; configured is user-assigned /subscriptions/")
        .remedy(create(&format!("--mi-user-assigned \"{}\"", crate::precheck::workstation::uami_id("uami"))));

    user_missing "identity.user-assigned-missing" => Met::new("identity", 18)
        .arguments(&[])
        .config("identity: {resource_id: /subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/\
            contoso-nexus-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/gone}\n")
        .seen("(ResourceNotFound)")
        .remedy(format!(
            "az identity create --name gone --resource-group {RESOURCE_GROUP} --subscription {SUBSCRIPTION} --location \
             eastus"
        ));

    user_unlisted "identity.user-assigned-missing" => Met::new("identity", 18)
        .arguments(&[])
        .config("identity: {object_id: 77777777-7777-4777-8777-777777777777}\n")
        .seen("not among the identities of the subscription")
        .remedy(format!("az identity list --subscription {SUBSCRIPTION}"))
        .without("az identity create");

    roles "access.role-unassigned" => Met::new("roles", 20)
        .world(|world| world["assignments"] = json!([]))
        .seen("it has no role")
        .remedy(format!(
            "az role assignment create --assignee-object-id {SYSTEM_OBJECT} --assignee-principal-type ServicePrincipal \
             --role \"Azure Connected Machine Resource Manager\" --scope \"{}\"",
            group_id()
        ))
        .remedy("--role \"HybridCompute Machine ListAccessDetails Action\"");

    one_role "access.role-unassigned" => Met::new("roles", 20)
        .world(|world| drop(world["assignments"].as_array_mut().expect("a list").remove(1)))
        .seen("it lacks HybridCompute Machine ListAccessDetails Action; it has Azure Connected Machine")
        .remedy("--role \"HybridCompute Machine ListAccessDetails Action\"")
        .without("\"Azure Connected Machine Resource Manager\"");

    providers "access.provider-unregistered" => Met::new("providers", 20)
        .world(|world| world["providers"]["Microsoft.GuestConfiguration"] = "NotRegistered".into())
        .seen("Microsoft.GuestConfiguration is NotRegistered")
        .remedy(format!("az provider register --namespace Microsoft.GuestConfiguration --subscription {SUBSCRIPTION} --wait"))
        .remedy("arc-enroll precheck --config")
        .without("register --namespace Microsoft.HybridCompute");

    no_group "access.resource-group-missing" => Met::new("resource-group", 20)
        .world(|world| world["groups"] = json!([]))
        .seen("(ResourceGroupNotFound)")
        .remedy(format!("az group create --name {RESOURCE_GROUP} --location eastus --subscription {SUBSCRIPTION}"));

    disabled "access.subscription-disabled" => Met::new("resource-group", 20)
        .world(|world| world["account"]["state"] = "Disabled".into())
        .seen("its state is Disabled")
        .remedy(format!("az account show --subscription {SUBSCRIPTION} --query state"));
}
