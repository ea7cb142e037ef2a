//! Faults on the way to the sidecar and to Azure: `imds`, `proxy`, `dns`, `egress`.

use super::{entries, lines, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Resolution};

entries! {
    NETWORK;

    /// Nothing listens at the IMDS address; the sidecar is not running yet, or not at all.
    IMDS_REFUSED = FaultKind {
        code: "imds.refused",
        condition: Condition::Imds,
        resolution: Resolution::Retry,
        summary: "Nothing listens at the IMDS address; the sidecar is not running yet, or not at all.",
        causes: lines![
            "The sidecar container is still starting.",
            "The sidecar container has crashed.",
            "The cluster is too old to have it: management bundle 2510.1 and runtime 4.7.0 are the least.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Imds,
        remediation: lines![
            "Check: `curl -v --noproxy '*' --max-time 3 -H Metadata:true {imds}/healthz`",
            "If it stays so, the sidecar beside this VM is down: restart the VM from the Azure side, and report it to Microsoft support with: `arc-enroll bundle`",
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// The IMDS address does not answer.
    IMDS_TIMEOUT = FaultKind {
        code: "imds.timeout",
        condition: Condition::Imds,
        resolution: Resolution::Retry,
        summary: "The IMDS address does not answer.",
        causes: lines![
            "The sidecar is starting or overloaded.",
            "The VM's route to 169.254.169.254 leads elsewhere.",
            "A firewall on the VM drops it.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Imds,
        remediation: lines![
            "Check the route: `ip route get {imds_host}`",
            "Check the firewall: `nft list ruleset | grep 169.254`",
            "Check: `curl -v --noproxy '*' --max-time 3 -H Metadata:true {imds}/healthz`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// This VM has no route to the IMDS address.
    IMDS_NO_ROUTE = FaultKind {
        code: "imds.no-route",
        condition: Condition::Imds,
        resolution: Resolution::Retry,
        summary: "This VM has no route to the IMDS address.",
        causes: lines![
            "The network interface is not up yet.",
            "The route to 169.254.0.0/16 is missing.",
            "imds.endpoint in the configuration names another address.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Imds,
        remediation: lines![
            "See the interfaces: `ip addr`",
            "See the route: `ip route get {imds_host}`",
            "Test: `ping -c 3 {imds_host}`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// What answers at the IMDS address does not speak HTTP, or breaks off.
    IMDS_BROKEN = FaultKind {
        code: "imds.broken",
        condition: Condition::Imds,
        resolution: Resolution::Retry,
        summary: "What answers at the IMDS address does not speak HTTP, or breaks off.",
        causes: lines![
            "The sidecar is starting or shutdown.",
            "Something else listens there.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Imds,
        remediation: lines!["Check: `curl -v --noproxy '*' --max-time 3 -H Metadata:true {imds}/healthz`"],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// A proxy answered in place of the IMDS sidecar.
    IMDS_PROXIED = FaultKind {
        code: "imds.proxied",
        condition: Condition::Imds,
        resolution: Resolution::Manual,
        summary: "A proxy answered in place of the IMDS sidecar.",
        causes: lines![
            "The VM's network redirects web traffic to a proxy.",
            "imds.endpoint in the configuration names a proxy.",
        ],
        agent: "Nothing: asking again through the same path gives the same answer. The agent itself never uses a proxy here.",
        recheck_from: Condition::Imds,
        remediation: lines![
            "NO_PROXY must hold 169.254.169.254 and nothing may redirect port 80: `iptables -t nat -S | grep 80`",
            "Check: `curl -v --noproxy '*' -H Metadata:true {imds}/healthz`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// A web page came in place of an answer of IMDS.
    IMDS_NOT_IMDS = FaultKind {
        code: "imds.not-imds",
        condition: Condition::Imds,
        resolution: Resolution::Manual,
        summary: "A web page came in place of an answer of IMDS: something else answers there.",
        causes: lines![
            "The network's sign-in page answers every request.",
            "imds.endpoint in the configuration names a web server.",
            "A program on this VM took the address 169.254.169.254.",
        ],
        agent: "Nothing: asking again through the same path gives the same answer.",
        recheck_from: Condition::Imds,
        remediation: lines![
            "See what answers: `curl -v --noproxy '*' -H Metadata:true {imds}/healthz`",
            "The address may not be this VM's own: `ip addr | grep 169.254`",
            "Nothing may redirect port 80: `iptables -t nat -S | grep 80`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// IMDS does not accept where the request comes from.
    IMDS_UNKNOWN_SOURCE = FaultKind {
        code: "imds.unknown-source",
        condition: Condition::Imds,
        resolution: Resolution::Manual,
        summary: "IMDS does not accept where the request comes from.",
        causes: lines![
            "The request came through an address translation or a forwarder.",
            "The VM uses another address than its primary one.",
        ],
        agent: "Nothing: the same request gives the same answer.",
        recheck_from: Condition::Imds,
        remediation: lines![
            "Ask from the VM itself and by its first interface: `ip route get 169.254.169.254`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// The CSN proxy's port is closed.
    PROXY_REFUSED = FaultKind {
        code: "proxy.refused",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "The CSN proxy's port is closed.",
        causes: lines![
            "The cloud services network is still coming up.",
            "The VM is not attached to a cloud services network.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        remediation: lines![
            "Check: `curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/`",
            "See that the VM has a cloud services network: `az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query cloudServicesNetworkAttachment`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The CSN proxy does not answer.
    PROXY_TIMEOUT = FaultKind {
        code: "proxy.timeout",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "The CSN proxy does not answer.",
        causes: lines![
            "The cloud services network is still coming up.",
            "The route to it leads elsewhere.",
            "The proxy cannot reach the Internet.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        remediation: lines![
            "Check the route: `ip route get {proxy_host}`",
            "Check: `curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// This VM has no route to the CSN proxy.
    PROXY_NO_ROUTE = FaultKind {
        code: "proxy.no-route",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "This VM has no route to the CSN proxy.",
        causes: lines![
            "The network interface is not up yet.",
            "The VM is not attached to a cloud services network.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        remediation: lines![
            "See the interfaces: `ip addr`",
            "See the route: `ip route get {proxy_host}`",
            "The CSN proxy is always http://169.254.0.11:3128; see proxy.url in {config}",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// What answers at the proxy's address is not a working HTTP proxy.
    PROXY_BROKEN = FaultKind {
        code: "proxy.broken",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "What answers at the proxy's address is not a working HTTP proxy.",
        causes: lines![
            "The proxy is starting or shutdown.",
            "proxy.url names another service.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        remediation: lines![
            "The CSN proxy is always http://169.254.0.11:3128; see proxy.url in {config}",
            "Check: `curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The proxy asks for a user and a password (407).
    PROXY_AUTHENTICATION = FaultKind {
        code: "proxy.authentication",
        condition: Condition::Proxy,
        resolution: Resolution::Manual,
        summary: "The proxy asks for a user and a password (407).",
        causes: lines![
            "proxy.url has no credentials, or wrong ones.",
            "It is not the CSN proxy, which needs none.",
        ],
        agent: "Nothing: the same credentials get the same answer.",
        recheck_from: Condition::Proxy,
        remediation: lines![
            "The CSN proxy is always http://169.254.0.11:3128; correct proxy.url in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The proxy works but refuses a tunnel to every Azure endpoint.
    PROXY_TUNNEL_REFUSED = FaultKind {
        code: "proxy.tunnel-refused",
        condition: Condition::Proxy,
        resolution: Resolution::Manual,
        summary: "The proxy works but refuses a tunnel to every Azure endpoint.",
        causes: lines![
            "The cloud services network was made without its default egress endpoints.",
            "The egress endpoints were added to another cloud services network.",
        ],
        agent: "Tries again for as long as the window lasts: the setting may be on its way.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        remediation: lines![
            "See what is enabled: `az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --query \"{defaults:enableDefaultEgressEndpoints, additional:additionalEgressEndpoints, enabled:enabledEgressEndpoints}\"`",
            "Allow these: {endpoints}",
            "`az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --enable-default-egress-endpoints True`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..COMMON
    };

    /// The proxy answers with errors of its own.
    PROXY_FAILING = FaultKind {
        code: "proxy.failing",
        condition: Condition::Proxy,
        resolution: Resolution::Retry,
        summary: "The proxy answers with errors of its own.",
        causes: lines![
            "The proxy cannot resolve or reach the Internet.",
            "The proxy is overloaded or restarting.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Proxy,
        remediation: lines![
            "Check: `curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/`",
            "If it stays so, the cloud services network of this cluster needs attention from its operator.",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The Azure names do not resolve here, and there is no proxy that would resolve them.
    DNS_UNRESOLVED = FaultKind {
        code: "dns.unresolved",
        condition: Condition::Dns,
        resolution: Resolution::Manual,
        summary: "The Azure names do not resolve here, and there is no proxy that would resolve them.",
        causes: lines![
            "No name server is configured.",
            "The name server cannot be reached.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Dns,
        remediation: lines![
            "Check: `nslookup management.azure.com`",
            "On Nexus the CSN proxy resolves names: set proxy.url in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// The proxy refuses endpoints that Arc needs.
    EGRESS_REFUSED = FaultKind {
        code: "egress.refused",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "The proxy refuses endpoints that Arc needs.",
        causes: lines!["The egress list of the cloud services network lacks them."],
        agent: "Tries again for as long as the window lasts: the setting may be on its way.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Egress,
        remediation: lines![
            "Allow these: {endpoints}",
            "See what is enabled: `az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --query \"{defaults:enableDefaultEgressEndpoints, additional:additionalEgressEndpoints, enabled:enabledEgressEndpoints}\"`",
            "Add them: `az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --additional-egress-endpoints \"{egress_json}\"` (this replaces the list: keep what it already has)",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..COMMON
    };

    /// The proxy cannot resolve the names of endpoints that Arc needs.
    EGRESS_UNRESOLVED = FaultKind {
        code: "egress.unresolved",
        condition: Condition::Egress,
        resolution: Resolution::Retry,
        summary: "The names of endpoints that Arc needs are not resolved on the way to them.",
        causes: lines![
            "The name servers behind the proxy do not know them or do not answer.",
            "azure.location or azure.cloud in the configuration is wrong, and there is no such name.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Egress,
        remediation: lines![
            "Check: `curl -v --proxy {proxy} --max-time 20 -I https://{endpoint}/`",
            "If it stays so, the name servers of this cluster need attention from its operator: {endpoints}",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// The way to endpoints that Arc needs is open, but they do not answer in time.
    EGRESS_SLOW = FaultKind {
        code: "egress.slow",
        condition: Condition::Egress,
        resolution: Resolution::Retry,
        summary: "The proxy opens the way to endpoints that Arc needs, but no answer comes in time.",
        causes: lines![
            "The link of this site is overloaded.",
            "Something behind the proxy drops packets, large ones first (MTU).",
            "Azure is slow or briefly down.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Egress,
        remediation: lines![
            "See how long it takes: `curl --proxy {proxy} --max-time 60 -so /dev/null -w '%{time_connect} %{time_appconnect} %{time_total}\\n' -I https://{endpoint}/`",
            "If it stays so, the link of this site needs attention from its operator.",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// Endpoints that Arc needs do not answer through the proxy.
    EGRESS_UNREACHABLE = FaultKind {
        code: "egress.unreachable",
        condition: Condition::Egress,
        resolution: Resolution::Retry,
        summary: "Endpoints that Arc needs do not answer through the proxy.",
        causes: lines![
            "The proxy cannot reach them.",
            "Azure is slow or briefly down.",
            "The link of this site is overloaded.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Egress,
        remediation: lines!["Check: `curl -v --proxy {proxy} --max-time 20 -I https://{endpoint}/`"],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// This VM has no certificates of authorities to check an endpoint by.
    EGRESS_NO_TRUST_STORE = FaultKind {
        code: "egress.no-trust-store",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "This VM's own list of trusted authorities is missing, empty or unreadable.",
        causes: lines![
            "The image was made without the package ca-certificates.",
            "SSL_CERT_FILE or CURL_CA_BUNDLE names a file that is not there.",
        ],
        agent: "Tries again for as long as the window lasts: a package installation may be under way.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Egress,
        remediation: lines![
            "Install it: `apt-get install --reinstall ca-certificates || dnf reinstall ca-certificates`",
            "Make the list anew: `update-ca-certificates || update-ca-trust`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// The certificate of an endpoint is out of date by this VM's clock.
    EGRESS_CERTIFICATE_DATES = FaultKind {
        code: "egress.certificate-dates",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "The certificate of an endpoint has expired or is not valid yet, by this VM's clock.",
        causes: lines![
            "The clock of this VM is wrong.",
            "Something that intercepts TLS shows a certificate that was not renewed.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Egress,
        remediation: lines![
            "Check the clock: `date -u`",
            "See the dates: `openssl s_client -proxy {proxy_address} -connect {endpoint}:443 </dev/null | openssl x509 -noout -issuer -dates`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// The certificate that an endpoint shows is for another name.
    EGRESS_WRONG_NAME = FaultKind {
        code: "egress.wrong-name",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "The certificate that comes for an endpoint is for another name.",
        causes: lines![
            "Something between the VM and Azure answers in its place, such as a block page.",
            "A name resolves to the address of another service.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Egress,
        remediation: lines![
            "See whose it is: `openssl s_client -proxy {proxy_address} -connect {endpoint}:443 </dev/null | openssl x509 -noout -subject -issuer`",
            "Let the cloud services network pass it on untouched: {endpoints}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// The certificate of an endpoint comes from an authority that this VM does not trust.
    EGRESS_UNTRUSTED = FaultKind {
        code: "egress.untrusted",
        condition: Condition::Egress,
        resolution: Resolution::Manual,
        summary: "The certificate of an endpoint comes from an authority that this VM does not trust.",
        causes: lines![
            "Something between the VM and Azure intercepts TLS.",
            "The CA certificates of the image are old.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Egress,
        remediation: lines![
            "See who signed it: `openssl s_client -proxy {proxy_address} -connect {endpoint}:443 -showcerts </dev/null`",
            "Bring the CA certificates up to date: `apt-get install ca-certificates || dnf update ca-certificates`",
            "If TLS is intercepted on purpose, put that CA into the VM's trust store: `update-ca-certificates || update-ca-trust`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };
}
