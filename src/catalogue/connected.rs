//! Faults of the connection: `connected`.

use super::steps::{
    CHECK_CONNECTIVITY, CLEAR_LOCAL_STATE, DELETE_ARC_MACHINE, RERUN, SHOW_AGENT, SHOW_ARC_MACHINE,
    SHOW_CSN_EGRESS, SHOW_HIMDS_LOG,
};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::repair::RepairId;
use crate::model::step::{as_root, workstation, Who};

entries! {
    CONNECTED;

    CONNECTED_NOT_YET = FaultKind {
        code: "connected.not-enrolled",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "This VM is not an Azure Arc-enabled server yet.",
        causes: &[cause("It was not enrolled yet.")],
        automatic: "Runs azcmagent connect.",
        repair: Some(RepairId::Connect),
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Connected,
        steps: &[as_root("Enroll it:", "{rerun}")],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    CONNECTED_PENDING = FaultKind {
        code: "connected.pending",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent connect succeeded, but azcmagent does not say Connected yet.",
        causes: &[cause("azcmagent has not sent its first heartbeat yet.")],
        automatic: "Checks again every second.",
        backoff: Some(Backoff::Poll),
        recheck_from: Condition::Connected,
        steps: &[SHOW_AGENT],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    CONNECTED_ELSEWHERE = FaultKind {
        code: "connected.elsewhere",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "This VM is connected to another Arc resource than the configuration names.",
        causes: &[
            cause("It was enrolled by hand or by another configuration."),
            cause("The VM is a clone of an enrolled VM."),
        ],
        automatic: "Nothing: an enrolled machine is never moved.",
        recheck_from: Condition::Connected,
        steps: &[
            SHOW_AGENT,
            as_root(
                "To move it, disconnect it yourself; this deletes its Arc machine in Azure, so never do it on a clone of an enrolled VM:",
                "azcmagent disconnect",
            ),
            RERUN,
        ],
        guide: "azcmagent error AZCM0067",
        ..COMMON
    };

    CONNECTED_DISCONNECTED = FaultKind {
        code: "connected.disconnected",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "This VM is enrolled, but Azure has not heard from it.",
        causes: &[
            cause("The network is or was down."),
            cause("A service of azcmagent does not run.").unless(Condition::Agent),
        ],
        automatic: "Waits: azcmagent reconnects by itself. The VM is not enrolled again.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        steps: &[SHOW_AGENT, CHECK_CONNECTIVITY, SHOW_HIMDS_LOG],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    CONNECTED_EXPIRED = FaultKind {
        code: "connected.expired",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "The Arc machine's own identity has expired; only enrolling again helps.",
        causes: &[cause("The VM was disconnected for more than 45 days.")],
        automatic: "Deletes the Arc machine and enrolls again only if repair.recreate_expired is true.",
        repair: Some(RepairId::RecreateExpired),
        recheck_from: Condition::Connected,
        steps: &[
            DELETE_ARC_MACHINE,
            CLEAR_LOCAL_STATE,
            RERUN,
            as_root("Or let arc-enroll do all this: set repair.recreate_expired to true in {config}", ""),
        ],
        guide: "azcmagent troubleshooting: connectivity",
        ..COMMON
    };

    CONNECTED_RECREATE = FaultKind {
        code: "connected.recreate-failed",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "The Expired Arc machine could not be removed, in Azure or on this VM.",
        causes: &[
            cause("Azure has not finished deleting it."),
            cause("azcmagent cannot remove its state on this VM."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        steps: &[DELETE_ARC_MACHINE, CLEAR_LOCAL_STATE, RERUN],
        guide: "azcmagent errors AZCM0043 and AZCM0063",
        ..COMMON
    };

    CONNECTED_CLONED = FaultKind {
        code: "connected.cloned",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "This VM looks like a copy of another one that is enrolled: both act as the same Arc machine.",
        causes: &[
            cause("The image was made from an enrolled VM."),
            cause("It was enrolled by hand under another name than its own."),
        ],
        automatic: "Nothing: an operator has to decide which of the two VMs keeps the Arc machine.",
        recheck_from: Condition::Connected,
        steps: &[
            SHOW_AGENT,
            as_root("If this VM is the copy, remove azcmagent's state on it:", CLEAR_LOCAL_STATE.command),
            as_root("If the name is right, set it as azure.resource_name in {config}", ""),
            RERUN,
        ],
        guide: "azcmagent overview: cloning guidelines",
        ..COMMON
    };

    CONNECTED_GONE = FaultKind {
        code: "connected.resource-gone",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "The Arc machine was deleted in Azure, but azcmagent on this VM still uses it.",
        causes: &[cause("The Arc machine was deleted in Azure without disconnecting the VM.")],
        automatic: "Nothing: an operator has to decide whether the VM is enrolled again.",
        recheck_from: Condition::Connected,
        steps: &[CLEAR_LOCAL_STATE, RERUN],
        guide: "azcmagent error AZCM0043",
        ..COMMON
    };

    CONNECTED_KEYS = FaultKind {
        code: "connected.keys",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "azcmagent cannot make, keep or read its keys or certificates, or the TPM that holds them.",
        causes: &[
            cause("The files below /var/opt/azcmagent are damaged or belong to another user."),
            cause("azcmagent is set to keep its keys in a TPM that this VM does not have."),
        ],
        automatic: "Nothing: a retry with the same keys gives the same result.",
        recheck_from: Condition::Connected,
        steps: &[
            as_root(
                "See whether they are there, and whose they are:",
                "ls -l /var/opt/azcmagent /var/opt/azcmagent/certs /dev/tpm0 /dev/tpmrm0",
            ),
            as_root("If a key is damaged, remove azcmagent's state on this VM:", CLEAR_LOCAL_STATE.command),
            RERUN,
        ],
        guide: "azcmagent errors AZCM0028, AZCM0076 and AZCM0103 to AZCM0108",
        ..COMMON
    };

    CONNECTED_TOKEN_NOT_TAKEN = FaultKind {
        code: "connected.token-not-taken",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "azcmagent did not take the token and asked a person to sign in.",
        causes: &[cause("This version of azcmagent does not read the token from its --config file.")],
        automatic: "Stops azcmagent at once instead of waiting five minutes.",
        recheck_from: Condition::Connected,
        steps: &[
            as_root(
                "Set agent.token to argument in {config} (any process on the VM can then read the token while connect runs)",
                "",
            ),
            RERUN,
        ],
        guide: "azcmagent connect: access token",
        ..COMMON
    };

    CONNECTED_NAME_TAKEN = FaultKind {
        code: "connected.name-taken",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "An Arc machine of this name already exists.",
        causes: &[
            cause("An earlier VM of this name was deleted without deleting its Arc machine."),
            cause("Two VMs have the same hostname."),
        ],
        automatic: "Nothing: the Arc machine may belong to another VM.",
        recheck_from: Condition::Connected,
        steps: &[
            SHOW_ARC_MACHINE,
            workstation(
                Who::ArcAdministrator,
                "If its VM no longer exists, delete it:",
                DELETE_ARC_MACHINE.command,
            ),
            as_root("Or choose another name: azure.resource_name in {config}", ""),
            RERUN,
        ],
        guide: "azcmagent error AZCM0044",
        ..COMMON
    };

    CONNECTED_PRIVATE_LINK = FaultKind {
        code: "connected.private-link",
        condition: Condition::Connected,
        resolution: Resolution::Manual,
        summary: "The Arc names resolve to private addresses, but no private link scope is configured, or the other way round.",
        causes: &[
            cause("azure.private_link_scope is missing or is not the one behind the private endpoint."),
            cause("azure.private_link_scope is set, but the names resolve to public addresses."),
        ],
        automatic: "Nothing: a retry with the same settings gives the same result.",
        recheck_from: Condition::Connected,
        steps: &[
            workstation(
                Who::Reader,
                "See the scopes:",
                "az connectedmachine private-link-scope list --resource-group {resource_group} --subscription {subscription_id}",
            ),
            as_root(
                "See what the names resolve to:",
                "azcmagent check --location {location} --enable-pls-check",
            ),
            as_root(
                "Set azure.private_link_scope in {config}, or remove it where no private endpoint is used",
                "",
            ),
            RERUN,
        ],
        guide: "azcmagent error AZCM0026",
        ..COMMON
    };

    CONNECTED_NETWORK = FaultKind {
        code: "connected.network",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent could not reach an endpoint that it needs.",
        causes: &[
            cause("An endpoint is missing from the egress list of the cloud services network."),
            cause("Azure is briefly down."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        steps: &[CHECK_CONNECTIVITY, SHOW_CSN_EGRESS],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    CONNECTED_HALF_MADE = FaultKind {
        code: "connected.half-made",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent made the Arc machine in Azure, but could not finish.",
        causes: &[
            cause("The connection was interrupted."),
            cause("The metadata service of Arc was briefly down."),
        ],
        automatic: "Connects again until the window ends, which usually completes it; nothing is deleted.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        steps: &[
            SHOW_ARC_MACHINE,
            workstation(Who::ArcAdministrator, "If it stays so, delete it:", DELETE_ARC_MACHINE.command),
            RERUN,
        ],
        guide: "azcmagent errors AZCM0062 and AZCM0081",
        ..COMMON
    };

    CONNECTED_FAILED = FaultKind {
        code: "connected.connect-failed",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent connect failed for a reason of its own.",
        causes: &[cause("See azcmagent's message in the evidence.")],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        steps: &[
            as_root(
                "Look the code up at https://aka.ms/arc/azcmerror, and collect azcmagent's logs:",
                "azcmagent logs",
            ),
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    CONNECTED_TIMEOUT = FaultKind {
        code: "connected.connect-timeout",
        condition: Condition::Connected,
        resolution: Resolution::Retry,
        summary: "azcmagent connect took too long and was stopped.",
        causes: &[
            cause("The network is very slow."),
            cause("azcmagent waits for an endpoint that does not answer."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Connected,
        steps: &[
            CHECK_CONNECTIVITY,
            as_root("See where it stopped:", "tail -50 /var/opt/azcmagent/log/azcmagent.log"),
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
