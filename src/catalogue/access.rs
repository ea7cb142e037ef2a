//! Faults of the identity's roles: `access`.

use super::steps::{
    ASSIGN_LIST_ACCESS, ASSIGN_RESOURCE_MANAGER, REGISTER_GUEST_CONFIGURATION, REGISTER_HYBRID_COMPUTE,
    REGISTER_HYBRID_CONNECTIVITY, RERUN, SHOW_ROLES,
};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::step::{as_root, ask, workstation, Who};

entries! {
    ACCESS;

    ACCESS_ROLE = FaultKind {
        code: "access.role-missing",
        condition: Condition::Access,
        resolution: Resolution::Retry,
        summary: "The identity may not create the Arc machine in the resource group.",
        causes: &[
            cause("The role is not assigned yet; a system-assigned identity can get it only after the VM was created."),
            cause("The role was assigned a moment ago; Azure needs up to ten minutes."),
            cause("The role was assigned at another scope, or to a group."),
        ],
        automatic: "Waits for the role, with a fresh token each time.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[ASSIGN_RESOURCE_MANAGER, ASSIGN_LIST_ACCESS, SHOW_ROLES],
        guide: "Verify Managed Identity permissions",
        ..COMMON
    };

    ACCESS_PROPAGATING = FaultKind {
        code: "access.role-propagating",
        condition: Condition::Access,
        resolution: Resolution::Retry,
        summary: "Azure lists the role for the identity, but refuses what the role allows.",
        causes: &[
            cause("The role was assigned a moment ago; Azure needs up to ten minutes to know it everywhere."),
            cause("The token is older than the role."),
        ],
        automatic: "Waits, with a fresh token each time.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[
            as_root("Wait ten minutes, then run:", "{rerun}"),
            SHOW_ROLES,
            workstation(
                Who::Reader,
                "See which of them reach the resource group:",
                "az role assignment list --assignee {principal_id} --scope {scope} --include-inherited",
            ),
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    ACCESS_LIST_ROLE = FaultKind {
        code: "access.list-access-role-missing",
        condition: Condition::Access,
        resolution: Resolution::Retry,
        summary: "The identity lacks the second role: it may not list the access details of Arc machines.",
        causes: &[
            cause("Only Azure Connected Machine Resource Manager was assigned."),
            cause("The role was assigned a moment ago; Azure needs up to ten minutes."),
        ],
        automatic: "Waits for the role, with a fresh token each time.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[ASSIGN_LIST_ACCESS, SHOW_ROLES],
        guide: "Verify Managed Identity permissions",
        ..COMMON
    };

    ACCESS_SUBSCRIPTION = FaultKind {
        code: "access.subscription-missing",
        condition: Condition::Access,
        resolution: Resolution::Retry,
        summary: "Azure finds no such subscription for this identity.",
        causes: &[
            cause("The identity has no role in it yet: then a subscription looks as if it did not exist."),
            cause("azure.subscription_id in the configuration is wrong."),
        ],
        automatic: "Waits for the role, with a fresh token each time.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[
            workstation(
                Who::SignedIn,
                "See whether there is such a subscription:",
                "az account show --subscription {subscription_id}",
            ),
            ASSIGN_RESOURCE_MANAGER,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    ACCESS_SUBSCRIPTION_DISABLED = FaultKind {
        code: "access.subscription-disabled",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "The subscription is disabled and takes no changes.",
        causes: &[cause("Its payment is overdue, its credit is used up, or it was disabled by its owner.")],
        automatic: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Access,
        steps: &[
            workstation(
                Who::SignedIn,
                "See its state:",
                "az account show --subscription {subscription_id} --query state",
            ),
            ask(Who::SubscriptionOwner, "Have it enabled again"),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    ACCESS_QUOTA = FaultKind {
        code: "access.quota",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "A quota of the subscription or resource group is used up.",
        causes: &[
            cause("There are as many Arc machines, or resources, as the quota allows."),
            cause("Arc machines of deleted VMs were never deleted."),
        ],
        automatic: "Nothing: arc-enroll does not delete other resources.",
        recheck_from: Condition::Access,
        steps: &[
            workstation(
                Who::Reader,
                "See what is there:",
                "az connectedmachine list --resource-group {resource_group} --subscription {subscription_id} --query \"[].{name:name, status:status}\" --output table",
            ),
            ask(Who::ArcAdministrator, "Delete the Arc machines whose VM no longer exists"),
            ask(Who::SubscriptionOwner, "Or request a higher quota"),
            RERUN,
        ],
        guide: "azcmagent error AZCM0042",
        ..COMMON
    };

    ACCESS_GROUP = FaultKind {
        code: "access.resource-group-missing",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "The resource group does not exist.",
        causes: &[
            cause("azure.resource_group in the configuration is misspelt."),
            cause("It was not created yet."),
        ],
        automatic: "Nothing: arc-enroll does not create resource groups.",
        recheck_from: Condition::Access,
        steps: &[
            workstation(
                Who::SubscriptionContributor,
                "If its name in {config} is right, create it:",
                "az group create --name {resource_group} --location {location} --subscription {subscription_id}",
            ),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    ACCESS_PROVIDER = FaultKind {
        code: "access.provider-unregistered",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "The subscription is not registered for a resource provider that Arc needs.",
        causes: &[cause("Arc was not used in this subscription before.")],
        automatic: "azcmagent registers it if the identity is allowed to; the two roles for enrolling do not allow it.",
        recheck_from: Condition::Access,
        steps: &[REGISTER_HYBRID_COMPUTE, REGISTER_GUEST_CONFIGURATION, REGISTER_HYBRID_CONNECTIVITY, RERUN],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    ACCESS_POLICY = FaultKind {
        code: "access.policy",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "An Azure policy forbids this Arc machine.",
        causes: &[cause("A policy limits regions, names or requires tags.")],
        automatic: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Access,
        steps: &[
            workstation(
                Who::Reader,
                "See the policies:",
                "az policy assignment list --scope {scope} --disable-scope-strict-match",
            ),
            as_root("Add what the policy asks for (location, tags) to {config}", ""),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    ACCESS_LOCK = FaultKind {
        code: "access.locked",
        condition: Condition::Access,
        resolution: Resolution::Manual,
        summary: "A lock on the resource group or subscription forbids the change.",
        causes: &[cause("An administrator placed the lock to prevent changes.")],
        automatic: "Nothing: arc-enroll does not remove locks.",
        recheck_from: Condition::Access,
        steps: &[
            workstation(
                Who::Reader,
                "See the locks:",
                "az lock list --resource-group {resource_group} --subscription {subscription_id}",
            ),
            ask(Who::SubscriptionOwner, "Have the lock removed, or use another resource group"),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
