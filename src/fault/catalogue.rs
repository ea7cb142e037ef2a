//! The catalogue itself. Codes and exit codes are part of the contract: they are added, never changed.

use std::time::Duration;

use super::{Entry, Outlook, Repair};
use crate::conditions::Condition;
use crate::retry::Pace;

/// Names each entry once, as a static and in the list.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $entry:expr;)*) => {
        $($(#[$doc])* pub static $name: Entry = $entry;)*

        /// Every kind of fault there is.
        pub static CATALOGUE: &[&Entry] = &[$(&$name),*];
    };
}

/// The parts that most entries share.
const COMMON: Entry = Entry {
    code: "",
    condition: Condition::Host,
    outlook: Outlook::Time,
    means: "",
    causes: &[],
    agent: "",
    repair: None,
    pace: None,
    again_from: Condition::Host,
    least_window: Duration::ZERO,
    person: &[],
    guide: "",
};

catalogue! {
    /// The configuration cannot be used.
    CONFIGURATION_INVALID = Entry {
        code: "configuration.invalid",
        condition: Condition::Host,
        outlook: Outlook::Configuration,
        means: "The configuration cannot be used.",
        causes: &["A key or a value is misspelt, missing or of the wrong form."],
        agent: "Nothing; it stops before it touches anything.",
        person: &["See every fault with its line: arc-enroll validate", "Correct {config}", "Then run: arc-enroll enroll"],
        guide: "README, configuration",
        ..COMMON
    };

    /// Enrolling changes system files and services, which only root may do.
    HOST_NOT_ROOT = Entry {
        code: "host.not-root",
        condition: Condition::Host,
        outlook: Outlook::Machine,
        means: "Enrolling changes system files and services, which only root may do.",
        causes: &["The command was started without sudo."],
        agent: "Nothing; it stops before it touches anything.",
        again_from: Condition::Host,
        person: &["sudo arc-enroll enroll"],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent runs as systemd services, and systemd does not run this machine.
    HOST_NO_SYSTEMD = Entry {
        code: "host.no-systemd",
        condition: Condition::Host,
        outlook: Outlook::Machine,
        means: "azcmagent runs as systemd services, and systemd does not run this machine.",
        causes: &[
            "A container or a chroot instead of a VM.",
            "A distribution without systemd.",
        ],
        agent: "Nothing; it stops before it touches anything.",
        again_from: Condition::Host,
        person: &["Use a distribution that azcmagent supports: https://learn.microsoft.com/azure/azure-arc/servers/prerequisites"],
        guide: "azcmagent error AZCM0130",
        ..COMMON
    };

    /// Another run of arc-enroll is at work on this VM.
    HOST_BUSY = Entry {
        code: "host.busy",
        condition: Condition::Host,
        outlook: Outlook::Person,
        means: "Another run of arc-enroll is at work on this VM.",
        causes: &[
            "The first boot is still enrolling.",
            "The repair timer started a run.",
        ],
        agent: "Waits until the other run has ended.",
        pace: Some(Pace::Poll),
        again_from: Condition::Host,
        person: &[
            "Watch the other run: tail -f {log}",
            "If it hangs, end it: kill {holder}",
        ],
        guide: "Examine the cloud-init logs",
        ..COMMON
    };

    /// There is not enough disk space for azcmagent and its logs.
    HOST_DISK_FULL = Entry {
        code: "host.disk-full",
        condition: Condition::Host,
        outlook: Outlook::Person,
        means: "There is not enough disk space for azcmagent and its logs.",
        causes: &[
            "The root file system of the image is too small.",
            "Logs or packages filled it.",
        ],
        agent: "Waits for space a little, then stops.",
        pace: Some(Pace::Slow),
        again_from: Condition::Host,
        person: &[
            "See what fills it: du -xh / | sort -h | tail -20",
            "Free at least 300 MiB, or make the disk larger.",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent error AZCM0005",
        ..COMMON
    };

    /// A file that has to be written cannot be written.
    HOST_READ_ONLY = Entry {
        code: "host.not-writable",
        condition: Condition::Host,
        outlook: Outlook::Person,
        means: "A file that has to be written cannot be written.",
        causes: &[
            "The file system is mounted read-only.",
            "The file is immutable or on a full disk.",
        ],
        agent: "Nothing; what was there is unchanged.",
        again_from: Condition::Host,
        person: &[
            "See how it is mounted: findmnt -T {path}",
            "Make it writable: mount -o remount,rw /",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent error AZCM0069",
        ..COMMON
    };

    /// The run was told to stop before it had ended.
    RUN_INTERRUPTED = Entry {
        code: "run.interrupted",
        condition: Condition::Host,
        outlook: Outlook::Time,
        means: "The run was told to stop before it had ended.",
        causes: &[
            "The VM is shutting down.",
            "A person or a service manager ended it.",
        ],
        agent: "Children and secrets are gone, the record is written; the next run goes on.",
        again_from: Condition::Host,
        person: &["Run it again: arc-enroll enroll"],
        guide: "Examine the cloud-init logs",
        ..COMMON
    };

    /// The proxy settings do not hold everywhere on this VM, or differ between places.
    PROXY_ENV_MISSING = Entry {
        code: "proxy-environment.incomplete",
        condition: Condition::ProxyEnvironment,
        outlook: Outlook::Person,
        means: "The proxy settings do not hold everywhere on this VM, or differ between places.",
        causes: &[
            "A fresh image knows nothing of the cloud services network.",
            "NO_PROXY lacks 169.254.169.254.",
            "One place was edited and the others were not.",
        ],
        agent: "Merges the settings into every place; what was there is kept.",
        repair: Some(Repair::PersistProxy),
        again_from: Condition::ProxyEnvironment,
        person: &[
            "See what is set: grep -ri _proxy /etc/environment /etc/profile.d /etc/systemd/system.conf.d",
            "Set it by hand for this shell: eval \"$(arc-enroll env)\"",
            "Then run: arc-enroll enroll",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// Nothing listens at the IMDS address; the sidecar is not running yet, or not at all.
    IMDS_REFUSED = Entry {
        code: "imds.refused",
        condition: Condition::Imds,
        outlook: Outlook::Time,
        means: "Nothing listens at the IMDS address; the sidecar is not running yet, or not at all.",
        causes: &[
            "The sidecar container is still starting.",
            "The sidecar container has crashed.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Imds,
        person: &[
            "Check: curl -v --noproxy '*' --max-time 3 -H Metadata:true {imds}/healthz",
            "If it stays so, the sidecar beside this VM is down: restart the VM from the Azure side, and report it to Microsoft support with: arc-enroll doctor",
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// The IMDS address does not answer.
    IMDS_TIMEOUT = Entry {
        code: "imds.timeout",
        condition: Condition::Imds,
        outlook: Outlook::Time,
        means: "The IMDS address does not answer.",
        causes: &[
            "The sidecar is starting or overloaded.",
            "The VM's route to 169.254.169.254 leads elsewhere.",
            "A firewall on the VM drops it.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Imds,
        person: &[
            "Check the route: ip route get 169.254.169.254",
            "Check the firewall: nft list ruleset | grep 169.254",
            "Check: curl -v --noproxy '*' --max-time 3 -H Metadata:true {imds}/healthz",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// This VM has no route to the IMDS address.
    IMDS_NO_ROUTE = Entry {
        code: "imds.no-route",
        condition: Condition::Imds,
        outlook: Outlook::Time,
        means: "This VM has no route to the IMDS address.",
        causes: &[
            "The network interface is not up yet.",
            "The route to 169.254.0.0/16 is missing.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Imds,
        person: &[
            "See the interfaces: ip addr",
            "See the route: ip route get 169.254.169.254",
            "Test: ping -c 3 169.254.169.254",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// What answers at the IMDS address does not speak HTTP, or breaks off.
    IMDS_BROKEN = Entry {
        code: "imds.broken",
        condition: Condition::Imds,
        outlook: Outlook::Time,
        means: "What answers at the IMDS address does not speak HTTP, or breaks off.",
        causes: &[
            "The sidecar is starting or stopping.",
            "Something else listens there.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Imds,
        person: &["Check: curl -v --noproxy '*' --max-time 3 -H Metadata:true {imds}/healthz"],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// A proxy answered in place of the IMDS sidecar.
    IMDS_PROXIED = Entry {
        code: "imds.proxied",
        condition: Condition::Imds,
        outlook: Outlook::Person,
        means: "A proxy answered in place of the IMDS sidecar.",
        causes: &[
            "The VM's network redirects web traffic to a proxy.",
            "imds.endpoint in the configuration names a proxy.",
        ],
        agent: "Nothing: asking again through the same path gives the same answer. The agent itself never uses a proxy here.",
        again_from: Condition::Imds,
        person: &[
            "NO_PROXY must hold 169.254.169.254 and nothing may redirect port 80: iptables -t nat -S | grep 80",
            "Check: curl -v --noproxy '*' -H Metadata:true {imds}/healthz",
            "Then run: arc-enroll enroll",
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// IMDS does not accept where the request comes from.
    IMDS_UNKNOWN_SOURCE = Entry {
        code: "imds.unknown-source",
        condition: Condition::Imds,
        outlook: Outlook::Person,
        means: "IMDS does not accept where the request comes from.",
        causes: &[
            "The request came through an address translation or a forwarder.",
            "The VM uses another address than its primary one.",
        ],
        agent: "Nothing: the same request gives the same answer.",
        again_from: Condition::Imds,
        person: &[
            "Ask from the VM itself and by its first interface: ip route get 169.254.169.254",
            "Then run: arc-enroll enroll",
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// The clock of this VM is more than two minutes off; tokens and certificates are judged by it.
    CLOCK_SKEWED = Entry {
        code: "clock.skewed",
        condition: Condition::Clock,
        outlook: Outlook::Person,
        means: "The clock of this VM is more than two minutes off; tokens and certificates are judged by it.",
        causes: &[
            "No time server can be reached.",
            "The time service is not running.",
        ],
        agent: "Asks the time service to step the clock, then waits.",
        repair: Some(Repair::StepClock),
        pace: Some(Pace::Poll),
        again_from: Condition::Clock,
        person: &[
            "See the state: timedatectl timesync-status",
            "Set it from the sidecar's clock: date -s \"$(curl -sI --noproxy '*' {imds}/healthz | sed -n 's/^[Dd]ate: //p')\"",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The CSN proxy's port is closed.
    PROXY_REFUSED = Entry {
        code: "proxy.refused",
        condition: Condition::Proxy,
        outlook: Outlook::Time,
        means: "The CSN proxy's port is closed.",
        causes: &[
            "The cloud services network is still coming up.",
            "The VM is not attached to a cloud services network.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Proxy,
        person: &[
            "Check: curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/",
            "See that the VM has a cloud services network: az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query cloudServicesNetworkAttachment",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The CSN proxy does not answer.
    PROXY_TIMEOUT = Entry {
        code: "proxy.timeout",
        condition: Condition::Proxy,
        outlook: Outlook::Time,
        means: "The CSN proxy does not answer.",
        causes: &[
            "The cloud services network is still coming up.",
            "The route to 169.254.0.11 leads elsewhere.",
            "The proxy cannot reach the Internet.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Proxy,
        person: &[
            "Check the route: ip route get 169.254.0.11",
            "Check: curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// This VM has no route to the CSN proxy.
    PROXY_NO_ROUTE = Entry {
        code: "proxy.no-route",
        condition: Condition::Proxy,
        outlook: Outlook::Time,
        means: "This VM has no route to the CSN proxy.",
        causes: &[
            "The network interface is not up yet.",
            "The VM is not attached to a cloud services network.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Proxy,
        person: &[
            "See the interfaces: ip addr",
            "See the route: ip route get 169.254.0.11",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// What answers at the proxy's address is not a working HTTP proxy.
    PROXY_BROKEN = Entry {
        code: "proxy.broken",
        condition: Condition::Proxy,
        outlook: Outlook::Time,
        means: "What answers at the proxy's address is not a working HTTP proxy.",
        causes: &[
            "The proxy is starting or stopping.",
            "proxy.url names another service.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Proxy,
        person: &[
            "The CSN proxy is always http://169.254.0.11:3128; see proxy.url in {config}",
            "Check: curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The proxy asks for a user and a password (407).
    PROXY_AUTHENTICATION = Entry {
        code: "proxy.authentication",
        condition: Condition::Proxy,
        outlook: Outlook::Person,
        means: "The proxy asks for a user and a password (407).",
        causes: &[
            "proxy.url has no credentials, or wrong ones.",
            "It is not the CSN proxy, which needs none.",
        ],
        agent: "Nothing: the same credentials get the same answer.",
        again_from: Condition::Proxy,
        person: &[
            "The CSN proxy is always http://169.254.0.11:3128; correct proxy.url in {config}",
            "Then run: arc-enroll enroll",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The proxy works but refuses a tunnel to every Azure endpoint.
    PROXY_TUNNEL_REFUSED = Entry {
        code: "proxy.tunnel-refused",
        condition: Condition::Proxy,
        outlook: Outlook::Person,
        means: "The proxy works but refuses a tunnel to every Azure endpoint.",
        causes: &[
            "The cloud services network was made without its default egress endpoints.",
            "The egress endpoints were added to another cloud services network.",
        ],
        agent: "Tries again for as long as the window lasts: the setting may be on its way.",
        pace: Some(Pace::Fast),
        again_from: Condition::Proxy,
        person: &[
            "See what is enabled: az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --query \"{defaults:enableDefaultEgressEndpoints, additional:additionalEgressEndpoints, enabled:enabledEgressEndpoints}\"",
            "Allow these: {endpoints}",
            "az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --enable-default-egress-endpoints True",
            "Then run: arc-enroll enroll",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..COMMON
    };

    /// The proxy answers with errors of its own.
    PROXY_FAILING = Entry {
        code: "proxy.failing",
        condition: Condition::Proxy,
        outlook: Outlook::Time,
        means: "The proxy answers with errors of its own.",
        causes: &[
            "The proxy cannot resolve or reach the Internet.",
            "The proxy is overloaded or restarting.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Proxy,
        person: &[
            "Check: curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/",
            "If it stays so, the cloud services network of this cluster needs attention from its operator.",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The Azure names do not resolve here, and there is no proxy that would resolve them.
    DNS_UNRESOLVED = Entry {
        code: "dns.unresolved",
        condition: Condition::Dns,
        outlook: Outlook::Time,
        means: "The Azure names do not resolve here, and there is no proxy that would resolve them.",
        causes: &[
            "No name server is configured.",
            "The name server cannot be reached.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Dns,
        person: &[
            "Check: nslookup management.azure.com",
            "On Nexus the CSN proxy resolves names: set proxy.url in {config}",
            "Then run: arc-enroll enroll",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// The proxy refuses endpoints that Arc needs.
    EGRESS_REFUSED = Entry {
        code: "egress.refused",
        condition: Condition::Egress,
        outlook: Outlook::Person,
        means: "The proxy refuses endpoints that Arc needs.",
        causes: &["The egress list of the cloud services network lacks them."],
        agent: "Tries again for as long as the window lasts: the setting may be on its way.",
        pace: Some(Pace::Fast),
        again_from: Condition::Egress,
        person: &[
            "Allow these: {endpoints}",
            "See what is enabled: az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --query \"{defaults:enableDefaultEgressEndpoints, additional:additionalEgressEndpoints, enabled:enabledEgressEndpoints}\"",
            "Add them: az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --additional-egress-endpoints \"{egress_json}\" (this replaces the list: keep what it already has)",
            "Then run: arc-enroll enroll",
        ],
        guide: "Cloud Services Network (CSN) configurations",
        ..COMMON
    };

    /// Endpoints that Arc needs do not answer through the proxy.
    EGRESS_UNREACHABLE = Entry {
        code: "egress.unreachable",
        condition: Condition::Egress,
        outlook: Outlook::Time,
        means: "Endpoints that Arc needs do not answer through the proxy.",
        causes: &[
            "The proxy cannot reach them.",
            "Azure is slow or briefly down.",
            "The link of this site is overloaded.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Egress,
        person: &["Check: curl -v --proxy {proxy} --max-time 20 -I https://{endpoint}/"],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

    /// The certificate of an endpoint is not trusted by this VM.
    EGRESS_UNTRUSTED = Entry {
        code: "egress.untrusted",
        condition: Condition::Egress,
        outlook: Outlook::Person,
        means: "The certificate of an endpoint is not trusted by this VM.",
        causes: &[
            "Something between the VM and Azure intercepts TLS.",
            "The CA certificates of the image are missing or old.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Slow),
        again_from: Condition::Egress,
        person: &[
            "See who signed it: openssl s_client -proxy {proxy_address} -connect {endpoint}:443 -showcerts </dev/null",
            "Install the CA certificates: apt-get install ca-certificates",
            "If TLS is intercepted on purpose, put that CA into the VM's trust store: update-ca-certificates",
            "Then run: arc-enroll enroll",
        ],
        guide: "VM network connectivity sanity tests",
        ..COMMON
    };

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
        person: &[
            "See what the VM has: az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity",
            "If it has none: create the VM anew with --mi-system-assigned --system-assigned, or with --mi-user-assigned --user-assigned ID.",
            "If it has another one: correct `identity` in {config}",
            "Then run: arc-enroll enroll",
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
        causes: &["`identity` is left at `system`, and the VM has no system-assigned identity."],
        agent: "Nothing: IMDS will not choose.",
        again_from: Condition::Identity,
        person: &[
            "See them: az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity",
            "Name one in {config}: identity: {resource_id: /subscriptions/…/userAssignedIdentities/NAME}",
            "Then run: arc-enroll enroll",
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
            "Then run: arc-enroll enroll",
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
            "Compare: curl -v --noproxy '*' -H Metadata:true '{imds}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F'",
            "Report the answer with: arc-enroll doctor",
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
        person: &[
            "See what the VM has: az networkcloud virtualmachine show --name \"{vm}\" --resource-group \"$VM_RESOURCE_GROUP\" --query identity",
            "Then run: arc-enroll enroll",
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
        person: &["Check: curl -v --noproxy '*' -H Metadata:true {imds}/healthz"],
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
        person: &["Wait; if it stays so for minutes, report it with: arc-enroll doctor"],
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
        person: &["If it stays so, report it to Microsoft support with the time and the answer from: arc-enroll doctor"],
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
        person: &["Check: curl -v --noproxy '*' -H Metadata:true '{imds}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F' | head -c 300"],
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
            "The subscription's tenant: az account show --subscription {subscription_id} --query tenantId",
            "Then run: arc-enroll enroll",
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
            "Then run: arc-enroll enroll",
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
            "Check the clock: date -u",
            "Check the token's tenant and expiry: arc-enroll token --output json",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent is not installed.
    AGENT_ABSENT = Entry {
        code: "agent.absent",
        condition: Condition::Agent,
        outlook: Outlook::Time,
        means: "azcmagent is not installed.",
        causes: &["It is a fresh VM."],
        agent: "Installs it.",
        repair: Some(Repair::InstallAgent),
        pace: Some(Pace::Slow),
        again_from: Condition::Agent,
        person: &["See the log of the installation: grep agent {log}"],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent is not installed, and the configuration says not to install it.
    AGENT_NOT_WANTED = Entry {
        code: "agent.absent-by-configuration",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "azcmagent is not installed, and the configuration says not to install it.",
        causes: &["agent.install is `never` and the image does not have azcmagent."],
        agent: "Nothing.",
        again_from: Condition::Agent,
        person: &[
            "Put azcmagent into the image, or set agent.install to repository in {config}",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// Microsoft offers no azcmagent package for this distribution.
    AGENT_DISTRIBUTION = Entry {
        code: "agent.distribution-unsupported",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "Microsoft offers no azcmagent package for this distribution.",
        causes: &[
            "The distribution or version is too new or too old.",
            "/etc/os-release is missing.",
        ],
        agent: "Nothing.",
        again_from: Condition::Agent,
        person: &[
            "See the supported ones: https://learn.microsoft.com/azure/azure-arc/servers/prerequisites",
            "If a package is known to work, name it: agent: {install: package, package: {url: …, sha256: …}}",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent errors AZCM0131 to AZCM0133",
        ..COMMON
    };

    /// Another program holds the package manager's lock.
    AGENT_PACKAGE_LOCK = Entry {
        code: "agent.package-lock",
        condition: Condition::Agent,
        outlook: Outlook::Time,
        means: "Another program holds the package manager's lock.",
        causes: &[
            "Unattended upgrades run at first boot.",
            "A person installs packages.",
        ],
        agent: "Waits for the lock.",
        pace: Some(Pace::Fast),
        again_from: Condition::Agent,
        person: &["See who holds it: fuser -v /var/lib/dpkg/lock-frontend /var/lib/rpm/.rpm.lock"],
        guide: "azcmagent error AZCM0145",
        ..COMMON
    };

    /// An earlier package installation was cut off.
    AGENT_DPKG_INTERRUPTED = Entry {
        code: "agent.package-manager-interrupted",
        condition: Condition::Agent,
        outlook: Outlook::Time,
        means: "An earlier package installation was cut off.",
        causes: &["The VM lost power or was restarted in the middle of it."],
        agent: "Lets the package manager finish it.",
        repair: Some(Repair::ConfigurePackages),
        pace: Some(Pace::Slow),
        again_from: Condition::Agent,
        person: &[
            "dpkg --configure -a",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    /// The source of the azcmagent package cannot be reached.
    AGENT_SOURCE = Entry {
        code: "agent.source-unreachable",
        condition: Condition::Agent,
        outlook: Outlook::Time,
        means: "The source of the azcmagent package cannot be reached.",
        causes: &[
            "The egress list of the cloud services network lacks packages.microsoft.com.",
            "A package mirror of the distribution is not reachable either, and a dependency is missing.",
        ],
        agent: "Tries again for as long as the window lasts.",
        pace: Some(Pace::Fast),
        again_from: Condition::Agent,
        person: &[
            "Add packages.microsoft.com to the egress list: az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --additional-egress-endpoints …",
            "Or put azcmagent into the image and set agent.install to never in {config}",
        ],
        guide: "azcmagent error AZCM0146",
        ..COMMON
    };

    /// The repository's signing key is not the one that is expected.
    AGENT_KEY = Entry {
        code: "agent.repository-key",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "The repository's signing key is not the one that is expected.",
        causes: &[
            "Something between the VM and the repository changes what is fetched.",
            "Microsoft published a new key, or a mirror has its own.",
        ],
        agent: "Nothing is installed.",
        again_from: Condition::Agent,
        person: &[
            "If the key is right, name its fingerprint in {config}: agent: {repository_key: [FINGERPRINT]}",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    /// The package file is not the one that the configuration names by its SHA-256.
    AGENT_DIGEST = Entry {
        code: "agent.package-digest",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "The package file is not the one that the configuration names by its SHA-256.",
        causes: &[
            "The file was replaced or cut off.",
            "agent.package.sha256 is that of another version.",
        ],
        agent: "Nothing is installed.",
        again_from: Condition::Agent,
        person: &[
            "Compare: sha256sum FILE, and correct agent.package in {config}",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent error AZCM0142",
        ..COMMON
    };

    /// azcmagent could not be installed.
    AGENT_INSTALL = Entry {
        code: "agent.install-failed",
        condition: Condition::Agent,
        outlook: Outlook::Time,
        means: "azcmagent could not be installed.",
        causes: &[
            "A dependency cannot be fetched from the distribution's mirrors.",
            "The package's own scripts failed.",
        ],
        agent: "Tries again, a bounded number of times.",
        pace: Some(Pace::Slow),
        again_from: Condition::Agent,
        person: &[
            "Install it by hand and read the error: apt-get install azcmagent",
            "See the log: grep agent {log}",
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    /// The azcmagent version that the configuration pins is not in the repository.
    AGENT_VERSION_UNKNOWN = Entry {
        code: "agent.version-unavailable",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "The azcmagent version that the configuration pins is not in the repository.",
        causes: &["agent.version is misspelt or was withdrawn."],
        agent: "Nothing is installed.",
        again_from: Condition::Agent,
        person: &[
            "See the versions: apt-cache madison azcmagent",
            "Correct agent.version in {config}",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent error AZCM0147",
        ..COMMON
    };

    /// A service of azcmagent does not run.
    AGENT_SERVICE_DOWN = Entry {
        code: "agent.service-down",
        condition: Condition::Agent,
        outlook: Outlook::Time,
        means: "A service of azcmagent does not run.",
        causes: &[
            "It was stopped or has crashed.",
            "The package was installed while systemd was not ready.",
        ],
        agent: "Starts it.",
        repair: Some(Repair::StartServices),
        pace: Some(Pace::Slow),
        again_from: Condition::Agent,
        person: &[
            "systemctl status himdsd arcproxyd extd gcad",
            "journalctl -u himdsd -n 50",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// A service of azcmagent is masked.
    AGENT_SERVICE_MASKED = Entry {
        code: "agent.service-masked",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "A service of azcmagent is masked.",
        causes: &["Somebody masked it."],
        agent: "Nothing: a mask is a person's decision.",
        again_from: Condition::Agent,
        person: &[
            "systemctl unmask himdsd && systemctl enable --now himdsd",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent's own proxy.url is not the proxy of this VM.
    AGENT_PROXY_DIFFERS = Entry {
        code: "agent.proxy-differs",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "azcmagent's own proxy.url is not the proxy of this VM.",
        causes: &["It was never set, or was changed."],
        agent: "Sets it.",
        repair: Some(Repair::SetAgentProxy),
        again_from: Condition::Agent,
        person: &[
            "azcmagent config set proxy.url {proxy}",
            "Then run: arc-enroll enroll",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// azcmagent or its service himds does not answer.
    AGENT_BROKEN = Entry {
        code: "agent.not-answering",
        condition: Condition::Agent,
        outlook: Outlook::Time,
        means: "azcmagent or its service himds does not answer.",
        causes: &[
            "himdsd was just started.",
            "himdsd is stuck.",
        ],
        agent: "Restarts the services, then waits.",
        repair: Some(Repair::RestartServices),
        pace: Some(Pace::Fast),
        again_from: Condition::Agent,
        person: &[
            "systemctl restart himdsd arcproxyd",
            "journalctl -u himdsd -n 50",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent errors AZCM0061 to AZCM0070",
        ..COMMON
    };

    /// azcmagent takes this VM for an Azure VM and refuses it.
    AGENT_AZURE_VM = Entry {
        code: "agent.azure-vm",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "azcmagent takes this VM for an Azure VM and refuses it.",
        causes: &["The sidecar answers /metadata/instance/compute as Azure's own IMDS does."],
        agent: "Sets azcmagent's override only when agent.allow_azure_vm says so.",
        repair: Some(Repair::AllowAzureVm),
        again_from: Condition::Agent,
        person: &[
            "Set agent.allow_azure_vm to true in {config}; Microsoft calls this override a test setting",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent error AZCM0141",
        ..COMMON
    };

    /// azcmagent refuses its own configuration or what it was given.
    AGENT_CONFIGURATION = Entry {
        code: "agent.configuration-refused",
        condition: Condition::Agent,
        outlook: Outlook::Person,
        means: "azcmagent refuses its own configuration or what it was given.",
        causes: &[
            "Conflicting settings of azcmagent.",
            "A location, name or tag that Azure does not know.",
        ],
        agent: "Nothing: the same settings get the same answer.",
        again_from: Condition::Agent,
        person: &[
            "azcmagent config list",
            "Correct {config}",
            "Then run: arc-enroll enroll",
        ],
        guide: "azcmagent errors AZCM0016 to AZCM0027",
        ..COMMON
    };

    /// The identity may not create the Arc machine in the resource group.
    ACCESS_ROLE = Entry {
        code: "access.role-missing",
        condition: Condition::Access,
        outlook: Outlook::Time,
        means: "The identity may not create the Arc machine in the resource group.",
        causes: &[
            "The role was not assigned yet; a system-assigned identity can only get it after the VM was created.",
            "The role was assigned a moment ago; Azure needs up to ten minutes.",
            "The role was assigned at another scope, or to a group.",
        ],
        agent: "Waits for the role, with a fresh token each time.",
        pace: Some(Pace::Slow),
        again_from: Condition::Identity,
        person: &[
            "az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" --scope {scope}",
            "az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"HybridCompute Machine ListAccessDetails Action\" --scope {scope}",
            "See what it has: az role assignment list --assignee {principal_id} --all",
        ],
        guide: "Verify Managed Identity permissions",
        ..COMMON
    };

    /// Azure finds no such subscription for this identity.
    ACCESS_SUBSCRIPTION = Entry {
        code: "access.subscription-missing",
        condition: Condition::Access,
        outlook: Outlook::Time,
        means: "Azure finds no such subscription for this identity.",
        causes: &[
            "The identity has no role in it yet: then a subscription looks as if it did not exist.",
            "azure.subscription_id in the configuration is wrong.",
        ],
        agent: "Waits for the role, with a fresh token each time.",
        pace: Some(Pace::Slow),
        again_from: Condition::Identity,
        person: &[
            "Check: az account show --subscription {subscription_id}",
            "az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" --scope {scope}",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The resource group does not exist.
    ACCESS_GROUP = Entry {
        code: "access.resource-group-missing",
        condition: Condition::Access,
        outlook: Outlook::Person,
        means: "The resource group does not exist.",
        causes: &[
            "azure.resource_group in the configuration is misspelt.",
            "It was not made yet.",
        ],
        agent: "Nothing: the agent makes no resource groups.",
        again_from: Condition::Access,
        person: &[
            "az group create --name {resource_group} --location {location} --subscription {subscription_id}",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The subscription is not registered for a resource provider that Arc needs.
    ACCESS_PROVIDER = Entry {
        code: "access.provider-unregistered",
        condition: Condition::Access,
        outlook: Outlook::Person,
        means: "The subscription is not registered for a resource provider that Arc needs.",
        causes: &["Nobody has used Arc in this subscription yet."],
        agent: "azcmagent tries to register it; that needs more rights than enrolling.",
        again_from: Condition::Access,
        person: &[
            "az provider register --namespace Microsoft.HybridCompute --subscription {subscription_id}",
            "az provider register --namespace Microsoft.GuestConfiguration --subscription {subscription_id}",
            "az provider register --namespace Microsoft.HybridConnectivity --subscription {subscription_id}",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// An Azure policy forbids this Arc machine.
    ACCESS_POLICY = Entry {
        code: "access.policy",
        condition: Condition::Access,
        outlook: Outlook::Person,
        means: "An Azure policy forbids this Arc machine.",
        causes: &["A policy limits regions, names or requires tags."],
        agent: "Nothing: the same request gives the same answer.",
        again_from: Condition::Access,
        person: &[
            "See the policies: az policy assignment list --scope {scope} --disable-scope-strict-match",
            "Add what the policy asks for (location, tags) to {config}",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// A lock on the resource group or subscription forbids the change.
    ACCESS_LOCK = Entry {
        code: "access.locked",
        condition: Condition::Access,
        outlook: Outlook::Person,
        means: "A lock on the resource group or subscription forbids the change.",
        causes: &["Somebody locked it against changes."],
        agent: "Nothing: a lock is a person's decision.",
        again_from: Condition::Access,
        person: &[
            "See the locks: az lock list --resource-group {resource_group} --subscription {subscription_id}",
            "Then run: arc-enroll enroll",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

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
        person: &["arc-enroll enroll"],
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
        person: &["azcmagent show"],
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
            "See it: azcmagent show",
            "To move it, disconnect it yourself: azcmagent disconnect",
            "Then run: arc-enroll enroll",
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
            "azcmagent show",
            "azcmagent check --location {location}",
            "journalctl -u himdsd -n 50",
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
            "azcmagent disconnect --force-local-only",
            "Delete the resource: az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}",
            "Then run: arc-enroll enroll",
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
            "Then run: arc-enroll enroll",
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
            "See it: az connectedmachine show --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}",
            "If it is a left-over: az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}",
            "Or choose another name: azure.resource_name in {config}",
            "Then run: arc-enroll enroll",
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
            "Then run: arc-enroll enroll",
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
            "azcmagent check --location {location}",
            "See what is enabled: az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --query \"{defaults:enableDefaultEgressEndpoints, additional:additionalEgressEndpoints, enabled:enabledEgressEndpoints}\"",
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
            "See it: az connectedmachine show --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}",
            "If it stays so, delete it and run again: az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}",
            "Then run: arc-enroll enroll",
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
            "azcmagent logs",
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
            "azcmagent check --location {location}",
            "tail -50 /var/opt/azcmagent/log/azcmagent.log",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

}
