//! Faults of the token: `identity`.

use super::steps::{
    ASSIGN_LIST_ACCESS, ASSIGN_RESOURCE_MANAGER, CHECK_CLOCK, CHECK_SIDECAR, CORRECT_IDENTITY,
    CORRECT_IMDS_RESOURCE, REPORT, REQUEST_TOKEN, RERUN, RESTART_VM, SHOW_IDENTITY_IDS, SHOW_SIDECAR_ANSWER,
    SHOW_TENANT, SHOW_TOKEN, SHOW_VM_IDENTITY,
};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::repair::RepairId;
use crate::model::step::{as_root, ask, on_vm, workstation, Who};

entries! {
    IDENTITY;

    IDENTITY_NONE = FaultKind {
        code: "identity.none",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "IMDS knows no managed identity on this VM.",
        causes: &[
            cause("The VM was created without a managed identity; on Operator Nexus one cannot be added later."),
            cause("The identity was added after the VM was created."),
            cause("The VM was created with an API version before 2025-07-01-preview, which does not support identities."),
        ],
        automatic: "Asks again for up to five minutes, since the identity may not be attached yet; then stops.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        // An identity can be attached during the first minutes of a boot; other clients also wait 3 to 5 minutes for it.
        most_window_s: 300,
        steps: &[
            SHOW_VM_IDENTITY,
            ask(
                Who::VmContributor,
                "If it has none: recreate the VM with --mi-system-assigned --system-assigned, or with --mi-user-assigned --user-assigned ID",
            ),
            as_root("If it has one: correct identity in {config}", ""),
            RERUN,
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    IDENTITY_NOT_ASSIGNED = FaultKind {
        code: "identity.not-assigned",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The identity that the configuration names is not on this VM.",
        causes: &[
            cause("The value belongs to another key: client_id, object_id and resource_id are three different ids of an identity."),
            cause("The VM was created with another identity."),
            cause("The identity was deleted and created again, which gives it new ids."),
        ],
        automatic: "Asks again for up to five minutes, since the identity may not be attached yet; then stops.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        // An identity can be attached during the first minutes of a boot; other clients also wait 3 to 5 minutes for it.
        most_window_s: 300,
        steps: &[
            SHOW_VM_IDENTITY,
            SHOW_IDENTITY_IDS,
            CORRECT_IDENTITY,
            ask(Who::VmContributor, "Or recreate the VM with --mi-user-assigned --user-assigned ID"),
            RERUN,
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    IDENTITY_SYSTEM_NOT_ENABLED = FaultKind {
        code: "identity.system-not-enabled",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "No system-assigned identity is enabled on this VM: IMDS gave its only user-assigned one, which lacks the role.",
        causes: &[
            cause("The roles were assigned to the system-assigned identity of another VM, or of this VM before it was recreated."),
            cause("The VM was created without --mi-system-assigned --system-assigned."),
            cause("The roles of the user-assigned identity are still missing."),
        ],
        automatic: "Asks again with a new token until the window ends, since a role may not have taken effect yet; then stops.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        steps: &[
            SHOW_VM_IDENTITY,
            workstation(
                Who::UserAccessAdministrator,
                "If the user-assigned identity is meant, assign it the first role:",
                ASSIGN_RESOURCE_MANAGER.command,
            ),
            workstation(Who::UserAccessAdministrator, "And the second role:", ASSIGN_LIST_ACCESS.command),
            ask(
                Who::VmContributor,
                "If a system-assigned one is meant: recreate the VM with --mi-system-assigned --system-assigned",
            ),
            RERUN,
        ],
        guide: "Verify Managed Identity permissions",
        ..COMMON
    };

    IDENTITY_ID_MALFORMED = FaultKind {
        code: "identity.id-malformed",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "IMDS says that the configured id of the identity has a wrong form.",
        causes: &[
            cause("The value belongs to another key: client_id and object_id are GUIDs, resource_id is a path."),
            cause("The resource id is not that of a user-assigned identity."),
        ],
        automatic: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Identity,
        steps: &[SHOW_IDENTITY_IDS, CORRECT_IDENTITY, RERUN],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    IDENTITY_AMBIGUOUS = FaultKind {
        code: "identity.ambiguous",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The VM has several user-assigned identities and the configuration names none.",
        causes: &[cause("identity has its default, system, and the VM has no system-assigned identity.")],
        automatic: "Nothing: IMDS does not choose between them.",
        recheck_from: Condition::Identity,
        steps: &[
            SHOW_VM_IDENTITY,
            as_root(
                "Name one in {config}: identity: {resource_id: /subscriptions/…/userAssignedIdentities/NAME}",
                "",
            ),
            RERUN,
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    IDENTITY_RESOURCE = FaultKind {
        code: "identity.resource-invalid",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The token service does not know the resource that the token is asked for.",
        causes: &[cause("imds.resource in the configuration is misspelt.")],
        automatic: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Identity,
        steps: &[CORRECT_IMDS_RESOURCE, RERUN],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_HEADER = FaultKind {
        code: "identity.header-required",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "IMDS says that the header Metadata: true is missing, but it was sent: something on the way removes it.",
        causes: &[
            cause("Web traffic of this VM passes through a proxy that drops unknown headers."),
            cause("A program on this VM or a mesh sidecar forwards requests to IMDS."),
        ],
        automatic: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Identity,
        steps: &[
            as_root("See whether something redirects it:", "iptables -t nat -S | grep -e 80 -e 169.254"),
            REQUEST_TOKEN,
            RERUN,
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    IDENTITY_REQUEST = FaultKind {
        code: "identity.request-refused",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "IMDS says that the request itself is wrong.",
        causes: &[
            cause("This sidecar requires a different api-version than Azure's IMDS."),
            cause("A device or program on the path modifies the request."),
        ],
        automatic: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Identity,
        steps: &[REQUEST_TOKEN, REPORT],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_REFUSED = FaultKind {
        code: "identity.refused",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The token service refuses a token for this identity.",
        causes: &[
            cause("The identity was deleted or is not assigned to this VM."),
            cause("The platform's token service does not accept this VM yet."),
        ],
        automatic: "Asks again for up to five minutes; then stops.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        // An identity can be attached during the first minutes of a boot; other clients also wait 3 to 5 minutes for it.
        most_window_s: 300,
        steps: &[SHOW_VM_IDENTITY, RERUN],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_NOT_READY = FaultKind {
        code: "identity.not-ready",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The token endpoint is not there yet (404 or 408).",
        causes: &[cause("The sidecar is starting.")],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[SHOW_SIDECAR_ANSWER],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_UPDATING = FaultKind {
        code: "identity.updating",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The token endpoint is being updated (410).",
        causes: &[cause("The platform updates the sidecar; documented to last up to 70 seconds.")],
        automatic: "Tries again for at least 75 seconds.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        least_window_s: 75,
        steps: &[REPORT],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_THROTTLED = FaultKind {
        code: "identity.throttled",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The token endpoint is asked too often (429).",
        causes: &[cause("Many VMs or programs request tokens at the same time.")],
        automatic: "Waits for the time in Retry-After, then tries again.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[
            as_root(
                "See what else on this VM asks for tokens; arc-enroll needs one:",
                "ss -tnp dst {imds_host}",
            ),
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_SIDECAR = FaultKind {
        code: "identity.sidecar-unhealthy",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The sidecar says itself that it is not healthy, and gives no token (5xx).",
        causes: &[
            cause("The sidecar container is starting or shutting down."),
            cause("The sidecar cannot reach what it depends on."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[CHECK_SIDECAR, RESTART_VM, REPORT],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    IDENTITY_SERVICE = FaultKind {
        code: "identity.token-service",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The sidecar answers, but its token service fails (5xx).",
        causes: &[
            cause("The platform's token service is briefly down."),
            cause("The sidecar cannot reach it."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[REPORT],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_UNREADABLE = FaultKind {
        code: "identity.reply-unreadable",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "IMDS answered with success, but there is no token in what it said.",
        causes: &[
            cause("The answer was truncated."),
            cause("The sidecar answers in another format."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Identity,
        steps: &[
            on_vm(
                "See how the answer begins:",
                "curl -v --noproxy '*' -H Metadata:true {token_url} | head -c 300",
            ),
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_EXPIRED = FaultKind {
        code: "identity.token-expired",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The sidecar hands out tokens that have expired already, and the clocks agree.",
        causes: &[
            cause("The token service issues stale tokens from its cache."),
            cause("The clock of the token service is wrong."),
        ],
        automatic: "Requests a new token at each attempt, until the window ends.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        steps: &[SHOW_TOKEN, REPORT],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    IDENTITY_NOT_YET_VALID = FaultKind {
        code: "identity.token-not-yet-valid",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "The sidecar hands out tokens that are not valid yet, and the clocks agree.",
        causes: &[cause("The clock of the token service is ahead.")],
        automatic: "Requests a new token at each attempt, until the window ends.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        steps: &[SHOW_TOKEN, REPORT],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    IDENTITY_TENANT = FaultKind {
        code: "identity.wrong-tenant",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The token is for another tenant than the target's.",
        causes: &[
            cause("tenant_id in the configuration is not the tenant of the VM's identity."),
            cause("The subscription belongs to another tenant."),
        ],
        automatic: "Nothing: the identity's tenant does not change.",
        recheck_from: Condition::Identity,
        steps: &[
            SHOW_TENANT,
            as_root("Correct or leave out azure.tenant_id in {config}", ""),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    IDENTITY_TENANT_UNKNOWN = FaultKind {
        code: "identity.tenant-unknown",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "Neither the token nor the configuration names the tenant, and azcmagent needs it.",
        causes: &[cause("The token service issues opaque tokens, which is allowed.")],
        automatic: "Nothing: the next token has the same form.",
        recheck_from: Condition::Identity,
        steps: &[
            SHOW_TENANT,
            as_root("Set azure.tenant_id in {config}", ""),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    IDENTITY_AUDIENCE = FaultKind {
        code: "identity.wrong-audience",
        condition: Condition::Identity,
        resolution: Resolution::Manual,
        summary: "The token is not for Azure Resource Manager.",
        causes: &[cause("imds.resource in the configuration names another service.")],
        automatic: "Nothing: the same request gives the same token.",
        recheck_from: Condition::Identity,
        steps: &[CORRECT_IMDS_RESOURCE, RERUN],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    IDENTITY_TOKEN_REJECTED = FaultKind {
        code: "identity.token-rejected",
        condition: Condition::Identity,
        resolution: Resolution::Retry,
        summary: "Azure rejects the token as invalid or expired.",
        causes: &[
            cause("The token expired during a wait."),
            cause("The clock of this VM is wrong.").unless(Condition::Clock),
            cause("The identity was deleted and created again."),
        ],
        automatic: "Requests a new token at once and tries again, a bounded number of times; then until the window ends.",
        repair: Some(RepairId::RenewToken),
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Identity,
        steps: &[CHECK_CLOCK, SHOW_TOKEN, RERUN],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
