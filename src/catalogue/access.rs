//! Faults of rights: `access`.

use super::{entries, lines, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Resolution};

entries! {
    ACCESS;

    /// The identity may not create the Arc machine in the resource group.
    ACCESS_ROLE = FaultKind {
        code: "access.role-missing",
        condition: Condition::Access,
        resolution: Resolution::Retry,
        summary: "The identity may not create the Arc machine in the resource group.",
        causes: lines![
            "The role was not assigned yet; a system-assigned identity can only get it after the VM was created.",
            "The role was assigned a moment ago; Azure needs up to ten minutes.",
            "The role was assigned at another scope, or to a group.",
        ],
        agent: "Waits for the role, with a fresh token each time.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines![
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" --scope {scope}`",
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"HybridCompute Machine ListAccessDetails Action\" --scope {scope}`",
            "See what it has: `az role assignment list --assignee {principal_id} --all`",
        ],
        guide: "Verify Managed Identity permissions",
        ..COMMON
    };

    /// The identity has the role in Azure's listing, but the change was refused all the same.
    ACCESS_PROPAGATING = FaultKind {
        code: "access.role-propagating",
        condition: Condition::Access,
        resolution: Resolution::Retry,
        summary: "Azure lists the role for the identity, but refuses what the role allows.",
        causes: lines![
            "The role was assigned a moment ago; Azure needs up to ten minutes to know it everywhere.",
            "The token is older than the role.",
        ],
        agent: "Waits, with a fresh token each time.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines![
            "Wait ten minutes, then run: `arc-enroll enroll`",
            "See what it has: `az role assignment list --assignee {principal_id} --all`",
            "See whether something denies it: `az role assignment list --assignee {principal_id} --scope {scope} --include-inherited`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The identity may not list access details.
    ACCESS_LIST_ROLE = FaultKind {
        code: "access.list-access-role-missing",
        condition: Condition::Access,
        resolution: Resolution::Retry,
        summary: "The identity lacks the second role: it may not list the access details of Arc machines.",
        causes: lines![
            "Only Azure Connected Machine Resource Manager was assigned.",
            "The role was assigned a moment ago; Azure needs up to ten minutes.",
        ],
        agent: "Waits for the role, with a fresh token each time.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines![
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"HybridCompute Machine ListAccessDetails Action\" --scope {scope}`",
            "See what it has: `az role assignment list --assignee {principal_id} --all`",
        ],
        guide: "Verify Managed Identity permissions",
        ..COMMON
    };

    /// Azure finds no such subscription for this identity.
    ACCESS_SUBSCRIPTION = FaultKind {
        code: "access.subscription-missing",
        condition: Condition::Access,
        resolution: Resolution::Retry,
        summary: "Azure finds no such subscription for this identity.",
        causes: lines![
            "The identity has no role in it yet: then a subscription looks as if it did not exist.",
            "azure.subscription_id in the configuration is wrong.",
        ],
        agent: "Waits for the role, with a fresh token each time.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines![
            "Check: `az account show --subscription {subscription_id}`",
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" --scope {scope}`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The subscription takes no changes.
    ACCESS_SUBSCRIPTION_DISABLED = FaultKind {
        code: "access.subscription-disabled",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "The subscription is disabled and takes no changes.",
        causes: lines!["Its payment is overdue, its credit is spent, or somebody disabled it."],
        agent: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Access,
        remediation: lines![
            "See its state: `az account show --subscription {subscription_id} --query state`",
            "Have its owner enable it again",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// A quota of the subscription or resource group is used up.
    ACCESS_QUOTA = FaultKind {
        code: "access.quota",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "A quota of the subscription or resource group is used up.",
        causes: lines![
            "There are as many Arc machines, or resources, as the quota allows.",
            "Arc machines of deleted VMs were never deleted.",
        ],
        agent: "Nothing: a machine must not make room for itself.",
        recheck_from: Condition::Access,
        remediation: lines![
            "See what is there: `az connectedmachine list --resource-group {resource_group} --subscription {subscription_id} --query \"[].{name:name, status:status}\" --output table`",
            "Delete what is left over, or ask for a higher quota",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0042",
        ..COMMON
    };

    /// The resource group does not exist.
    ACCESS_GROUP = FaultKind {
        code: "access.resource-group-missing",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "The resource group does not exist.",
        causes: lines![
            "azure.resource_group in the configuration is misspelt.",
            "It was not made yet.",
        ],
        agent: "Nothing: the agent makes no resource groups.",
        recheck_from: Condition::Access,
        remediation: lines![
            "`az group create --name {resource_group} --location {location} --subscription {subscription_id}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The subscription is not registered for a resource provider that Arc needs.
    ACCESS_PROVIDER = FaultKind {
        code: "access.provider-unregistered",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "The subscription is not registered for a resource provider that Arc needs.",
        causes: lines!["Nobody has used Arc in this subscription yet."],
        agent: "azcmagent registers it where the identity may; enrolling alone does not give that right.",
        recheck_from: Condition::Access,
        remediation: lines![
            "`az provider register --namespace Microsoft.HybridCompute --subscription {subscription_id} --wait`",
            "`az provider register --namespace Microsoft.GuestConfiguration --subscription {subscription_id} --wait`",
            "`az provider register --namespace Microsoft.HybridConnectivity --subscription {subscription_id} --wait`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// An Azure policy forbids this Arc machine.
    ACCESS_POLICY = FaultKind {
        code: "access.policy",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "An Azure policy forbids this Arc machine.",
        causes: lines!["A policy limits regions, names or requires tags."],
        agent: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Access,
        remediation: lines![
            "See the policies: `az policy assignment list --scope {scope} --disable-scope-strict-match`",
            "Add what the policy asks for (location, tags) to {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// A lock on the resource group or subscription forbids the change.
    ACCESS_LOCK = FaultKind {
        code: "access.locked",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "A lock on the resource group or subscription forbids the change.",
        causes: lines!["Somebody locked it against changes."],
        agent: "Nothing: a lock is a person's decision.",
        recheck_from: Condition::Access,
        remediation: lines![
            "See the locks: `az lock list --resource-group {resource_group} --subscription {subscription_id}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
