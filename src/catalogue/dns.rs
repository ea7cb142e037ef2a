//! Faults of name resolution: `dns`.

use super::steps::RERUN;
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::step::{as_root, on_vm};

entries! {
    DNS;

    DNS_UNRESOLVED = FaultKind {
        code: "dns.unresolved",
        condition: Condition::Dns,
        resolution: Resolution::Manual,
        summary: "The Azure names do not resolve here, and there is no proxy that would resolve them.",
        causes: &[
            cause("No name server is configured."),
            cause("The name server cannot be reached."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Dns,
        steps: &[
            on_vm("Check:", "nslookup management.azure.com"),
            as_root("On Nexus the CSN proxy resolves names: set proxy.url in {config}", ""),
            RERUN,
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };
}
