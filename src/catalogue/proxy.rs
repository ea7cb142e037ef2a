//! Faults of the CSN proxy and the way to it: `proxy`.

use super::steps::{ALLOW_ENDPOINTS, CHECK_PROXY, RERUN, SEE_PROXY_URL, SHOW_CSN_EGRESS, SHOW_INTERFACES};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::step::{as_root, ask, on_vm, workstation, Who};

entries! {
    PROXY;

    PROXY_REFUSED = FaultKind {
        code: "proxy.refused",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "The CSN proxy's port is closed.",
        causes: &[
            cause("The cloud services network is still starting."),
            cause("The VM is not attached to a cloud services network."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        steps: &[
            CHECK_PROXY,
            workstation(
                Who::Reader,
                "See that the VM has a cloud services network:",
                "az networkcloud virtualmachine show --name {vm} --resource-group \"$VM_RESOURCE_GROUP\" --query cloudServicesNetworkAttachment",
            ),
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    PROXY_TIMEOUT = FaultKind {
        code: "proxy.timeout",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "The CSN proxy does not answer.",
        causes: &[
            cause("The cloud services network is still starting."),
            cause("The route to it leads elsewhere."),
            cause("The proxy cannot reach the Internet."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        steps: &[
            on_vm("Check the route:", "ip route get {proxy_host}"),
            CHECK_PROXY,
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    PROXY_NO_ROUTE = FaultKind {
        code: "proxy.no-route",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "This VM has no route to the CSN proxy.",
        causes: &[
            cause("The network interface is not up yet."),
            cause("The VM is not attached to a cloud services network."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        steps: &[
            SHOW_INTERFACES,
            on_vm("See the route:", "ip route get {proxy_host}"),
            SEE_PROXY_URL,
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    PROXY_BROKEN = FaultKind {
        code: "proxy.broken",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "What answers at the proxy's address is not a working HTTP proxy.",
        causes: &[
            cause("The proxy is starting or shutting down."),
            cause("proxy.url names another service."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        steps: &[SEE_PROXY_URL, CHECK_PROXY],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    PROXY_AUTHENTICATION = FaultKind {
        code: "proxy.authentication",
        condition: Condition::Proxy,
        resolution: Resolution::Manual,
        summary: "The proxy asks for a user and a password (407).",
        causes: &[
            cause("proxy.url has no credentials, or wrong ones."),
            cause("It is not the CSN proxy, which needs none."),
        ],
        automatic: "Nothing: a retry with the same credentials gives the same result.",
        recheck_from: Condition::Proxy,
        steps: &[
            as_root("The CSN proxy is always http://169.254.0.11:3128; correct proxy.url in {config}", ""),
            RERUN,
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    PROXY_TUNNEL_REFUSED = FaultKind {
        code: "proxy.tunnel-refused",
        condition: Condition::Proxy,
        resolution: Resolution::Manual,
        summary: "The proxy works but refuses a tunnel to every Azure endpoint.",
        causes: &[
            cause("The cloud services network was created without its default egress endpoints."),
            cause("The egress endpoints were added to another cloud services network."),
        ],
        automatic: "Tries again until the window ends: a change may not have taken effect yet.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        steps: &[
            SHOW_CSN_EGRESS,
            ALLOW_ENDPOINTS,
            workstation(
                Who::NetworkOwner,
                "Most of them are among the default egress endpoints; enable these:",
                "az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --enable-default-egress-endpoints True",
            ),
            RERUN,
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..COMMON
    };

    PROXY_FAILING = FaultKind {
        code: "proxy.failing",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "The proxy answers with errors of its own.",
        causes: &[
            cause("The proxy cannot resolve or reach the Internet."),
            cause("The proxy is overloaded or restarting."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        steps: &[
            CHECK_PROXY,
            ask(
                Who::ClusterOperator,
                "If it stays so, the cloud services network of this cluster needs attention from its operator",
            ),
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };
}
