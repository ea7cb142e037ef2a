//! Faults of the token: `identity`.

use std::time::Duration;

use super::{entries, COMMON};
use crate::condition::Condition;
use crate::fault::{Entry, Outlook, Repair};
use crate::retry::Pace;

entries! {
    IDENTITY;

    /// IMDS knows no such managed identity on this VM.
    IDENTITY_NONE = Entry {
        code: "identity.none",
        condition: Condition::Identity,
        outlook: Outlook::Person,
        means: "IMDS knows no such managed identity on this VM.",
        causes: &[
            "The VM was created without a managed identity; on Operator Nexus one cannot be added later.",
            "The identity asked for is not the one that the VM has.",
        ],
        agent: "Asks again for a while, for the identity may be on its way; then it is final.",
        pace: Some(Pace::Slow),
        again_from: Condition::Identity,
        // First-boot clients wait 3 to 5 minutes for an identity that is being attached.
        most_window: Duration::from_secs(300),
        person: &[
            "See what the VM has: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity`",
            "If it has none: create the VM anew with --mi-system-assigned --system-assigned, or with --mi-user-assigned --user-assigned ID.",
            "If it has another one: correct identity in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    /// The VM has several user-assigned identities and the configuration names none.
    IDENTITY_AMBIGUOUS = Entry {
        code: "identity.ambiguous",
        condition: Condition::Identity,
        outlook: Outlook::Person,
        means: "The VM has several user-assigned identities and the configuration names none.",
        causes: &["identity is left at system, and the VM has no system-assigned identity."],
        agent: "Nothing: IMDS will not choose.",
        again_from: Condition::Identity,
        person: &[
            "See them: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity`",
            "Name one in {config}: identity: {resource_id: /subscriptions/…/userAssignedIdentities/NAME}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to sign in with managed identity",
        ..COMMON
    };

    /// The token service does not know the resource that the token is asked for.
    IDENTITY_RESOURCE = Entry {
        code: "identity.resource-invalid",
        condition: Condition::Identity,
        outlook: Outlook::Person,
        means: "The token service does not know the resource that the token is asked for.",
        causes: &["imds.resource in the configuration is misspelt."],
        agent: "Nothing: the same request gives the same answer.",
        again_from: Condition::Identity,
        person: &[
            "Correct imds.resource in {config}; the default is https://management.azure.com/",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// IMDS says that the request itself is wrong.
    IDENTITY_REQUEST = Entry {
        code: "identity.request-refused",
        condition: Condition::Identity,
        outlook: Outlook::Person,
        means: "IMDS says that the request itself is wrong.",
        causes: &[
            "This sidecar wants another api-version or header than Azure's IMDS.",
            "Something on the path removes the Metadata header.",
        ],
        agent: "Nothing: the same request gives the same answer.",
        again_from: Condition::Identity,
        person: &[
            "Compare: `curl -v --noproxy '*' -H Metadata:true \"{imds}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F\"`",
            "Report the answer with: `arc-enroll doctor`",
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token service refuses a token for this identity.
    IDENTITY_REFUSED = Entry {
        code: "identity.refused",
        condition: Condition::Identity,
        outlook: Outlook::Person,
        means: "The token service refuses a token for this identity.",
        causes: &[
            "The identity was deleted or is not assigned to this VM.",
            "The platform's token service does not accept this VM yet.",
        ],
        agent: "Asks again for a while.",
        pace: Some(Pace::Slow),
        again_from: Condition::Identity,
        // First-boot clients wait 3 to 5 minutes for an identity that is being attached.
        most_window: Duration::from_secs(300),
        person: &[
            "See what the VM has: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token endpoint is not there yet (404 or 408).
    IDENTITY_NOT_READY = Entry {
        code: "identity.not-ready",
        condition: Condition::Identity,
        outlook: Outlook::Time,
        means: "The token endpoint is not there yet (404 or 408).",
        causes: &["The sidecar is starting."],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Identity,
        person: &["Check: `curl -v --noproxy '*' -H Metadata:true {imds}/healthz`"],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token endpoint is being updated (410).
    IDENTITY_UPDATING = Entry {
        code: "identity.updating",
        condition: Condition::Identity,
        outlook: Outlook::Time,
        means: "The token endpoint is being updated (410).",
        causes: &["The platform updates the sidecar; documented to last up to 70 seconds."],
        agent: "Tries again for at least 75 seconds.",
        pace: Some(Pace::Fast),
        again_from: Condition::Identity,
        least_window: Duration::from_secs(75),
        person: &["Wait; if it stays so for minutes, report it with: `arc-enroll doctor`"],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token endpoint is asked too often (429).
    IDENTITY_THROTTLED = Entry {
        code: "identity.throttled",
        condition: Condition::Identity,
        outlook: Outlook::Time,
        means: "The token endpoint is asked too often (429).",
        causes: &["Many VMs or programs ask at the same time."],
        agent: "Waits as long as it is told to, then tries again.",
        pace: Some(Pace::Fast),
        again_from: Condition::Identity,
        person: &["See what else on the VM asks for tokens; arc-enroll needs one."],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The sidecar answers, but its token service fails (5xx).
    IDENTITY_SERVICE = Entry {
        code: "identity.token-service",
        condition: Condition::Identity,
        outlook: Outlook::Time,
        means: "The sidecar answers, but its token service fails (5xx).",
        causes: &[
            "The platform's token service is briefly down.",
            "The sidecar cannot reach it.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Identity,
        person: &["If it stays so, report it to Microsoft support with the time and the answer from: `arc-enroll doctor`"],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// IMDS answered with success, but there is no token in what it said.
    IDENTITY_UNREADABLE = Entry {
        code: "identity.reply-unreadable",
        condition: Condition::Identity,
        outlook: Outlook::Time,
        means: "IMDS answered with success, but there is no token in what it said.",
        causes: &[
            "The answer was cut off.",
            "The sidecar speaks another form.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Identity,
        person: &["Check: `curl -v --noproxy '*' -H Metadata:true \"{imds}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F\" | head -c 300`"],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// The token is for another tenant than the target's.
    IDENTITY_TENANT = Entry {
        code: "identity.wrong-tenant",
        condition: Condition::Identity,
        outlook: Outlook::Person,
        means: "The token is for another tenant than the target's.",
        causes: &[
            "tenant_id in the configuration is not the tenant of the VM's identity.",
            "The subscription belongs to another tenant.",
        ],
        agent: "Nothing: the identity's tenant does not change.",
        again_from: Condition::Identity,
        person: &[
            "Correct or leave out azure.tenant_id in {config}",
            "The subscription's tenant: `az account show --subscription {subscription_id} --query tenantId`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// Neither the token nor the configuration names the tenant.
    IDENTITY_TENANT_UNKNOWN = Entry {
        code: "identity.tenant-unknown",
        condition: Condition::Identity,
        outlook: Outlook::Person,
        means: "Neither the token nor the configuration names the tenant, and azcmagent needs it.",
        causes: &["The token service issues tokens whose text cannot be read, which it may."],
        agent: "Nothing: the next token is of the same form.",
        again_from: Condition::Identity,
        person: &[
            "Set azure.tenant_id in {config}; it is: `az account show --subscription {subscription_id} --query tenantId`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The token is not for Azure Resource Manager.
    IDENTITY_AUDIENCE = Entry {
        code: "identity.wrong-audience",
        condition: Condition::Identity,
        outlook: Outlook::Person,
        means: "The token is not for Azure Resource Manager.",
        causes: &["imds.resource in the configuration names another service."],
        agent: "Nothing: the same request gives the same token.",
        again_from: Condition::Identity,
        person: &[
            "Correct imds.resource in {config}; the default is https://management.azure.com/",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to retrieve access token",
        ..COMMON
    };

    /// Azure rejects the token as invalid or expired.
    IDENTITY_TOKEN_REJECTED = Entry {
        code: "identity.token-rejected",
        condition: Condition::Identity,
        outlook: Outlook::Time,
        means: "Azure rejects the token as invalid or expired.",
        causes: &[
            "The token expired while something was waited for.",
            "The clock of this VM is wrong.",
            "The identity was deleted and made anew.",
        ],
        agent: "Gets a new token at once and tries again, a bounded number of times; then in the window.",
        repair: Some(Repair::RenewToken),
        pace: Some(Pace::Slow),
        again_from: Condition::Identity,
        person: &[
            "Check the clock: `date -u`",
            "Check the token's tenant and expiry: `arc-enroll token --output json`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
