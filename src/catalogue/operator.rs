//! Faults that `precheck` meets from the operator's side: az itself, the cluster, the cloud services network, the
//! identities and their roles as Azure shows them.

use super::{entries, lines, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Resolution};

/// What every entry here has in common: the agent on the VM does nothing about it.
const LOOKED: FaultKind =
    FaultKind { resolution: Resolution::Manual, agent: "Nothing: precheck only looks.", ..COMMON };

entries! {
    OPERATOR;

    /// The az CLI is not on this machine.
    HOST_NO_AZ = FaultKind {
        code: "host.no-az",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "The az CLI is not on this machine.",
        causes: lines!["Azure CLI was never installed here.", "It is not in PATH."],
        remediation: lines![
            "Install it: https://learn.microsoft.com/cli/azure/install-azure-cli",
            "Sign in: `az login{tenant_option}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Feature support versions",
        ..LOOKED
    };

    /// Nobody is signed in to az, or no longer.
    HOST_AZ_SIGN_IN = FaultKind {
        code: "host.az-not-signed-in",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "Nobody is signed in to az, or the sign-in has expired.",
        causes: lines![
            "az login was never run by this user.",
            "The sign-in has expired or was revoked.",
            "AZURE_CONFIG_DIR names another folder than that of the sign-in.",
        ],
        remediation: lines!["`az login{tenant_option}`", "Then run: `arc-enroll precheck`"],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// The sign-in does not reach the subscription, the tenant or the cloud of the configuration.
    HOST_AZ_ACCOUNT = FaultKind {
        code: "host.az-wrong-account",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "The sign-in of az does not reach the subscription of the configuration.",
        causes: lines![
            "Another account, tenant or cloud is signed in.",
            "azure.subscription_id, tenant_id or cloud in the configuration is wrong.",
        ],
        remediation: lines![
            "See what it reaches: `az account list --all --output table`",
            "Choose the cloud: `az cloud set --name {cloud}`",
            "Sign in: `az login{tenant_option}`",
            "Or correct {config}",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// az or its networkcloud extension is absent or too old.
    HOST_AZ_EXTENSION = FaultKind {
        code: "host.az-extension",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "The networkcloud extension of az is absent, or it or az is too old for VMs with identities.",
        causes: lines![
            "The extension was never added.",
            "The extension is older than 4.0.0b1, the first with API version 2025-07-01-preview; or az is older than 2.75.",
        ],
        remediation: lines![
            "`az upgrade`",
            "`az extension add --name networkcloud`",
            "`az extension update --name networkcloud`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Feature support versions",
        ..LOOKED
    };

    /// Azure does not show this to who is signed in.
    HOST_AZ_REFUSED = FaultKind {
        code: "host.az-refused",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "Azure does not show this to who is signed in, so it could not be judged.",
        causes: lines![
            "Who is signed in has no role that reads it, such as Reader.",
            "The role was assigned a moment ago.",
        ],
        remediation: lines![
            "See who is signed in: `az account show --query user`",
            "Have its owner run this, or get a role that reads it: `{az}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// az did not answer, or not readably.
    HOST_AZ_FAILED = FaultKind {
        code: "host.az-failed",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "az failed or its answer cannot be read, so this could not be judged.",
        causes: lines![
            "This machine does not reach Azure: no network, or a proxy that is not set.",
            "Azure is busy or slow.",
            "Something else than Azure CLI is called az here.",
        ],
        remediation: lines!["See what it says: `{az}`", "Then run: `arc-enroll precheck`"],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// The cluster is too old for VMs with identities.
    IMDS_PLATFORM_OLD = FaultKind {
        code: "imds.platform-too-old",
        condition: Condition::Imds,
        summary: "The Operator Nexus cluster is too old to give its VMs identities.",
        causes: lines!["Its runtime is older than 4.7.0; its management bundle has to be 2510.1 at least, too."],
        remediation: lines![
            "See what it can become: `az networkcloud cluster show {cluster_at} --query \"{version:clusterVersion, available:availableUpgradeVersions[].targetClusterVersion}\"`",
            "Have who runs the cluster upgrade it: `az networkcloud cluster update-version {cluster_at} --target-cluster-version {cluster_target}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Feature support versions",
        ..LOOKED
    };

    /// Which cloud services network is meant is not known.
    PROXY_CSN_UNKNOWN = FaultKind {
        code: "proxy.csn-unknown",
        condition: Condition::Proxy,
        summary: "Which cloud services network the VM uses is not known.",
        causes: lines![
            "There is none in the resource group, or there are several.",
            "The name is misspelt, or it is in another resource group.",
        ],
        remediation: lines![
            "Name it, by name or id: `arc-enroll precheck --csn NAME`",
            "See all of the subscription: `az networkcloud cloudservicesnetwork list --subscription {subscription_id} --query \"[].id\" --output tsv`",
            "Or make one: `az networkcloud cloudservicesnetwork create {csn_at} --location {location} --extended-location name=\"$CUSTOM_LOCATION_ID\" type=CustomLocation --enable-default-egress-endpoints True`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// The VM is attached to another cloud services network than the one that was named.
    PROXY_CSN_OTHER = FaultKind {
        code: "proxy.csn-of-another",
        condition: Condition::Proxy,
        summary: "The VM is attached to another cloud services network than the one that was named.",
        causes: lines!["--csn names the wrong one.", "The VM was created on the wrong one; it cannot be moved."],
        remediation: lines![
            "Look at the VM's own: `arc-enroll precheck --csn {csn_of_vm}`",
            "Or create the VM anew on the right one: `{create}`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// The cloud services network could not be made.
    PROXY_CSN_FAILED = FaultKind {
        code: "proxy.csn-failed",
        condition: Condition::Proxy,
        summary: "The cloud services network is in a failed state; its proxy may not work.",
        causes: lines!["Creating or changing it failed; its status says why."],
        remediation: lines![
            "See why: `az networkcloud cloudservicesnetwork show {csn_at} --query \"{state:provisioningState, status:detailedStatus, message:detailedStatusMessage}\"`",
            "Try the last change again: `az networkcloud cloudservicesnetwork update {csn_at} --enable-default-egress-endpoints True`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// The cloud services network is being made or changed.
    PROXY_CSN_PROVISIONING = FaultKind {
        code: "proxy.csn-provisioning",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "The cloud services network is being made or changed.",
        causes: lines!["Somebody created or updated it a moment ago."],
        backoff: Some(Backoff::Slow),
        remediation: lines![
            "Wait for it: `az networkcloud cloudservicesnetwork wait {csn_at} --created`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// The cloud services network does not let out what this configuration needs.
    EGRESS_CSN = FaultKind {
        code: "egress.csn-incomplete",
        condition: Condition::Egress,
        summary: "The cloud services network does not let out everything that this configuration needs.",
        causes: lines![
            "It was created without --enable-default-egress-endpoints True.",
            "azcmagent comes from a place that the defaults do not hold, such as packages.microsoft.com.",
        ],
        remediation: lines![
            "Let out the platform's defaults: `az networkcloud cloudservicesnetwork update {csn_at} --enable-default-egress-endpoints True`",
            "Let out what is missing; this replaces the list, and what it has stays in it: `az networkcloud cloudservicesnetwork update {csn_at} --additional-egress-endpoints \"{csn_egress_json}\"`",
            "Its list holds characters that no shell command should be made of; add these in the portal: {endpoints}",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// There is no VM of the name that was given.
    IDENTITY_VM_MISSING = FaultKind {
        code: "identity.vm-missing",
        condition: Condition::Identity,
        summary: "There is no VM of the name that was given.",
        causes: lines!["The name is misspelt, or the VM is in another resource group.", "It was not created yet."],
        remediation: lines![
            "See all of the subscription: `az networkcloud virtualmachine list --subscription {subscription_id} --query \"[].id\" --output tsv`",
            "Before the VM exists, leave --vm out: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// The VM has no managed identity.
    IDENTITY_VM_NONE = FaultKind {
        code: "identity.vm-without-identity",
        condition: Condition::Identity,
        summary: "The VM has no managed identity; on Operator Nexus one cannot be added later.",
        causes: lines![
            "It was created without --mi-system-assigned or --mi-user-assigned.",
            "The identity was added after the VM was created, or the API version was before 2025-07-01-preview.",
        ],
        remediation: lines![
            "Delete the VM: `az networkcloud virtualmachine delete {vm_at}`",
            "Create it anew, with an identity: `{create}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..LOOKED
    };

    /// The VM has another identity than the configuration asks for.
    IDENTITY_VM_OTHER = FaultKind {
        code: "identity.vm-other-identity",
        condition: Condition::Identity,
        summary: "The VM has another identity than the configuration asks for.",
        causes: lines!["identity in the configuration is wrong.", "The VM was created with another identity."],
        remediation: lines![
            "See what it has: `az networkcloud virtualmachine show {vm_at} --query identity`",
            "Correct identity in {config}, which is in the VM's user-data; or correct nothing but the command that creates the VM",
            "Delete the VM: `az networkcloud virtualmachine delete {vm_at}`",
            "Create it anew: `{create}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..LOOKED
    };

    /// The user-assigned identity of the configuration does not exist.
    IDENTITY_USER_MISSING = FaultKind {
        code: "identity.user-assigned-missing",
        condition: Condition::Identity,
        summary: "The user-assigned identity of the configuration does not exist, or not in this subscription.",
        causes: lines![
            "identity in the configuration is misspelt.",
            "It was not made yet, or deleted and made anew, which gives it new ids.",
        ],
        remediation: lines![
            "See what there is: `az identity list --subscription {subscription_id} --query \"[].{resource_id:id, client_id:clientId, object_id:principalId}\"`",
            "Make it: `az identity create {identity_at} --location {location}`",
            "Or correct identity in {config}",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// The identity lacks a role on the resource group.
    ACCESS_UNASSIGNED = FaultKind {
        code: "access.role-unassigned",
        condition: Condition::Access,
        summary: "The identity lacks a role that it needs on the resource group.",
        causes: lines![
            "The role was not assigned yet, or to another identity.",
            "The role was assigned at another scope, or to a group, which is not seen here.",
        ],
        remediation: lines![
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" --scope {scope}`",
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"HybridCompute Machine ListAccessDetails Action\" --scope {scope}`",
            "See what it has: `az role assignment list --assignee {principal_id} --all`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };
}
