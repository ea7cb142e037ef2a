//! Faults of the IMDS sidecar and the way to it: `imds`.

use super::steps::{CHECK_SIDECAR, REPORT, RERUN, RESTART_VM, SHOW_INTERFACES, SHOW_SIDECAR_ANSWER};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::step::{as_root, on_vm};

entries! {
    IMDS;

    IMDS_REFUSED = FaultKind {
        code: "imds.refused",
        condition: Condition::Imds,
        resolution: Resolution::Retry,
        summary: "Nothing listens at the IMDS address; the sidecar is not running yet, or not at all.",
        causes: &[
            cause("The sidecar container is still starting."),
            cause("The sidecar container has crashed."),
            cause("The cluster is too old for the sidecar, which needs management bundle 2510.1 and runtime 4.7.0."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Imds,
        steps: &[CHECK_SIDECAR, RESTART_VM, REPORT],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    IMDS_TIMEOUT = FaultKind {
        code: "imds.timeout",
        condition: Condition::Imds,
        resolution: Resolution::Retry,
        summary: "The IMDS address does not answer.",
        causes: &[
            cause("The sidecar is starting or overloaded."),
            cause("The VM's route to 169.254.169.254 leads elsewhere."),
            cause("A firewall on the VM drops it."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Imds,
        steps: &[
            on_vm("Check the route:", "ip route get {imds_host}"),
            as_root("Check the firewall:", "nft list ruleset | grep 169.254"),
            CHECK_SIDECAR,
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    IMDS_NO_ROUTE = FaultKind {
        code: "imds.no-route",
        condition: Condition::Imds,
        resolution: Resolution::Retry,
        summary: "This VM has no route to the IMDS address.",
        causes: &[
            cause("The network interface is not up yet."),
            cause("The route to 169.254.0.0/16 is missing."),
            cause("imds.endpoint in the configuration names another address."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Imds,
        steps: &[
            SHOW_INTERFACES,
            on_vm("See the route:", "ip route get {imds_host}"),
            on_vm("Test:", "ping -c 3 {imds_host}"),
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    IMDS_BROKEN = FaultKind {
        code: "imds.broken",
        condition: Condition::Imds,
        resolution: Resolution::Retry,
        summary: "What answers at the IMDS address does not speak HTTP, or breaks off.",
        causes: &[
            cause("The sidecar is starting or shutting down."),
            cause("Another program listens at the address."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Imds,
        steps: &[CHECK_SIDECAR],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    IMDS_PROXIED = FaultKind {
        code: "imds.proxied",
        condition: Condition::Imds,
        resolution: Resolution::Manual,
        summary: "A proxy answered in place of the IMDS sidecar.",
        causes: &[
            cause("The VM's network redirects web traffic to a proxy."),
            cause("imds.endpoint in the configuration names a proxy."),
        ],
        automatic: "Nothing: asking again through the same path gives the same answer. arc-enroll itself never uses a proxy here.",
        recheck_from: Condition::Imds,
        steps: &[
            as_root(
                "NO_PROXY must hold 169.254.169.254 and nothing may redirect port 80:",
                "iptables -t nat -S | grep 80",
            ),
            SHOW_SIDECAR_ANSWER,
            RERUN,
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    IMDS_NOT_IMDS = FaultKind {
        code: "imds.not-imds",
        condition: Condition::Imds,
        resolution: Resolution::Manual,
        summary: "A web page came in place of an answer of IMDS: something else answers there.",
        causes: &[
            cause("The network's sign-in page answers every request."),
            cause("imds.endpoint in the configuration names a web server."),
            cause("A program on this VM uses the address 169.254.169.254."),
        ],
        automatic: "Nothing: asking again through the same path gives the same answer.",
        recheck_from: Condition::Imds,
        steps: &[
            SHOW_SIDECAR_ANSWER,
            on_vm("The address must not be one of this VM's own:", "ip addr | grep 169.254"),
            as_root("Nothing may redirect port 80:", "iptables -t nat -S | grep 80"),
            RERUN,
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    IMDS_UNKNOWN_SOURCE = FaultKind {
        code: "imds.unknown-source",
        condition: Condition::Imds,
        resolution: Resolution::Manual,
        summary: "IMDS does not accept where the request comes from.",
        causes: &[
            cause("The request came through an address translation or a forwarder."),
            cause("The VM uses another address than its primary one."),
        ],
        automatic: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Imds,
        steps: &[
            on_vm(
                "See which interface and address the request takes; it must be the VM's first:",
                "ip route get 169.254.169.254",
            ),
            RERUN,
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };
}
