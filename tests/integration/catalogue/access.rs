//! Faults of rights.

use serde_json::json;

use super::{faults, Met};
use crate::assertions::with_windows;
use crate::nexus::spec::{Denial, Outcome, Playbook, Reply, RESOURCE_GROUP, SYSTEM_OBJECT};
use crate::nexus::vm::{config, Builder, Vm};

const ROLE: &str = "az role assignment create --assignee-object-id 33333333-3333-4333-8333-333333333333 \
                    --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" \
                    --scope \"/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/contoso-nexus-rg\"";
const LIST_ROLE: &str = "az role assignment create --assignee-object-id 33333333-3333-4333-8333-333333333333 \
                         --assignee-principal-type ServicePrincipal \
                         --role \"HybridCompute Machine ListAccessDetails Action\" \
                         --scope \"/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/contoso-nexus-rg\"";

fn with_actions(actions: &[&str]) -> Builder {
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Vm::new()
        .installed()
        .config(&with_windows(&[("access", "1s")]))
        .azure(|azure| azure.access.actions = actions)
}

/// ARM refuses the machine itself like this.
fn refused(status: u16, code: &str, message: &str) -> Builder {
    let reply = Reply::json(status, &json!({"error": {"code": code, "message": message}}));
    let vm = Vm::new().installed().config(&with_windows(&[("access", "1s")]));
    vm.azure(|azure| drop(azure.routes.insert("machine.put".into(), Playbook::new().forever(reply.act()))))
}

fn no_right_to(action: &str) -> String {
    format!(
        "The client '{SYSTEM_OBJECT}' with object id '{SYSTEM_OBJECT}' does not have authorization to perform action \
         '{action}' over scope '/x' or the scope is invalid."
    )
}

faults! {
    role_missing "access.role-missing" => Met::by_enroll(with_actions(&["*/read"]))
        .exit(75)
        .seen("it lacks Microsoft.HybridCompute/machines/write (role Azure Connected Machine Resource Manager)")
        .seen("only */read")
        .remedy(ROLE)
        .remedy(LIST_ROLE)
        .remedy("az role assignment list --assignee 33333333-3333-4333-8333-333333333333 --all");

    role_refused "access.role-missing" => Met::by_enroll(
        with_actions(&[]).azure(|azure| {
            let reply = Reply::json(500, &json!({}));
            azure.routes.insert("permissions".into(), Playbook::new().forever(reply.act()));
            azure.access.actions = vec!["Microsoft.HybridCompute/machines/write".to_owned()];
        }),
    )
        .exit(75)
        .seen("the action Microsoft.HybridCompute/machines/read is part of the role Azure Connected Machine Resource Manager")
        .remedy(ROLE);

    list_access "access.list-access-role-missing" => Met::by_enroll(
        with_actions(&["Microsoft.HybridCompute/machines/write", "*/read"]).call(
            "azcmagent connect",
            Playbook::new().forever(Outcome::fail(
                42,
                &no_right_to("Microsoft.HybridCompute/machines/listAccessDetails/action"),
            )),
        ),
    )
        .exit(75)
        .seen("is part of the role HybridCompute Machine ListAccessDetails Action")
        .seen("AZCM0042")
        .remedy(LIST_ROLE);

    propagating "access.role-propagating" => Met::by_enroll(refused(
        403,
        "AuthorizationFailed",
        &no_right_to("Microsoft.HybridCompute/machines/write"),
    ))
        .exit(75)
        .seen("Azure lists this action for the identity")
        .seen("Microsoft.HybridCompute/machines/write")
        .remedy("Wait ten minutes")
        .remedy("az role assignment list --assignee 33333333-3333-4333-8333-333333333333 --all");

    subscription "access.subscription-missing" => Met::by_enroll(with_actions(&[]).azure(|azure| {
        azure.access.never = true;
        azure.access.form = Denial::SubscriptionNotFound;
    }))
        .exit(75)
        .seen("SubscriptionNotFound")
        .remedy("az account show --subscription 11111111-1111-4111-8111-111111111111")
        .remedy(ROLE);

    disabled "access.subscription-disabled" => Met::by_enroll(refused(
        409,
        "ReadOnlyDisabledSubscription",
        "The subscription '11111111' is disabled and therefore marked as read only.",
    ))
        .exit(20)
        .seen("ReadOnlyDisabledSubscription")
        .remedy("az account show --subscription 11111111-1111-4111-8111-111111111111 --query state");

    quota "access.quota" => Met::by_enroll(refused(403, "QuotaExceeded", "The limit of machines has been reached."))
        .exit(20)
        .seen("QuotaExceeded")
        .remedy("az connectedmachine list --resource-group contoso-nexus-rg");

    group "access.resource-group-missing" =>
        Met::by_enroll(Vm::new().installed().config(&config().replace(RESOURCE_GROUP, "misspelt-rg")))
        .exit(20)
        .seen("Resource group 'misspelt-rg' could not be found")
        .remedy("az group create --name misspelt-rg --location eastus --subscription 11111111-");

    group_not_to_be_made "access.resource-group-missing" => Met::by_enroll(with_actions(&[]).call(
        "azcmagent connect",
        Playbook::new()
            .forever(Outcome::fail(42, &no_right_to("Microsoft.Resources/subscriptions/resourcegroups/write"))),
    ))
        .exit(20)
        .seen("resourcegroups/write")
        .remedy("az group create --name contoso-nexus-rg");

    provider "access.provider-unregistered" => Met::by_doctor(
        super::agent::observed_vm_with_agent().azure(|azure| {
            azure.providers_registered = false;
            let actions = ["*/read", "Microsoft.HybridCompute/machines/*"];
            azure.access.actions = actions.map(str::to_owned).to_vec();
        }),
    )
        .exit(20)
        .seen("Microsoft.HybridCompute is NotRegistered in the subscription")
        .seen("lacks Microsoft.HybridCompute/register/action")
        .remedy("az provider register --namespace Microsoft.HybridCompute --subscription 11111111-")
        .remedy("az provider register --namespace Microsoft.HybridConnectivity");

    policy "access.policy" => Met::by_enroll(refused(
        403,
        "RequestDisallowedByPolicy",
        "Resource 'contoso-vm-01' was disallowed by policy 'Allowed locations'.",
    ))
        .exit(20)
        .seen("disallowed by policy 'Allowed locations'")
        .remedy("az policy assignment list --scope \"/subscriptions/11111111-1111-4111-8111-111111111111/")
        .remedy("Add what the policy asks for (location, tags) to /etc/arc-enroll/config.yaml");

    locked "access.locked" =>
        Met::by_enroll(refused(409, "ScopeLocked", "The scope cannot perform write operation, it is locked."))
        .exit(20)
        .seen("ScopeLocked")
        .remedy("az lock list --resource-group contoso-nexus-rg --subscription 11111111-");
}
