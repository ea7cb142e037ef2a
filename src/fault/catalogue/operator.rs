//! Faults that `precheck` meets from the operator's side: az itself, the cluster, the cloud services network, the
//! identities and their roles as Azure shows them.

use super::{entries, lines, COMMON};
use crate::condition::Condition;
use crate::fault::{Entry, Outlook};
use crate::retry::Pace;

/// What every entry here has in common: the agent on the VM does nothing about it.
const LOOKED: Entry = Entry { outlook: Outlook::Person, agent: "Nothing: precheck only looks.", ..COMMON };

entries! {
    OPERATOR;

    /// The az CLI is not on this machine.
    HOST_NO_AZ = Entry {
        code: "host.no-az",
        condition: Condition::Host,
        outlook: Outlook::Machine,
        means: "The az CLI is not on this machine.",
        causes: lines!["Azure CLI was never installed here.", "It is not in PATH."],
        person: lines![
            "Install it: https://learn.microsoft.com/cli/azure/install-azure-cli",
            "Sign in: `az login{tenant_option}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Feature support versions",
        ..LOOKED
    };

    /// Nobody is signed in to az, or no longer.
    HOST_AZ_SIGN_IN = Entry {
        code: "host.az-not-signed-in",
        condition: Condition::Host,
        outlook: Outlook::Machine,
        means: "Nobody is signed in to az, or the sign-in has expired.",
        causes: lines![
            "az login was never run by this user.",
            "The sign-in has expired or was revoked.",
            "AZURE_CONFIG_DIR names another folder than that of the sign-in.",
        ],
        person: lines!["`az login{tenant_option}`", "Then run: `arc-enroll precheck`"],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// The sign-in does not reach the subscription, the tenant or the cloud of the configuration.
    HOST_AZ_ACCOUNT = Entry {
        code: "host.az-wrong-account",
        condition: Condition::Host,
        outlook: Outlook::Machine,
        means: "The sign-in of az does not reach the subscription of the configuration.",
        causes: lines![
            "Another account, tenant or cloud is signed in.",
            "azure.subscription_id, tenant_id or cloud in the configuration is wrong.",
        ],
        person: lines![
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
    HOST_AZ_EXTENSION = Entry {
        code: "host.az-extension",
        condition: Condition::Host,
        outlook: Outlook::Machine,
        means: "The networkcloud extension of az is absent, or it or az is too old for VMs with identities.",
        causes: lines![
            "The extension was never added.",
            "The extension is older than 4.0.0b1, the first with API version 2025-07-01-preview; or az is older than 2.75.",
        ],
        person: lines![
            "`az upgrade`",
            "`az extension add --name networkcloud`",
            "`az extension update --name networkcloud`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Feature support versions",
        ..LOOKED
    };

    /// Azure does not show this to who is signed in.
    HOST_AZ_REFUSED = Entry {
        code: "host.az-refused",
        condition: Condition::Host,
        outlook: Outlook::Machine,
        means: "Azure does not show this to who is signed in, so it could not be judged.",
        causes: lines![
            "Who is signed in has no role that reads it, such as Reader.",
            "The role was assigned a moment ago.",
        ],
        person: lines![
            "See who is signed in: `az account show --query user`",
            "Have its owner run this, or get a role that reads it: `{az}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// az did not answer, or not readably.
    HOST_AZ_FAILED = Entry {
        code: "host.az-failed",
        condition: Condition::Host,
        outlook: Outlook::Machine,
        means: "az failed or its answer cannot be read, so this could not be judged.",
        causes: lines![
            "This machine does not reach Azure: no network, or a proxy that is not set.",
            "Azure is busy or slow.",
            "Something else than Azure CLI is called az here.",
        ],
        person: lines!["See what it says: `{az}`", "Then run: `arc-enroll precheck`"],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// The cluster is too old for VMs with identities.
    IMDS_PLATFORM_OLD = Entry {
        code: "imds.platform-too-old",
        condition: Condition::Imds,
        means: "The Operator Nexus cluster is too old to give its VMs identities.",
        causes: lines!["Its runtime is older than 4.7.0; its management bundle has to be 2510.1 at least, too."],
        person: lines![
            "See what it can become: `az networkcloud cluster show {cluster_at} --query \"{version:clusterVersion, available:availableUpgradeVersions[].targetClusterVersion}\"`",
            "Have who runs the cluster upgrade it: `az networkcloud cluster update-version {cluster_at} --target-cluster-version {cluster_target}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Feature support versions",
        ..LOOKED
    };

    /// Which cloud services network is meant is not known.
    PROXY_CSN_UNKNOWN = Entry {
        code: "proxy.csn-unknown",
        condition: Condition::Proxy,
        means: "Which cloud services network the VM uses is not known.",
        causes: lines![
            "There is none in the resource group, or there are several.",
            "The name is misspelt, or it is in another resource group.",
        ],
        person: lines![
            "Name it, by name or id: `arc-enroll precheck --csn NAME`",
            "See all of the subscription: `az networkcloud cloudservicesnetwork list --subscription {subscription_id} --query \"[].id\" --output tsv`",
            "Or make one: `az networkcloud cloudservicesnetwork create {csn_at} --location {location} --extended-location name=\"$CUSTOM_LOCATION_ID\" type=CustomLocation --enable-default-egress-endpoints True`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// The VM is attached to another cloud services network than the one that was named.
    PROXY_CSN_OTHER = Entry {
        code: "proxy.csn-of-another",
        condition: Condition::Proxy,
        means: "The VM is attached to another cloud services network than the one that was named.",
        causes: lines!["--csn names the wrong one.", "The VM was created on the wrong one; it cannot be moved."],
        person: lines![
            "Look at the VM's own: `arc-enroll precheck --csn {csn_of_vm}`",
            "Or create the VM anew on the right one: `{create}`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// The cloud services network could not be made.
    PROXY_CSN_FAILED = Entry {
        code: "proxy.csn-failed",
        condition: Condition::Proxy,
        means: "The cloud services network is in a failed state; its proxy may not work.",
        causes: lines!["Creating or changing it failed; its status says why."],
        person: lines![
            "See why: `az networkcloud cloudservicesnetwork show {csn_at} --query \"{state:provisioningState, status:detailedStatus, message:detailedStatusMessage}\"`",
            "Try the last change again: `az networkcloud cloudservicesnetwork update {csn_at} --enable-default-egress-endpoints True`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// The cloud services network is being made or changed.
    PROXY_CSN_PROVISIONING = Entry {
        code: "proxy.csn-provisioning",
        condition: Condition::Proxy,
        outlook: Outlook::Time,
        means: "The cloud services network is being made or changed.",
        causes: lines!["Somebody created or updated it a moment ago."],
        pace: Some(Pace::Slow),
        person: lines![
            "Wait for it: `az networkcloud cloudservicesnetwork wait {csn_at} --created`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// The cloud services network does not let out what this configuration needs.
    EGRESS_CSN = Entry {
        code: "egress.csn-incomplete",
        condition: Condition::Egress,
        means: "The cloud services network does not let out everything that this configuration needs.",
        causes: lines![
            "It was created without --enable-default-egress-endpoints True.",
            "azcmagent comes from a place that the defaults do not hold, such as packages.microsoft.com.",
        ],
        person: lines![
            "Let out the platform's defaults: `az networkcloud cloudservicesnetwork update {csn_at} --enable-default-egress-endpoints True`",
            "Let out what is missing; this replaces the list, and what it has stays in it: `az networkcloud cloudservicesnetwork update {csn_at} --additional-egress-endpoints \"{csn_egress_json}\"`",
            "Its list holds characters that no shell command should be made of; add these in the portal: {endpoints}",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..LOOKED
    };

    /// There is no VM of the name that was given.
    IDENTITY_VM_MISSING = Entry {
        code: "identity.vm-missing",
        condition: Condition::Identity,
        means: "There is no VM of the name that was given.",
        causes: lines!["The name is misspelt, or the VM is in another resource group.", "It was not created yet."],
        person: lines![
            "See all of the subscription: `az networkcloud virtualmachine list --subscription {subscription_id} --query \"[].id\" --output tsv`",
            "Before the VM exists, leave --vm out: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// The VM has no managed identity.
    IDENTITY_VM_NONE = Entry {
        code: "identity.vm-without-identity",
        condition: Condition::Identity,
        means: "The VM has no managed identity; on Operator Nexus one cannot be added later.",
        causes: lines![
            "It was created without --mi-system-assigned or --mi-user-assigned.",
            "The identity was added after the VM was created, or the API version was before 2025-07-01-preview.",
        ],
        person: lines![
            "Delete the VM: `az networkcloud virtualmachine delete {vm_at}`",
            "Create it anew, with an identity: `{create}`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..LOOKED
    };

    /// The VM has another identity than the configuration asks for.
    IDENTITY_VM_OTHER = Entry {
        code: "identity.vm-other-identity",
        condition: Condition::Identity,
        means: "The VM has another identity than the configuration asks for.",
        causes: lines!["identity in the configuration is wrong.", "The VM was created with another identity."],
        person: lines![
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
    IDENTITY_USER_MISSING = Entry {
        code: "identity.user-assigned-missing",
        condition: Condition::Identity,
        means: "The user-assigned identity of the configuration does not exist, or not in this subscription.",
        causes: lines![
            "identity in the configuration is misspelt.",
            "It was not made yet, or deleted and made anew, which gives it new ids.",
        ],
        person: lines![
            "See what there is: `az identity list --subscription {subscription_id} --query \"[].{resource_id:id, client_id:clientId, object_id:principalId}\"`",
            "Make it: `az identity create {identity_at} --location {location}`",
            "Or correct identity in {config}",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };

    /// The identity lacks a role on the resource group.
    ACCESS_UNASSIGNED = Entry {
        code: "access.role-unassigned",
        condition: Condition::Access,
        means: "The identity lacks a role that it needs on the resource group.",
        causes: lines![
            "The role was not assigned yet, or to another identity.",
            "The role was assigned at another scope, or to a group, which is not seen here.",
        ],
        person: lines![
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" --scope {scope}`",
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"HybridCompute Machine ListAccessDetails Action\" --scope {scope}`",
            "See what it has: `az role assignment list --assignee {principal_id} --all`",
            "Then run: `arc-enroll precheck`",
        ],
        guide: "Verify Managed Identity permissions",
        ..LOOKED
    };
}
