//! Faults that `precheck` finds from the workstation: az, the cluster, the cloud services network, the identities and
//! their roles. With the steps of their own, of which `precheck` omits those that do not apply.

use super::steps::{ASSIGN_LIST_ACCESS, ASSIGN_RESOURCE_MANAGER, SHOW_ROLES};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::step::{ask, workstation, Step, Who};

/// Defaults of these entries: arc-enroll does nothing about them.
const PRECHECK: FaultKind =
    FaultKind { resolution: Resolution::Manual, automatic: "Nothing: precheck changes nothing.", ..COMMON };

/// Run `precheck` again, on the workstation.
pub const RERUN_PRECHECK: Step = workstation(Who::SignedIn, "Then run:", "{precheck}");

/// Sign in to az.
pub const SIGN_IN: Step = workstation(Who::SignedIn, "Sign in:", "az login {tenant_option}");

/// Upgrade az; omitted if it is new enough.
pub const AZ_UPGRADE: Step = workstation(Who::Anyone, "Upgrade az:", "az upgrade");

/// Add the networkcloud extension; omitted if it is installed.
pub const EXTENSION_ADD: Step =
    workstation(Who::Anyone, "Add the extension:", "az extension add --name networkcloud");

/// Update the networkcloud extension; omitted if it is absent or new enough.
pub const EXTENSION_UPDATE: Step =
    workstation(Who::Anyone, "Update the extension:", "az extension update --name networkcloud");

/// Create the user-assigned identity; omitted if its name is not known.
pub const MAKE_IDENTITY: Step = workstation(
    Who::IdentityContributor,
    "Create it:",
    "az identity create {identity_at} --location {location}",
);

/// Create a cloud services network; omitted if there is one.
pub const MAKE_CSN: Step = workstation(
    Who::NetworkOwner,
    "Or create one:",
    "az networkcloud cloudservicesnetwork create {csn_at} --location {location} --extended-location name=\"$CUSTOM_LOCATION_ID\" type=CustomLocation --enable-default-egress-endpoints True",
);

/// Enable the platform's default endpoints; omitted if they are enabled.
pub const ENABLE_DEFAULT_ENDPOINTS: Step = workstation(
    Who::NetworkOwner,
    "Enable the platform's default endpoints:",
    "az networkcloud cloudservicesnetwork update {csn_at} --enable-default-egress-endpoints True",
);

/// Add the missing endpoints to the list; omitted if none is missing, or if the list is not safe in a command.
pub const ADD_MISSING_ENDPOINTS: Step = workstation(
    Who::NetworkOwner,
    "Add what is missing; this replaces the list, and what it already has is kept in it:",
    "az networkcloud cloudservicesnetwork update {csn_at} --additional-egress-endpoints {csn_egress_json}",
);

/// Add the missing endpoints in the portal; omitted if a command can do it.
pub const ADD_ENDPOINTS_IN_PORTAL: Step = ask(
    Who::NetworkOwner,
    "Its list has characters that are not safe in a shell command; add these in the portal: {endpoints}",
);

/// Delete the VM.
pub const DELETE_VM: Step = workstation(
    Who::VmContributor,
    "Delete the VM, including its data:",
    "az networkcloud virtualmachine delete {vm_at}",
);

entries! {
    OPERATOR;

    HOST_NO_AZ = FaultKind {
        code: "host.no-az",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "The az CLI is not on this machine.",
        causes: &[
            cause("Azure CLI was never installed here."),
            cause("It is not in PATH."),
        ],
        steps: &[
            workstation(
                Who::Anyone,
                "Install it: https://learn.microsoft.com/cli/azure/install-azure-cli",
                "",
            ),
            SIGN_IN,
            RERUN_PRECHECK,
        ],
        guide: "Feature support versions",
        ..PRECHECK
    };

    HOST_AZ_SIGN_IN = FaultKind {
        code: "host.az-not-signed-in",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "Nobody is signed in to az, or the sign-in has expired.",
        causes: &[
            cause("az login was never run by this user."),
            cause("The sign-in has expired or was revoked."),
            cause("AZURE_CONFIG_DIR names another folder than that of the sign-in."),
        ],
        steps: &[SIGN_IN, RERUN_PRECHECK],
        guide: "Verify Managed Identity permissions",
        ..PRECHECK
    };

    HOST_AZ_ACCOUNT = FaultKind {
        code: "host.az-wrong-account",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "The sign-in of az does not reach the subscription of the configuration.",
        causes: &[
            cause("Another account, tenant or cloud is signed in."),
            cause("azure.subscription_id, tenant_id or cloud in the configuration is wrong."),
        ],
        steps: &[
            workstation(Who::SignedIn, "See what it reaches:", "az account list --all --output table"),
            workstation(Who::SignedIn, "Choose the cloud:", "az cloud set --name {cloud}"),
            SIGN_IN,
            workstation(Who::Anyone, "Or correct {config}", ""),
            RERUN_PRECHECK,
        ],
        guide: "Verify Managed Identity permissions",
        ..PRECHECK
    };

    HOST_AZ_EXTENSION = FaultKind {
        code: "host.az-extension",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "The networkcloud extension of az is absent, or it or az is too old for VMs with identities.",
        causes: &[
            cause("The extension was never added."),
            cause("The extension is older than 4.0.0b1, the first with API version 2025-07-01-preview; or az is older than 2.75."),
        ],
        steps: &[AZ_UPGRADE, EXTENSION_ADD, EXTENSION_UPDATE, RERUN_PRECHECK],
        guide: "Feature support versions",
        ..PRECHECK
    };

    HOST_AZ_REFUSED = FaultKind {
        code: "host.az-refused",
        is_inconclusive: true,
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "Azure does not show this to the account that is signed in, so it could not be judged.",
        causes: &[
            cause("The account that is signed in has no role that reads it, such as Reader."),
            cause("The role was assigned a moment ago."),
        ],
        steps: &[
            workstation(Who::SignedIn, "See who is signed in:", "az account show --query user"),
            workstation(
                Who::Reader,
                "Have somebody who may read it run this, or get a role that reads it:",
                "{az}",
            ),
            RERUN_PRECHECK,
        ],
        guide: "Verify Managed Identity permissions",
        ..PRECHECK
    };

    HOST_AZ_FAILED = FaultKind {
        code: "host.az-failed",
        is_inconclusive: true,
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "az failed or its answer cannot be read, so this could not be judged.",
        causes: &[
            cause("This machine cannot reach Azure: there is no network, or the proxy is not set."),
            cause("Azure is busy or slow."),
            cause("The az in PATH is not the Azure CLI."),
        ],
        steps: &[
            workstation(Who::SignedIn, "See what it says:", "{az}"),
            RERUN_PRECHECK,
        ],
        guide: "Verify Managed Identity permissions",
        ..PRECHECK
    };

    IMDS_PLATFORM_OLD = FaultKind {
        code: "imds.platform-too-old",
        condition: Condition::Imds,
        summary: "The Operator Nexus cluster is too old to give its VMs identities.",
        causes: &[
            cause("Its runtime is older than 4.7.0; its management bundle must be at least 2510.1, too."),
        ],
        steps: &[
            workstation(
                Who::Reader,
                "See the versions that it can be upgraded to:",
                "az networkcloud cluster show {cluster_at} --query \"{version:clusterVersion, available:availableUpgradeVersions[].targetClusterVersion}\"",
            ),
            workstation(
                Who::ClusterOperator,
                "Upgrade the cluster:",
                "az networkcloud cluster update-version {cluster_at} --target-cluster-version {cluster_target}",
            ),
            RERUN_PRECHECK,
        ],
        guide: "Feature support versions",
        ..PRECHECK
    };

    PROXY_CSN_UNKNOWN = FaultKind {
        code: "proxy.csn-unknown",
        condition: Condition::Proxy,
        summary: "Which cloud services network the VM uses is not known.",
        causes: &[
            cause("There is none in the resource group, or there are several."),
            cause("The name is misspelt, or it is in another resource group."),
        ],
        steps: &[
            workstation(Who::SignedIn, "Name it, by name or id:", "{precheck} --csn NAME"),
            workstation(
                Who::Reader,
                "See all of the subscription:",
                "az networkcloud cloudservicesnetwork list --subscription {subscription_id} --query \"[].id\" --output tsv",
            ),
            MAKE_CSN,
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..PRECHECK
    };

    PROXY_CSN_OTHER = FaultKind {
        code: "proxy.csn-of-another",
        condition: Condition::Proxy,
        summary: "The VM is attached to another cloud services network than the one that was named.",
        causes: &[
            cause("--csn names the wrong one."),
            cause("The VM was created on the wrong one; it cannot be moved."),
        ],
        steps: &[
            workstation(Who::SignedIn, "Look at the VM's own:", "{precheck} --csn {csn_of_vm}"),
            workstation(Who::VmContributor, "Or recreate the VM on the right one:", "{create}"),
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..PRECHECK
    };

    PROXY_CSN_FAILED = FaultKind {
        code: "proxy.csn-failed",
        condition: Condition::Proxy,
        summary: "The cloud services network is in a failed state; its proxy may not work.",
        causes: &[cause("Creating or changing it failed; its status says why.")],
        steps: &[
            workstation(
                Who::Reader,
                "See why:",
                "az networkcloud cloudservicesnetwork show {csn_at} --query \"{state:provisioningState, status:detailedStatus, message:detailedStatusMessage}\"",
            ),
            workstation(Who::NetworkOwner, "Try the last change again:", ENABLE_DEFAULT_ENDPOINTS.command),
            RERUN_PRECHECK,
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..PRECHECK
    };

    PROXY_CSN_PROVISIONING = FaultKind {
        code: "proxy.csn-provisioning",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "The cloud services network is being created or changed.",
        causes: &[cause("It was created or updated a moment ago.")],
        backoff: Some(Backoff::Slow),
        steps: &[
            workstation(
                Who::Reader,
                "Wait for it:",
                "az networkcloud cloudservicesnetwork wait {csn_at} --created",
            ),
            RERUN_PRECHECK,
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..PRECHECK
    };

    EGRESS_CSN = FaultKind {
        code: "egress.csn-incomplete",
        condition: Condition::Egress,
        summary: "The cloud services network does not allow every endpoint that this configuration needs.",
        causes: &[
            cause("It was created without --enable-default-egress-endpoints True."),
            cause("azcmagent is downloaded from a place that is not among the defaults, such as packages.microsoft.com."),
        ],
        steps: &[ENABLE_DEFAULT_ENDPOINTS, ADD_MISSING_ENDPOINTS, ADD_ENDPOINTS_IN_PORTAL, RERUN_PRECHECK],
        guide: "Cloud Services Network (CSN) configurations",
        ..PRECHECK
    };

    IDENTITY_VM_MISSING = FaultKind {
        code: "identity.vm-missing",
        condition: Condition::Identity,
        summary: "There is no VM of the name that was given.",
        causes: &[
            cause("The name is misspelt, or the VM is in another resource group."),
            cause("It was not created yet."),
        ],
        steps: &[
            workstation(
                Who::Reader,
                "See all of the subscription:",
                "az networkcloud virtualmachine list --subscription {subscription_id} --query \"[].id\" --output tsv",
            ),
            workstation(Who::SignedIn, "Before the VM exists, leave --vm out:", "{precheck}"),
        ],
        guide: "Verify Managed Identity permissions",
        ..PRECHECK
    };

    IDENTITY_VM_NONE = FaultKind {
        code: "identity.vm-without-identity",
        condition: Condition::Identity,
        summary: "The VM has no managed identity; on Operator Nexus one cannot be added later.",
        causes: &[
            cause("It was created without --mi-system-assigned or --mi-user-assigned."),
            cause("The identity was added after the VM was created, or the API version was before 2025-07-01-preview."),
        ],
        steps: &[
            DELETE_VM,
            workstation(Who::VmContributor, "Recreate it, with an identity:", "{create}"),
            RERUN_PRECHECK,
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..PRECHECK
    };

    IDENTITY_VM_OTHER = FaultKind {
        code: "identity.vm-other-identity",
        condition: Condition::Identity,
        summary: "The VM has another identity than the configuration asks for.",
        causes: &[
            cause("identity in the configuration is wrong."),
            cause("The VM was created with another identity."),
        ],
        steps: &[
            workstation(
                Who::Reader,
                "See what it has:",
                "az networkcloud virtualmachine show {vm_at} --query identity",
            ),
            workstation(
                Who::Anyone,
                "If that identity is meant, correct identity in {config} and in the VM's user-data; a new VM is needed only for another identity",
                "",
            ),
            DELETE_VM,
            workstation(Who::VmContributor, "Recreate it:", "{create}"),
            RERUN_PRECHECK,
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..PRECHECK
    };

    IDENTITY_USER_MISSING = FaultKind {
        code: "identity.user-assigned-missing",
        condition: Condition::Identity,
        summary: "The user-assigned identity of the configuration does not exist, or not in this subscription.",
        causes: &[
            cause("identity in the configuration is misspelt."),
            cause("It was not created yet, or it was deleted and created again, which gives it new ids."),
        ],
        steps: &[
            workstation(
                Who::Reader,
                "See what there is:",
                "az identity list --subscription {subscription_id} --query \"[].{resource_id:id, client_id:clientId, object_id:principalId}\"",
            ),
            MAKE_IDENTITY,
            workstation(Who::Anyone, "Or correct identity in {config}", ""),
            RERUN_PRECHECK,
        ],
        guide: "Verify Managed Identity permissions",
        ..PRECHECK
    };

    ACCESS_UNASSIGNED = FaultKind {
        code: "access.role-unassigned",
        condition: Condition::Access,
        summary: "The identity lacks a role that it needs on the resource group.",
        causes: &[
            cause("The role was not assigned yet, or to another identity."),
            cause("The role was assigned at another scope, or to a group, which precheck does not see."),
        ],
        steps: &[ASSIGN_RESOURCE_MANAGER, ASSIGN_LIST_ACCESS, SHOW_ROLES, RERUN_PRECHECK],
        guide: "Verify Managed Identity permissions",
        ..PRECHECK
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{
        ACCESS_PROVIDER, REGISTER_GUEST_CONFIGURATION, REGISTER_HYBRID_COMPUTE, REGISTER_HYBRID_CONNECTIVITY,
    };

    #[test]
    fn steps_that_precheck_omits_are_steps_of_their_faults() {
        for (kind, step) in [
            (&HOST_AZ_EXTENSION, AZ_UPGRADE),
            (&HOST_AZ_EXTENSION, EXTENSION_ADD),
            (&HOST_AZ_EXTENSION, EXTENSION_UPDATE),
            (&ACCESS_PROVIDER, REGISTER_HYBRID_COMPUTE),
            (&ACCESS_PROVIDER, REGISTER_GUEST_CONFIGURATION),
            (&ACCESS_PROVIDER, REGISTER_HYBRID_CONNECTIVITY),
            (&IDENTITY_USER_MISSING, MAKE_IDENTITY),
            (&PROXY_CSN_UNKNOWN, MAKE_CSN),
            (&EGRESS_CSN, ENABLE_DEFAULT_ENDPOINTS),
            (&EGRESS_CSN, ADD_MISSING_ENDPOINTS),
            (&EGRESS_CSN, ADD_ENDPOINTS_IN_PORTAL),
            (&ACCESS_UNASSIGNED, ASSIGN_RESOURCE_MANAGER),
            (&ACCESS_UNASSIGNED, ASSIGN_LIST_ACCESS),
        ] {
            assert!(kind.steps.contains(&step), "{}: {}", kind.code, step.text);
        }
    }
}
