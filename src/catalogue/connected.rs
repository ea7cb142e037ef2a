//! Faults of the connection: `connected`.

use super::{entries, lines, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Repair, Resolution};

entries! {
    CONNECTED;

    /// This VM is not an Azure Arc-enabled server yet.
    CONNECTED_NOT_YET = FaultKind {
        code: "connected.not-enrolled",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "This VM is not an Azure Arc-enabled server yet.",
        causes: lines!["It was not enrolled yet."],
        agent: "Runs azcmagent connect.",
        repair: Some(Repair::Connect),
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Connected,
        remediation: lines!["`arc-enroll enroll`"],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent connect succeeded; the agent does not say Connected yet.
    CONNECTED_PENDING = FaultKind {
        code: "connected.pending",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent connect succeeded; the agent does not say Connected yet.",
        causes: lines!["The agent sends its first heartbeat."],
        agent: "Looks again each second.",
        backoff: Some(Backoff::Poll),
        recheck_from: Condition::Connected,
        remediation: lines!["`azcmagent show`"],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// This VM is connected to another Arc resource than the configuration names.
    CONNECTED_ELSEWHERE = FaultKind {
        code: "connected.elsewhere",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "This VM is connected to another Arc resource than the configuration names.",
        causes: lines![
            "It was enrolled by hand or by another configuration.",
            "It is a clone of an enrolled VM.",
        ],
        agent: "Nothing: an enrolled machine is never moved.",
        recheck_from: Condition::Connected,
        remediation: lines![
            "See it: `azcmagent show`",
            "To move it, disconnect it yourself: `azcmagent disconnect`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0067",
        ..COMMON
    };

    /// This VM is enrolled, but Azure has not heard from it.
    CONNECTED_DISCONNECTED = FaultKind {
        code: "connected.disconnected",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "This VM is enrolled, but Azure has not heard from it.",
        causes: lines![
            "The network is down or was.",
            "A service of azcmagent does not run.",
        ],
        agent: "Waits: the agent reconnects by itself. It is never enrolled anew for this.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        remediation: lines![
            "`azcmagent show`",
            "`azcmagent check --location {location}`",
            "`journalctl -u himdsd -n 50`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The Arc machine's own identity has expired; only enrolling anew helps.
    CONNECTED_EXPIRED = FaultKind {
        code: "connected.expired",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "The Arc machine's own identity has expired; only enrolling anew helps.",
        causes: lines!["The VM was cut off for more than 45 days."],
        agent: "Deletes the Arc machine and enrolls anew only where repair.recreate_expired says so.",
        repair: Some(Repair::RecreateExpired),
        recheck_from: Condition::Connected,
        remediation: lines![
            "Delete the resource: `az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "`azcmagent disconnect --force-local-only`",
            "Then run: `arc-enroll enroll`",
            "Or let the agent do all this: set repair.recreate_expired to true in {config}",
        ],
        guide: "azcmagent troubleshooting: connectivity",
        ..COMMON
    };

    /// The Expired Arc machine could not be removed.
    CONNECTED_RECREATE = FaultKind {
        code: "connected.recreate-failed",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "The Expired Arc machine could not be removed, in Azure or on this VM.",
        causes: lines![
            "Azure takes its time to delete it.",
            "azcmagent cannot clear what it has on this VM.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        remediation: lines![
            "Delete the resource: `az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "`azcmagent disconnect --force-local-only`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent errors AZCM0043 and AZCM0063",
        ..COMMON
    };

    /// This VM looks like a copy of another, enrolled VM.
    CONNECTED_CLONED = FaultKind {
        code: "connected.cloned",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "This VM looks like a copy of another one that is enrolled: both act as the same Arc machine.",
        causes: lines![
            "The image was made of a VM that was enrolled already.",
            "It was enrolled by hand under another name than its own.",
        ],
        agent: "Nothing: which of the two is the right one is for a person to say.",
        recheck_from: Condition::Connected,
        remediation: lines![
            "See it: `azcmagent show`",
            "If this VM is the copy: `azcmagent disconnect --force-local-only`",
            "If the name is right, say so: azure.resource_name in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent overview: cloning guidelines",
        ..COMMON
    };

    /// Azure does not know the Arc machine that azcmagent believes to be.
    CONNECTED_GONE = FaultKind {
        code: "connected.resource-gone",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "The Arc machine was deleted in Azure, while azcmagent on this VM still believes to be it.",
        causes: lines!["Somebody deleted it in Azure without disconnecting the VM."],
        agent: "Nothing: whether the VM is to be enrolled anew is for a person to say.",
        recheck_from: Condition::Connected,
        remediation: lines![
            "`azcmagent disconnect --force-local-only`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0043",
        ..COMMON
    };

    /// azcmagent cannot make or read its keys or certificates.
    CONNECTED_KEYS = FaultKind {
        code: "connected.keys",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "azcmagent cannot make, keep or read its keys or certificates, or the TPM that holds them.",
        causes: lines![
            "The files below /var/opt/azcmagent are damaged or belong to another user.",
            "azcmagent is set to keep its keys in a TPM that this VM does not have.",
        ],
        agent: "Nothing: the same keys give the same answer.",
        recheck_from: Condition::Connected,
        remediation: lines![
            "`ls -l /var/opt/azcmagent /var/opt/azcmagent/certs /dev/tpm0 /dev/tpmrm0`",
            "If a key is damaged: `azcmagent disconnect --force-local-only`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent errors AZCM0028, AZCM0076 and AZCM0103 to AZCM0108",
        ..COMMON
    };

    /// azcmagent did not take the token and asked a person to sign in.
    CONNECTED_TOKEN_NOT_TAKEN = FaultKind {
        code: "connected.token-not-taken",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "azcmagent did not take the token and asked a person to sign in.",
        causes: lines!["This version of azcmagent does not read the token from its --config file."],
        agent: "Stops azcmagent at once instead of waiting five minutes.",
        recheck_from: Condition::Connected,
        remediation: lines![
            "Set agent.token to argument in {config} (any process on the VM can then read the token while connect runs)",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent connect: access token",
        ..COMMON
    };

    /// An Arc machine of this name already exists.
    CONNECTED_NAME_TAKEN = FaultKind {
        code: "connected.name-taken",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "An Arc machine of this name already exists.",
        causes: lines![
            "An earlier VM of this name was deleted without deleting its Arc machine.",
            "Two VMs have the same hostname.",
        ],
        agent: "Nothing: it may belong to another machine.",
        recheck_from: Condition::Connected,
        remediation: lines![
            "See it: `az connectedmachine show --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "If it is a left-over: `az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "Or choose another name: azure.resource_name in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0044",
        ..COMMON
    };

    /// The Arc names resolve to private addresses, but no private link scope is configured, or the other way round.
    CONNECTED_PRIVATE_LINK = FaultKind {
        code: "connected.private-link",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "The Arc names resolve to private addresses, but no private link scope is configured, or the other way round.",
        causes: lines![
            "azure.private_link_scope is missing or is not the one behind the private endpoint.",
            "azure.private_link_scope is set, but the names resolve to public addresses.",
        ],
        agent: "Nothing: the same settings get the same answer.",
        recheck_from: Condition::Connected,
        remediation: lines![
            "See the scopes: `az connectedmachine private-link-scope list --resource-group {resource_group} --subscription {subscription_id}`",
            "See what the names resolve to: `azcmagent check --location {location} --enable-pls-check`",
            "Set azure.private_link_scope in {config}, or remove it where no private endpoint is used",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0026",
        ..COMMON
    };

    /// azcmagent could not reach an endpoint that it needs.
    CONNECTED_NETWORK = FaultKind {
        code: "connected.network",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent could not reach an endpoint that it needs.",
        causes: lines![
            "An endpoint is missing from the egress list of the cloud services network.",
            "Azure is briefly down.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        remediation: lines![
            "`azcmagent check --location {location}`",
            "See what is enabled: `az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --query \"{defaults:enableDefaultEgressEndpoints, additional:additionalEgressEndpoints, enabled:enabledEgressEndpoints}\"`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent made the Arc machine in Azure, but could not finish.
    CONNECTED_HALF_MADE = FaultKind {
        code: "connected.half-made",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent made the Arc machine in Azure, but could not finish.",
        causes: lines![
            "The connection broke in the middle.",
            "The metadata service of Arc was briefly down.",
        ],
        agent: "Connects again for as long as the window lasts, which finishes most; it deletes nothing.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        remediation: lines![
            "See it: `az connectedmachine show --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "If it stays so, delete it: `az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent errors AZCM0062 and AZCM0081",
        ..COMMON
    };

    /// azcmagent connect failed for a reason of its own.
    CONNECTED_FAILED = FaultKind {
        code: "connected.connect-failed",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent connect failed for a reason of its own.",
        causes: lines!["See azcmagent's own words in the evidence."],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        remediation: lines![
            "Look the code up: https://aka.ms/arc/azcmerror",
            "`azcmagent logs`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent connect took too long and was stopped.
    CONNECTED_TIMEOUT = FaultKind {
        code: "connected.connect-timeout",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent connect took too long and was stopped.",
        causes: lines![
            "The network is very slow.",
            "azcmagent hangs on an endpoint.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        remediation: lines![
            "`azcmagent check --location {location}`",
            "`tail -50 /var/opt/azcmagent/log/azcmagent.log`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
