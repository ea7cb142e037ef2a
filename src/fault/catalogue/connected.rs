//! Faults of the connection: `connected`.

use super::{entries, COMMON};
use crate::condition::Condition;
use crate::fault::{Entry, Outlook, Repair};
use crate::retry::Pace;

entries! {
    CONNECTED;

    /// This VM is not an Azure Arc-enabled server yet.
    CONNECTED_NOT_YET = Entry {
        code: "connected.not-enrolled",
        condition: Condition::Connected,
        outlook: Outlook::Time,
        means: "This VM is not an Azure Arc-enabled server yet.",
        causes: &["It was not enrolled yet."],
        agent: "Runs azcmagent connect.",
        repair: Some(Repair::Connect),
        pace: Some(Pace::Fast),
        again_from: Condition::Connected,
        person: &["`arc-enroll enroll`"],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent connect succeeded; the agent does not say Connected yet.
    CONNECTED_PENDING = Entry {
        code: "connected.pending",
        condition: Condition::Connected,
        outlook: Outlook::Time,
        means: "azcmagent connect succeeded; the agent does not say Connected yet.",
        causes: &["The agent sends its first heartbeat."],
        agent: "Looks again each second.",
        pace: Some(Pace::Poll),
        again_from: Condition::Connected,
        person: &["`azcmagent show`"],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// This VM is connected to another Arc resource than the configuration names.
    CONNECTED_ELSEWHERE = Entry {
        code: "connected.elsewhere",
        condition: Condition::Connected,
        outlook: Outlook::Person,
        means: "This VM is connected to another Arc resource than the configuration names.",
        causes: &[
            "It was enrolled by hand or by another configuration.",
            "It is a clone of an enrolled VM.",
        ],
        agent: "Nothing: an enrolled machine is never moved.",
        again_from: Condition::Connected,
        person: &[
            "See it: `azcmagent show`",
            "To move it, disconnect it yourself: `azcmagent disconnect`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0067",
        ..COMMON
    };

    /// This VM is enrolled, but Azure has not heard from it.
    CONNECTED_DISCONNECTED = Entry {
        code: "connected.disconnected",
        condition: Condition::Connected,
        outlook: Outlook::Time,
        means: "This VM is enrolled, but Azure has not heard from it.",
        causes: &[
            "The network is down or was.",
            "A service of azcmagent does not run.",
        ],
        agent: "Waits: the agent reconnects by itself. It is never enrolled anew for this.",
        pace: Some(Pace::Slow),
        again_from: Condition::Connected,
        person: &[
            "`azcmagent show`",
            "`azcmagent check --location {location}`",
            "`journalctl -u himdsd -n 50`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The Arc machine's own identity has expired; only enrolling anew helps.
    CONNECTED_EXPIRED = Entry {
        code: "connected.expired",
        condition: Condition::Connected,
        outlook: Outlook::Person,
        means: "The Arc machine's own identity has expired; only enrolling anew helps.",
        causes: &["The VM was cut off for more than 45 days."],
        agent: "Nothing: deleting an Arc machine needs a person's word.",
        again_from: Condition::Connected,
        person: &[
            "`azcmagent disconnect --force-local-only`",
            "Delete the resource: `az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent troubleshooting: connectivity",
        ..COMMON
    };

    /// azcmagent did not take the token and asked a person to sign in.
    CONNECTED_TOKEN_NOT_TAKEN = Entry {
        code: "connected.token-not-taken",
        condition: Condition::Connected,
        outlook: Outlook::Person,
        means: "azcmagent did not take the token and asked a person to sign in.",
        causes: &["This version of azcmagent does not read the token from its --config file."],
        agent: "Stops azcmagent at once instead of waiting five minutes.",
        again_from: Condition::Connected,
        person: &[
            "Set agent.token to argument in {config} (any process on the VM can then read the token while connect runs)",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent connect: access token",
        ..COMMON
    };

    /// An Arc machine of this name already exists.
    CONNECTED_NAME_TAKEN = Entry {
        code: "connected.name-taken",
        condition: Condition::Connected,
        outlook: Outlook::Person,
        means: "An Arc machine of this name already exists.",
        causes: &[
            "An earlier VM of this name was deleted without deleting its Arc machine.",
            "Two VMs have the same hostname.",
        ],
        agent: "Nothing: it may belong to another machine.",
        again_from: Condition::Connected,
        person: &[
            "See it: `az connectedmachine show --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "If it is a left-over: `az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "Or choose another name: azure.resource_name in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0044",
        ..COMMON
    };

    /// The Arc names resolve to private addresses, but no private link scope is configured, or the other way round.
    CONNECTED_PRIVATE_LINK = Entry {
        code: "connected.private-link",
        condition: Condition::Connected,
        outlook: Outlook::Person,
        means: "The Arc names resolve to private addresses, but no private link scope is configured, or the other way round.",
        causes: &["azure.private_link_scope is missing or is not the one behind the private endpoint."],
        agent: "Nothing: the same settings get the same answer.",
        again_from: Condition::Connected,
        person: &[
            "Set azure.private_link_scope in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0026",
        ..COMMON
    };

    /// azcmagent could not reach an endpoint that it needs.
    CONNECTED_NETWORK = Entry {
        code: "connected.network",
        condition: Condition::Connected,
        outlook: Outlook::Time,
        means: "azcmagent could not reach an endpoint that it needs.",
        causes: &[
            "An endpoint is missing from the egress list of the cloud services network.",
            "Azure is briefly down.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Proxy,
        person: &[
            "`azcmagent check --location {location}`",
            "See what is enabled: `az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --query \"{defaults:enableDefaultEgressEndpoints, additional:additionalEgressEndpoints, enabled:enabledEgressEndpoints}\"`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent made the Arc machine in Azure, but could not finish.
    CONNECTED_HALF_MADE = Entry {
        code: "connected.half-made",
        condition: Condition::Connected,
        outlook: Outlook::Time,
        means: "azcmagent made the Arc machine in Azure, but could not finish.",
        causes: &[
            "The connection broke in the middle.",
            "The metadata service of Arc was briefly down.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Slow),
        again_from: Condition::Connected,
        person: &[
            "See it: `az connectedmachine show --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "If it stays so, delete it and run again: `az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent errors AZCM0062 and AZCM0081",
        ..COMMON
    };

    /// azcmagent connect failed for a reason of its own.
    CONNECTED_FAILED = Entry {
        code: "connected.connect-failed",
        condition: Condition::Connected,
        outlook: Outlook::Time,
        means: "azcmagent connect failed for a reason of its own.",
        causes: &["See azcmagent's own words in the evidence."],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Slow),
        again_from: Condition::Connected,
        person: &[
            "Look the code up: https://aka.ms/arc/azcmerror",
            "`azcmagent logs`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent connect took too long and was stopped.
    CONNECTED_TIMEOUT = Entry {
        code: "connected.connect-timeout",
        condition: Condition::Connected,
        outlook: Outlook::Time,
        means: "azcmagent connect took too long and was stopped.",
        causes: &[
            "The network is very slow.",
            "azcmagent hangs on an endpoint.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Slow),
        again_from: Condition::Connected,
        person: &[
            "`azcmagent check --location {location}`",
            "`tail -50 /var/opt/azcmagent/log/azcmagent.log`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
