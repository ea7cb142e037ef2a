//! Faults of the endpoints that Arc needs: `egress`.

use super::steps::{ALLOW_ENDPOINTS, CHECK_CLOCK, CHECK_ENDPOINT, RERUN, SHOW_CSN_EGRESS};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::step::{as_root, ask, on_vm, workstation, Who};

entries! {
    EGRESS;

    EGRESS_REFUSED = FaultKind {
        code: "egress.refused",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "The proxy refuses endpoints that Arc needs.",
        causes: &[cause("The egress list of the cloud services network lacks them.")],
        automatic: "Tries again until the window ends: a change may not have taken effect yet.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Egress,
        steps: &[
            ALLOW_ENDPOINTS,
            SHOW_CSN_EGRESS,
            workstation(
                Who::NetworkOwner,
                "Add them; this replaces the list, so keep what it already has:",
                "az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --additional-egress-endpoints {egress_json}",
            ),
            RERUN,
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..COMMON
    };

    EGRESS_UNRESOLVED = FaultKind {
        code: "egress.unresolved",
        condition: Condition::Egress,
        resolution: Resolution::Retry,
        summary: "The names of endpoints that Arc needs are not resolved on the way to them.",
        causes: &[
            cause("The name servers behind the proxy do not know them or do not answer."),
            cause("azure.location or azure.cloud in the configuration is wrong, so that the name does not exist."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Egress,
        steps: &[
            CHECK_ENDPOINT,
            ask(
                Who::ClusterOperator,
                "If it stays so, the name servers of this cluster need attention from its operator: {endpoints}",
            ),
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    EGRESS_SLOW = FaultKind {
        code: "egress.slow",
        condition: Condition::Egress,
        resolution: Resolution::Retry,
        summary: "The proxy opens the way to endpoints that Arc needs, but no answer comes in time.",
        causes: &[
            cause("The link of this site is overloaded."),
            cause("A network device behind the proxy drops packets, large ones first (MTU)."),
            cause("Azure is slow or briefly down."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Egress,
        steps: &[
            on_vm(
                "See how long it takes:",
                "curl --proxy {proxy} --max-time 60 -so /dev/null -w '%{time_connect} %{time_appconnect} %{time_total}\\n' -I https://{endpoint}/",
            ),
            ask(
                Who::ClusterOperator,
                "If it stays so, the link of this site needs attention from its operator",
            ),
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    EGRESS_UNREACHABLE = FaultKind {
        code: "egress.unreachable",
        condition: Condition::Egress,
        resolution: Resolution::Retry,
        summary: "Endpoints that Arc needs do not answer through the proxy.",
        causes: &[
            cause("The proxy cannot reach them."),
            cause("Azure is slow or briefly down."),
            cause("The link of this site is overloaded."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Egress,
        steps: &[CHECK_ENDPOINT],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    EGRESS_NO_TRUST_STORE = FaultKind {
        code: "egress.no-trust-store",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "This VM's own list of trusted authorities is missing, empty or unreadable.",
        causes: &[
            cause("The image was made without the package ca-certificates."),
            cause("SSL_CERT_FILE or CURL_CA_BUNDLE names a file that does not exist."),
        ],
        automatic: "Tries again until the window ends: a package installation may be in progress.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Egress,
        steps: &[
            as_root(
                "Install it:",
                "apt-get install --reinstall ca-certificates || dnf reinstall ca-certificates",
            ),
            as_root("Rebuild the list:", "update-ca-certificates || update-ca-trust"),
            RERUN,
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    EGRESS_CERTIFICATE_DATES = FaultKind {
        code: "egress.certificate-dates",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "The certificate of an endpoint has expired or is not valid yet, by this VM's clock.",
        causes: &[
            cause("The clock of this VM is wrong.").unless(Condition::Clock),
            cause("A TLS-intercepting device presents a certificate that was not renewed."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Egress,
        steps: &[
            CHECK_CLOCK,
            on_vm(
                "See the dates:",
                "openssl s_client -proxy {proxy_address} -connect {endpoint}:443 </dev/null | openssl x509 -noout -issuer -dates",
            ),
            RERUN,
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    EGRESS_WRONG_NAME = FaultKind {
        code: "egress.wrong-name",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "The certificate that comes for an endpoint is for another name.",
        causes: &[
            cause("A device between the VM and Azure answers in place of the endpoint, for example with a block page."),
            cause("A name resolves to the address of another service."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Egress,
        steps: &[
            on_vm(
                "See whose it is:",
                "openssl s_client -proxy {proxy_address} -connect {endpoint}:443 </dev/null | openssl x509 -noout -subject -issuer",
            ),
            ask(Who::ClusterOperator, "Let the network pass connections to these on unchanged: {endpoints}"),
            RERUN,
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    EGRESS_UNTRUSTED = FaultKind {
        code: "egress.untrusted",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "The certificate of an endpoint comes from an authority that this VM does not trust.",
        causes: &[
            cause("A device between the VM and Azure intercepts TLS."),
            cause("The CA certificates of the image are old."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Egress,
        steps: &[
            on_vm(
                "See who signed it:",
                "openssl s_client -proxy {proxy_address} -connect {endpoint}:443 -showcerts </dev/null",
            ),
            as_root(
                "Bring the CA certificates up to date:",
                "apt-get install ca-certificates || dnf update ca-certificates",
            ),
            as_root(
                "If TLS is intercepted on purpose, copy that CA's certificate into the VM's trust store, then run:",
                "update-ca-certificates || update-ca-trust",
            ),
            RERUN,
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };
}
