//! Condition 7: every endpoint that Arc needs is reachable through the proxy and answers HTTP over verified TLS.

use std::time::{Duration, Instant};

use super::{probe, Notes, Observation};
use crate::catalogue;
use crate::clients::arm;
use crate::clients::azcmagent;
use crate::context::{about_endpoints, Context};
use crate::host::commands::contains_any;
use crate::host::https::{self, HttpsError, HttpsRequest};
use crate::host::tasks::{join_all, Task};
use crate::host::tunnel::{self, Tunnel};
use crate::model::check::{Evidence, Probe, ProbeState};
use crate::model::fault::{Fault, FaultKind, Resolution};
use crate::settings::{Cloud, Install, Settings};

/// Time limit of one endpoint, including the proxy's connection to it.
const LIMIT: Duration = Duration::from_secs(20);

/// The endpoints that this VM needs; without azcmagent they include the package repository.
pub(super) fn endpoints(context: &Context) -> Vec<String> {
    let is_absent = context.host.commands.find(azcmagent::PROGRAM).is_none();
    required(&context.settings, is_absent)
}

/// The endpoints that these settings need (network requirements page, "always" and "connect"). A wildcard is represented
/// by the one name that every machine uses. ARM and Entra ID come first, the repository last, if azcmagent `is_absent` and
/// is installed from it.
pub fn required(settings: &Settings, is_absent: bool) -> Vec<String> {
    let azure = &settings.azure;
    let mut names = match azure.cloud {
        Cloud::Public => vec!["login.microsoftonline.com", "pas.windows.net"],
        Cloud::UsGovernment => {
            vec!["login.microsoftonline.us", "pasff.usgovcloudapi.net"]
        }
        Cloud::China => vec!["login.chinacloudapi.cn", "pas.chinacloudapi.cn"],
    };
    names.insert(0, arm::host(azure.cloud));
    // With a private link scope these are reached inside the network; with a gateway, the last two behind it.
    if azure.private_link_scope.is_none() {
        let (arc_endpoint, policy, notification) = match azure.cloud {
            Cloud::Public => (
                "gbl.his.arc.azure.com",
                "agentserviceapi.guestconfiguration.azure.com",
                "guestnotificationservice.azure.com",
            ),
            Cloud::UsGovernment => {
                ("gbl.his.arc.azure.us", "agentserviceapi.guestconfiguration.azure.us", "")
            }
            Cloud::China => ("gbl.his.arc.azure.cn", "agentserviceapi.guestconfiguration.azure.cn", ""),
        };
        names.push(arc_endpoint);
        if azure.gateway_id.is_none() {
            names.extend([policy, notification].into_iter().filter(|name| !name.is_empty()));
        }
    }
    if settings.agent.install == Install::Repository && is_absent {
        names.push("packages.microsoft.com");
    }
    names.into_iter().map(str::to_owned).collect()
}

pub(super) async fn observe(context: &Context) -> Observation {
    let endpoints = endpoints(context);
    let tasks = endpoints.iter().map(|host| Box::pin(test(context, host)) as Task<'_, _>).collect();
    let (results, probes): (Vec<_>, Vec<_>) = join_all(tasks).await.into_iter().unzip();
    let notes = Notes { probes, ..Notes::default() };
    notes.observation(evaluate(context, &endpoints, results).await)
}

/// Tests one endpoint; returns the result and its network probe.
async fn test(context: &Context, host: &str) -> (Result<Checked, EndpointFailure>, Probe) {
    let started = Instant::now();
    let result = reach(context, host).await;
    let (state, detail) = match &result {
        Ok(Checked::Verified) => (ProbeState::Ok, "answers over verified TLS".to_owned()),
        Ok(Checked::TunnelOnly) => (ProbeState::Ok, format!("the tunnel opens; {NO_CURL}")),
        Ok(Checked::NotTried) => (ProbeState::Skipped, format!("not tried; {NO_CURL}")),
        Err((_, detail)) => (ProbeState::Fails, detail.clone()),
    };
    let probe = probe(context, "endpoint", format!("https://{host}"), state, &detail, started);
    (result, probe)
}

async fn evaluate(
    context: &Context,
    endpoints: &[String],
    results: Vec<Result<Checked, EndpointFailure>>,
) -> Result<Evidence, Fault> {
    let mut least_complete = Checked::Verified;
    let (mut failures, mut passing) = (Vec::new(), Vec::new());
    for (host, result) in endpoints.iter().zip(results) {
        match result {
            Ok(checked) => least_complete = least_complete.max(checked),
            // Manual faults are reported before retryable ones.
            Err((kind, detail)) if kind.resolution == Resolution::Retry => {
                passing.push((host.as_str(), kind, detail));
            }
            Err((kind, detail)) => failures.push((host.as_str(), kind, detail)),
        }
    }
    failures.append(&mut passing);
    if failures.is_empty() {
        let count = endpoints.len();
        return Ok(match least_complete {
            Checked::NotTried => format!("{count} endpoints not tried; {NO_CURL}"),
            Checked::TunnelOnly => format!("{count} endpoints open a tunnel; {NO_CURL}"),
            Checked::Verified => format!("all {count} endpoints answer"),
        });
    }
    Err(first_fault(context, &failures).await)
}

/// The fault of the first kind of failure, with every endpoint of that kind.
async fn first_fault(context: &Context, failures: &[(&str, &'static FaultKind, String)]) -> Fault {
    let [(host, kind, _), ..] = failures else { return catalogue::EGRESS_UNREACHABLE.with_evidence("") };
    let same = failures.iter().filter(|(_, other, _)| other == kind);
    let same: Vec<String> = same.map(|(host, _, _)| (*host).to_owned()).collect();
    let mut text = describe_failures(failures);
    let of_certificates =
        [&catalogue::EGRESS_UNTRUSTED, &catalogue::EGRESS_CERTIFICATE_DATES, &catalogue::EGRESS_WRONG_NAME];
    if of_certificates.contains(kind) {
        let (proxy, url) = (context.settings.proxy.url.as_ref(), format!("https://{host}/"));
        let issuer = https::fetch_issuer(&context.host.commands, proxy, &url, context.within(LIMIT)).await;
        if let Some(issuer) = issuer {
            text.push_str(&format!("; the certificate that {host} shows is issued by {issuer}"));
        }
    }
    about_endpoints(kind.with_evidence(text), &same)
}

/// The failures as text, with endpoints grouped by detail.
fn describe_failures(failures: &[(&str, &'static FaultKind, String)]) -> String {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for (host, _, detail) in failures {
        let detail = detail.replace(host, "…");
        match groups.iter_mut().find(|(_, known)| *known == detail) {
            Some((hosts, _)) => hosts.push(host),
            None => groups.push((vec![host], detail)),
        }
    }
    let texts = groups.iter().map(|(hosts, detail)| format!("{}: {detail}", hosts.join(", ")));
    texts.collect::<Vec<_>>().join("; ")
}

/// Why TLS and HTTP were not checked.
const NO_CURL: &str = "TLS was not checked, there is no curl";

/// How far an endpoint was checked, the most complete first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Checked {
    /// It answered HTTP over verified TLS.
    Verified,
    /// Only the proxy's tunnel, since there is no curl.
    TunnelOnly,
    /// There is no curl and no proxy.
    NotTried,
}

/// A kind of failure, and its details.
type EndpointFailure = (&'static FaultKind, String);

async fn reach(context: &Context, host: &str) -> Result<Checked, EndpointFailure> {
    let url = format!("https://{host}/");
    let limit = context.within(LIMIT);
    let request = HttpsRequest { method: "HEAD", ..HttpsRequest::get(&url, limit) };
    let proxy = context.settings.proxy.url.as_ref();
    match https::send(&context.host.commands, proxy, request).await {
        Ok(_) => Ok(Checked::Verified),
        Err(error) => explain(context, host, limit, *error).await,
    }
}

/// Classifies a failed request, with a tunnel probe of the proxy where curl's result is not sufficient.
async fn explain(
    context: &Context,
    host: &str,
    limit: Duration,
    error: HttpsError,
) -> Result<Checked, EndpointFailure> {
    let proxy = context.settings.proxy.url.as_ref();
    match error {
        HttpsError::NoCurl => match proxy {
            Some(proxy) => {
                match tunnel::probe(&context.host.commands, proxy, host, context.within(tunnel::OPEN)).await {
                    Tunnel::Open => Ok(Checked::TunnelOnly),
                    failure => Err(classify_tunnel(&failure)),
                }
            }
            None => Ok(Checked::NotTried),
        },
        HttpsError::Curl { code, tunnel_status, detail, .. } => {
            if let (500..=599, Some(proxy)) = (tunnel_status, proxy) {
                // curl does not report the proxy's error message, which says what failed behind it.
                let answer =
                    tunnel::probe(&context.host.commands, proxy, host, context.within(tunnel::OPEN)).await;
                if matches!(answer, Tunnel::Answered { status: 500..=599, .. }) {
                    return Err(classify_tunnel(&answer));
                }
            }
            let kind = classify_curl(code, tunnel_status, &detail);
            let detail = match kind {
                _ if *kind == catalogue::EGRESS_SLOW => {
                    format!("the tunnel opened, then no answer within {} s", limit.as_secs())
                }
                _ if tunnel_status >= 400 => format!("the proxy answers {tunnel_status}: {detail}"),
                _ => detail,
            };
            Err((kind, detail))
        }
        HttpsError::Program(_) => Err((&catalogue::EGRESS_UNREACHABLE, error.to_string())),
    }
}

/// Classifies the proxy's answer to CONNECT.
fn classify_tunnel(answer: &Tunnel) -> EndpointFailure {
    let words = tunnel::describe(answer);
    let lower = words.to_ascii_lowercase();
    let kind = match answer {
        Tunnel::Answered { status: 400..=499, .. } => &catalogue::EGRESS_REFUSED,
        // Squid's name of the error (ERR_DNS_FAIL), or what other proxies write.
        Tunnel::Answered { .. } if contains_any(&lower, &["dns", "resol", "lookup"]) => {
            &catalogue::EGRESS_UNRESOLVED
        }
        _ => &catalogue::EGRESS_UNREACHABLE,
    };
    (
        kind,
        if matches!(answer, Tunnel::Answered { .. }) { format!("the proxy answers {words}") } else { words },
    )
}

/// Classifies curl's exit code (man curl, EXIT CODES) and the error messages of OpenSSL, GnuTLS and NSS.
fn classify_curl(code: i32, tunnel_status: u16, words: &str) -> &'static FaultKind {
    let words = words.to_ascii_lowercase();
    let says = |texts: &[&str]| contains_any(&words, texts);
    match code {
        _ if (400..500).contains(&tunnel_status) => &catalogue::EGRESS_REFUSED,
        5 | 6 => &catalogue::EGRESS_UNRESOLVED,
        28 if (200..300).contains(&tunnel_status) => &catalogue::EGRESS_SLOW,
        77 => &catalogue::EGRESS_NO_TRUST_STORE,
        51 | 60 if says(&["expired", "not yet valid", "expiration date", "activation date"]) => {
            &catalogue::EGRESS_CERTIFICATE_DATES
        }
        51 => &catalogue::EGRESS_WRONG_NAME,
        60 if says(&["subject name", "does not match", "hostname", "host name"]) => {
            &catalogue::EGRESS_WRONG_NAME
        }
        60 => &catalogue::EGRESS_UNTRUSTED,
        _ => &catalogue::EGRESS_UNREACHABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_curl_are_classified() {
        for (code, tunnel_status, words, right) in [
            (56, 403, "CONNECT tunnel failed, response 403", "egress.refused"),
            (56, 502, "CONNECT tunnel failed, response 502", "egress.unreachable"),
            (6, 0, "Could not resolve host: pas.windows.net", "egress.unresolved"),
            (28, 200, "Operation timed out", "egress.slow"),
            (28, 0, "Connection timed out", "egress.unreachable"),
            (77, 200, "error setting certificate verify locations", "egress.no-trust-store"),
            (60, 200, "SSL certificate problem: unable to get local issuer certificate", "egress.untrusted"),
            (
                60,
                200,
                "SSL certificate problem: self-signed certificate in certificate chain",
                "egress.untrusted",
            ),
            (
                60,
                200,
                "server certificate verification failed. CAfile: none CRLfile: none",
                "egress.untrusted",
            ),
            (60, 200, "Peer's Certificate issuer is not recognized.", "egress.untrusted"),
            (60, 200, "SSL certificate problem: certificate has expired", "egress.certificate-dates"),
            (60, 200, "SSL certificate problem: certificate is not yet valid", "egress.certificate-dates"),
            (60, 200, "server certificate expiration date has passed.", "egress.certificate-dates"),
            (
                60,
                200,
                "SSL: no alternative certificate subject name matches target host name 'a'",
                "egress.wrong-name",
            ),
            (
                51,
                200,
                "Unable to communicate securely with peer: requested domain name does not match",
                "egress.wrong-name",
            ),
            (35, 200, "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to a:443", "egress.unreachable"),
        ] {
            assert_eq!(classify_curl(code, tunnel_status, words).code, right, "{code} {words}");
        }
    }

    #[test]
    fn failures_behind_the_proxy_are_classified() {
        for (status, detail, right) in [
            (503, "Service Unavailable; X-Squid-Error: ERR_DNS_FAIL 0", "egress.unresolved"),
            (503, "Service Unavailable; DNS resolution failure", "egress.unresolved"),
            (502, "Bad Gateway: dial tcp: lookup a on 10.0.0.10:53: no such host", "egress.unresolved"),
            (503, "Service Unavailable; X-Squid-Error: ERR_CONNECT_FAIL 110", "egress.unreachable"),
            (403, "Forbidden", "egress.refused"),
        ] {
            let (kind, words) = classify_tunnel(&Tunnel::Answered { status, detail: detail.to_owned() });
            assert_eq!(kind.code, right, "{detail}");
            assert!(words.contains(detail) && words.contains(&status.to_string()), "{words}");
        }
        assert_eq!(classify_tunnel(&Tunnel::Timeout { connected: true }).0.code, "egress.unreachable");
    }
}
