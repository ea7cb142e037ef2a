//! Faults of the proxy settings on this VM: `proxy-environment`.

use super::steps::{RERUN, SET_PROXY_IN_SHELL, SHOW_PROXY_SETTINGS};
use super::{entries, COMMON};
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::repair::RepairId;
use crate::model::step::as_root;

entries! {
    PROXY_ENVIRONMENT;

    PROXY_ENV_CONTRADICTORY = FaultKind {
        code: "proxy-environment.contradictory",
        condition: Condition::ProxyEnvironment,
        resolution: Resolution::Manual,
        summary: "A setting on this VM names a different proxy than the configuration.",
        causes: &[
            cause("An image or a script made for another network set its own proxy."),
            cause("Only one of the upper-case and lower-case names was corrected."),
            cause("A variable was given to the running systemd by hand (systemctl set-environment)."),
        ],
        automatic: "Writes the configured proxy; a replaced line is kept above it as a comment.",
        repair: Some(RepairId::PersistProxy),
        recheck_from: Condition::ProxyEnvironment,
        steps: &[
            SHOW_PROXY_SETTINGS,
            as_root("If the other proxy is the right one, name it as proxy.url in {config}", ""),
            RERUN,
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    PROXY_ENV_NO_PROXY = FaultKind {
        code: "proxy-environment.no-proxy-incomplete",
        condition: Condition::ProxyEnvironment,
        resolution: Resolution::Manual,
        summary: "NO_PROXY lacks the address of IMDS or a loopback name somewhere, so that other programs ask the proxy for it.",
        causes: &[
            cause("The proxy was set and NO_PROXY was forgotten."),
            cause("A later line or file set NO_PROXY again, without them."),
        ],
        automatic: "Adds what is missing; existing entries are kept.",
        repair: Some(RepairId::PersistProxy),
        recheck_from: Condition::ProxyEnvironment,
        steps: &[
            as_root(
                "See what is set:",
                "grep -ri no_proxy /etc/environment /etc/profile.d /etc/systemd/system.conf.d",
            ),
            SET_PROXY_IN_SHELL,
            RERUN,
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    PROXY_ENV_MISSING = FaultKind {
        code: "proxy-environment.incomplete",
        condition: Condition::ProxyEnvironment,
        resolution: Resolution::Manual,
        summary: "The proxy settings are not set everywhere on this VM.",
        causes: &[
            cause("A fresh image has no settings for the cloud services network."),
            cause("One file was edited and the others were not."),
            cause("The running systemd has not read them yet."),
        ],
        automatic: "Merges the settings into every file; existing content is kept.",
        repair: Some(RepairId::PersistProxy),
        recheck_from: Condition::ProxyEnvironment,
        steps: &[SHOW_PROXY_SETTINGS, SET_PROXY_IN_SHELL, RERUN],
        guide: "CSN Proxy configuration",
        ..COMMON
    };
}
