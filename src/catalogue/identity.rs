//! Faults of the token: `identity`.

use std::time::Duration;

use super::{entries, lines, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Repair, Resolution};

entries! {
    IDENTITY;

    /// IMDS knows no managed identity on this VM.
    IDENTITY_NONE = FaultKind {
        code: "identity.none",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "IMDS knows no managed identity on this VM.",
        causes: lines![
            "The VM was created without a managed identity; on Operator Nexus one cannot be added later.",
            "The identity was added after the VM was created.",
            "The VM was made with an API version before 2025-07-01-preview, which knows no identities.",
        ],
        agent: "Asks again for a while, for the identity may be on its way; then it is final.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        // First-boot clients wait 3 to 5 minutes for an identity that is being attached.
        most_window: Duration::from_secs(300),
        remediation: lines![
            "See what the VM has: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity`",
            "If it has none: create the VM anew with --mi-system-assigned --system-assigned, or with --mi-user-assigned --user-assigned ID.",
            "If it has one: correct identity in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    /// The identity that the configuration names is not on this VM.
    IDENTITY_NOT_ASSIGNED = FaultKind {
        code: "identity.not-assigned",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The identity that the configuration names is not on this VM.",
        causes: lines![
            "The value belongs to another key: client_id, object_id and resource_id are three names of one identity.",
            "The VM was created with another identity.",
            "The identity was deleted and made anew, which gives it new ids.",
        ],
        agent: "Asks again for a while, for the identity may be on its way; then it is final.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        // First-boot clients wait 3 to 5 minutes for an identity that is being attached.
        most_window: Duration::from_secs(300),
        remediation: lines![
            "See what the VM has: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity`",
            "See the ids of an identity: `az identity show --ids ID --query \"{resource_id:id, client_id:clientId, object_id:principalId}\"`",
            "Correct identity in {config}; or create the VM anew with --mi-user-assigned --user-assigned ID.",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    /// The configuration leaves the identity at system, and the VM has only a user-assigned one, without the role.
    IDENTITY_SYSTEM_NOT_ENABLED = FaultKind {
        code: "identity.system-not-enabled",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "No system-assigned identity is enabled on this VM: IMDS gave its only user-assigned one, which lacks the role.",
        causes: lines![
            "The roles were given to a system-assigned identity of another VM, or of this VM before it was made anew.",
            "The VM was created without --mi-system-assigned --system-assigned.",
            "The roles of the user-assigned identity are still missing.",
        ],
        agent: "Asks again with a fresh token, for a role may be on its way; then it is final.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        remediation: lines![
            "See what the VM has: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity`",
            "If the user-assigned identity is meant: `az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" --scope {scope}`",
            "`az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"HybridCompute Machine ListAccessDetails Action\" --scope {scope}`",
            "If a system-assigned one is meant: create the VM anew with --mi-system-assigned --system-assigned.",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Verify Managed Identity permissions",
        ..COMMON
    };

    /// IMDS says that the configured id of the identity has a wrong form.
    IDENTITY_ID_MALFORMED = FaultKind {
        code: "identity.id-malformed",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "IMDS says that the configured id of the identity has a wrong form.",
        causes: lines![
            "The value belongs to another key: client_id and object_id are GUIDs, resource_id is a path.",
            "The resource id names something else than a user-assigned identity.",
        ],
        agent: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Identity,
        remediation: lines![
            "See the ids of the identity: `az identity show --ids ID --query \"{resource_id:id, client_id:clientId, object_id:principalId}\"`",
            "Correct identity in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    /// The VM has several user-assigned identities and the configuration names none.
    IDENTITY_AMBIGUOUS = FaultKind {
        code: "identity.ambiguous",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The VM has several user-assigned identities and the configuration names none.",
        causes: lines!["identity is left at system, and the VM has no system-assigned identity."],
        agent: "Nothing: IMDS will not choose.",
        recheck_from: Condition::Identity,
        remediation: lines![
            "See them: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity`",
            "Name one in {config}: identity: {resource_id: /subscriptions/…/userAssignedIdentities/NAME}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    /// The token service does not know the resource that the token is asked for.
    IDENTITY_RESOURCE = FaultKind {
        code: "identity.resource-invalid",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The token service does not know the resource that the token is asked for.",
        causes: lines!["imds.resource in the configuration is misspelt."],
        agent: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Identity,
        remediation: lines![
            "Correct imds.resource in {config}; the default is https://management.azure.com/",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// IMDS misses the header `Metadata: true`, which was sent.
    IDENTITY_HEADER = FaultKind {
        code: "identity.header-required",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "IMDS misses the header Metadata: true, which was sent: something on the way takes it out.",
        causes: lines![
            "Web traffic of this VM passes through a proxy that drops unknown headers.",
            "A program on this VM or a mesh sidecar forwards requests to IMDS.",
        ],
        agent: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Identity,
        remediation: lines![
            "See whether something redirects it: `iptables -t nat -S | grep -e 80 -e 169.254`",
            "Compare: `curl -v --noproxy '*' -H Metadata:true \"{imds}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F\"`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// IMDS says that the request itself is wrong.
    IDENTITY_REQUEST = FaultKind {
        code: "identity.request-refused",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "IMDS says that the request itself is wrong.",
        causes: lines![
            "This sidecar wants another api-version than Azure's IMDS.",
            "Something on the path changes the request.",
        ],
        agent: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Identity,
        remediation: lines![
            "Compare: `curl -v --noproxy '*' -H Metadata:true \"{imds}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F\"`",
            "Report the answer with: `arc-enroll bundle`",
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token service refuses a token for this identity.
    IDENTITY_REFUSED = FaultKind {
        code: "identity.refused",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The token service refuses a token for this identity.",
        causes: lines![
            "The identity was deleted or is not assigned to this VM.",
            "The platform's token service does not accept this VM yet.",
        ],
        agent: "Asks again for a while.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        // First-boot clients wait 3 to 5 minutes for an identity that is being attached.
        most_window: Duration::from_secs(300),
        remediation: lines![
            "See what the VM has: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token endpoint is not there yet (404 or 408).
    IDENTITY_NOT_READY = FaultKind {
        code: "identity.not-ready",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The token endpoint is not there yet (404 or 408).",
        causes: lines!["The sidecar is starting."],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines!["Check: `curl -v --noproxy '*' -H Metadata:true {imds}/healthz`"],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token endpoint is being updated (410).
    IDENTITY_UPDATING = FaultKind {
        code: "identity.updating",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The token endpoint is being updated (410).",
        causes: lines!["The platform updates the sidecar; documented to last up to 70 seconds."],
        agent: "Tries again for at least 75 seconds.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        least_window: Duration::from_secs(75),
        remediation: lines!["Wait; if it stays so for minutes, report it with: `arc-enroll bundle`"],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token endpoint is asked too often (429).
    IDENTITY_THROTTLED = FaultKind {
        code: "identity.throttled",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The token endpoint is asked too often (429).",
        causes: lines!["Many VMs or programs ask at the same time."],
        agent: "Waits as long as it is told to, then tries again.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines!["See what else on the VM asks for tokens; arc-enroll needs one."],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The sidecar says itself that it is not healthy, and gives no token (5xx).
    IDENTITY_SIDECAR = FaultKind {
        code: "identity.sidecar-unhealthy",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The sidecar says itself that it is not healthy, and gives no token (5xx).",
        causes: lines![
            "The sidecar container is starting or shutting down.",
            "The sidecar cannot reach what it depends on.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines![
            "Check: `curl -v --noproxy '*' --max-time 3 -H Metadata:true {imds}/healthz`",
            "If it stays so, restart the VM from the Azure side, and report it to Microsoft support with: `arc-enroll bundle`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// The sidecar answers, but its token service fails (5xx).
    IDENTITY_SERVICE = FaultKind {
        code: "identity.token-service",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The sidecar answers, but its token service fails (5xx).",
        causes: lines![
            "The platform's token service is briefly down.",
            "The sidecar cannot reach it.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines!["If it stays so, report it to Microsoft support, with the time, and: `arc-enroll bundle`"],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// IMDS answered with success, but there is no token in what it said.
    IDENTITY_UNREADABLE = FaultKind {
        code: "identity.reply-unreadable",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "IMDS answered with success, but there is no token in what it said.",
        causes: lines![
            "The answer was cut off.",
            "The sidecar speaks another form.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        remediation: lines!["Check: `curl -v --noproxy '*' -H Metadata:true \"{imds}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F\" | head -c 300`"],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The sidecar hands out tokens that have expired already.
    IDENTITY_EXPIRED = FaultKind {
        code: "identity.token-expired",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The sidecar hands out tokens that have expired already, and the clocks agree.",
        causes: lines![
            "The token service gives stale tokens out of its store.",
            "The clock of the token service is wrong.",
        ],
        agent: "Asks for a new one at each look, for as long as the window lasts.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        remediation: lines![
            "See its times: `arc-enroll token --output json`",
            "If it stays so, report it to Microsoft support with: `arc-enroll bundle`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The sidecar hands out tokens that are not valid yet.
    IDENTITY_NOT_YET_VALID = FaultKind {
        code: "identity.token-not-yet-valid",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The sidecar hands out tokens that are not valid yet, and the clocks agree.",
        causes: lines!["The clock of the token service is ahead."],
        agent: "Asks for a new one at each look, for as long as the window lasts.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        remediation: lines![
            "See its times: `arc-enroll token --output json`",
            "If it stays so, report it to Microsoft support with: `arc-enroll bundle`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The token is for another tenant than the target's.
    IDENTITY_TENANT = FaultKind {
        code: "identity.wrong-tenant",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The token is for another tenant than the target's.",
        causes: lines![
            "tenant_id in the configuration is not the tenant of the VM's identity.",
            "The subscription belongs to another tenant.",
        ],
        agent: "Nothing: the identity's tenant does not change.",
        recheck_from: Condition::Identity,
        remediation: lines![
            "Correct or leave out azure.tenant_id in {config}",
            "The subscription's tenant: `az account show --subscription {subscription_id} --query tenantId`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// Neither the token nor the configuration names the tenant.
    IDENTITY_TENANT_UNKNOWN = FaultKind {
        code: "identity.tenant-unknown",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "Neither the token nor the configuration names the tenant, and azcmagent needs it.",
        causes: lines!["The token service issues tokens whose text cannot be read, which it may."],
        agent: "Nothing: the next token is of the same form.",
        recheck_from: Condition::Identity,
        remediation: lines![
            "Set azure.tenant_id in {config}; it is: `az account show --subscription {subscription_id} --query tenantId`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The token is not for Azure Resource Manager.
    IDENTITY_AUDIENCE = FaultKind {
        code: "identity.wrong-audience",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The token is not for Azure Resource Manager.",
        causes: lines!["imds.resource in the configuration names another service."],
        agent: "Nothing: the same request gives the same token.",
        recheck_from: Condition::Identity,
        remediation: lines![
            "Correct imds.resource in {config}; the default is https://management.azure.com/",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// Azure rejects the token as invalid or expired.
    IDENTITY_TOKEN_REJECTED = FaultKind {
        code: "identity.token-rejected",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "Azure rejects the token as invalid or expired.",
        causes: lines![
            "The token expired while something was waited for.",
            "The clock of this VM is wrong.",
            "The identity was deleted and made anew.",
        ],
        agent: "Gets a new token at once and tries again, a bounded number of times; then in the window.",
        repair: Some(Repair::RenewToken),
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        remediation: lines![
            "Check the clock: `date -u`",
            "Check the token's tenant and expiry: `arc-enroll token --output json`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
