//! Compares the egress endpoints of a cloud services network with those that the settings require (guide, "Cloud
//! Services Network (CSN) configurations").

use serde_json::Value;

use super::az::{list, text};
use super::Row;
use crate::catalogue;
use crate::conditions::egress::required as required_endpoints;
use crate::formats::egress_list;
use crate::formats::url::{without_scheme, Url};
use crate::model::var::{one, Var, Word};
use crate::settings::{Install, Package, PackageSource, Settings};

/// An endpoint that has to be reachable.
struct Endpoint {
    host: String,
    port: u64,
    /// Whether Arc requires it, so that the default endpoints of the platform include it.
    is_of_arc: bool,
}

/// The endpoints that a VM with these settings uses: those of Arc, then the source of azcmagent.
fn required_by(settings: &Settings) -> Vec<Endpoint> {
    let mut all = Vec::new();
    let mut add = |host: &str, port, is_of_arc| all.push(Endpoint { host: host.to_owned(), port, is_of_arc });
    for name in required_endpoints(settings, false) {
        add(&name, 443, true);
    }
    if settings.agent.install == Install::Script {
        add("aka.ms", 443, false);
    }
    match &settings.agent.install {
        // The script fetches the package from the repository.
        Install::Repository | Install::Script => add("packages.microsoft.com", 443, false),
        Install::Package(Package { source: PackageSource::Url(url), .. }) => {
            if let Some(url) = Url::split(url) {
                add(url.host(), url.port().unwrap_or(443).into(), false);
            }
        }
        Install::Package(_) | Install::Never => {}
    }
    all
}

/// Whether a list of endpoints allows a host and port.
fn allows(categories: &[Value], host: &str, port: u64) -> bool {
    for category in categories {
        for entry in list(category, "endpoints") {
            let is_of_port = entry.get("port").and_then(Value::as_u64).is_none_or(|known| known == port);
            if is_of_port && covers(text(entry, "domainName"), host) {
                return true;
            }
        }
    }
    false
}

/// Whether a domain of the list covers a host: `.io` and `*.io` include every subdomain, as in the guide's lists.
fn covers(domain: &str, host: &str) -> bool {
    let domain = domain.trim().to_ascii_lowercase();
    let domain = without_scheme(&domain).trim_end_matches('/');
    match domain.strip_prefix('*').unwrap_or(domain).strip_prefix('.') {
        Some(parent) => host == parent || host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => domain == "*" || domain == host,
    }
}

/// Checks the provisioning state of a network.
pub fn check_state(csn: &Value) -> Row {
    let (state, status) = (text(csn, "provisioningState"), text(csn, "detailedStatus"));
    let name = text(csn, "name");
    let message = text(csn, "detailedStatusMessage");
    let seen = format!("{name}: provisioningState {state}, detailedStatus {status}. {message}");
    match (state, status) {
        ("Failed" | "Canceled", _) | (_, "Error") => Row::fails(&catalogue::PROXY_CSN_FAILED, seen),
        ("Succeeded", _) => {
            Row::Holds(format!("{name} is there, {}", if status.is_empty() { state } else { status }))
        }
        ("", _) => Row::Holds(format!("{name} is there; its provisioningState is unknown")),
        _ => Row::fails(&catalogue::PROXY_CSN_PROVISIONING, seen),
    }
}

/// Checks whether a network allows the required endpoints; the fault has the arguments of its remediation.
pub fn check_egress(csn: &Value, settings: &Settings) -> Row {
    let has_defaults = text(csn, "enableDefaultEgressEndpoints").eq_ignore_ascii_case("true");
    let (enabled, additional) = (list(csn, "enabledEgressEndpoints"), list(csn, "additionalEgressEndpoints"));
    // The default endpoints are not published. Without a list of enabled endpoints, rely on the guide: they include
    // those of Arc.
    let is_by_default = has_defaults && enabled.is_empty();
    let needed = required_by(settings);
    let (mut names, mut to_add) = (Vec::new(), Vec::new());
    for Endpoint { host, port, is_of_arc } in &needed {
        if *is_of_arc && is_by_default || [enabled, additional].iter().any(|all| allows(all, host, *port)) {
            continue;
        }
        names.push(if *port == 443 { host.clone() } else { format!("{host}:{port}") });
        // Default endpoints need not be listed.
        if has_defaults || !is_of_arc {
            to_add.push(egress_list::endpoint(host, Some(*port)));
        }
    }
    let mut seen = format!("default endpoints are {}enabled", if has_defaults { "" } else { "not " });
    if enabled.is_empty() {
        seen.push_str(", what is enabled is not listed");
    }
    if names.is_empty() {
        let count = needed.len();
        return Row::Holds(format!("{seen}; all {count} that this configuration needs are allowed"));
    }
    seen.push_str(&format!("; it lacks {}", names.join(", ")));
    let json = if to_add.is_empty() { None } else { egress_json(additional, &to_add) };
    let mut omitted = match (&json, to_add.is_empty()) {
        (Some(_), _) => vec![catalogue::ADD_ENDPOINTS_IN_PORTAL],
        (None, false) => vec![catalogue::ADD_MISSING_ENDPOINTS],
        (None, true) => vec![catalogue::ADD_ENDPOINTS_IN_PORTAL, catalogue::ADD_MISSING_ENDPOINTS],
    };
    if has_defaults {
        omitted.push(catalogue::ENABLE_DEFAULT_ENDPOINTS);
    }
    let fault = catalogue::EGRESS_CSN.with_evidence(seen).without_steps(&omitted);
    let fault = fault.with_arg(Var::Endpoints, names.into_iter().map(Word::Text).collect());
    Row::Fails(match json {
        Some(json) => fault.with_arg(Var::CsnEgressJson, one(json)),
        None => fault,
    })
}

/// The list of additional endpoints with more endpoints, for az in double quotes; `None` when the existing list holds
/// characters that the shell would interpret.
fn egress_json(present: &[Value], more: &[String]) -> Option<String> {
    let mut json = String::from("[");
    for category in present {
        let mut endpoints = Vec::new();
        for endpoint in list(category, "endpoints") {
            endpoints.push(egress_list::endpoint(
                shell_safe(text(endpoint, "domainName"))?,
                endpoint.get("port").and_then(Value::as_u64),
            ));
        }
        if !endpoints.is_empty() {
            json.push_str(&egress_list::category(shell_safe(text(category, "category"))?, &endpoints));
            json.push(',');
        }
    }
    json.push_str(&egress_list::category("azure-arc", more));
    Some(json + "]")
}

/// The text, if it holds no character that a shell or az interprets.
fn shell_safe(text: &str) -> Option<&str> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || " ._-*:/".contains(c);
    Some(text).filter(|text| !text.is_empty() && text.chars().all(is_safe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn domains_cover_names_and_subdomains() {
        for domain in [
            ".azure.com",
            "*.azure.com",
            "*",
            "gbl.his.arc.azure.com",
            "https://gbl.his.arc.azure.com/",
            "*.his.arc.azure.com",
            "GBL.his.arc.azure.com",
        ] {
            assert!(covers(domain, "gbl.his.arc.azure.com"), "{domain}");
        }
        for domain in ["", "azure.com", "his.arc.azure.com", ".is.arc.azure.com", "x.gbl.his.arc.azure.com"] {
            assert!(!covers(domain, "gbl.his.arc.azure.com"), "{domain}");
        }
    }

    #[test]
    fn a_given_port_has_to_match() {
        let lists =
            |port: Value| vec![json!({"category": "c", "endpoints": [{"domainName": "a.b", "port": port}]})];
        for (port, is_let_out) in [(json!(443), true), (json!(null), true), (json!(80), false)] {
            assert_eq!(allows(&lists(port.clone()), "a.b", 443), is_let_out, "{port}");
        }
    }

    #[test]
    fn the_list_keeps_its_entries_and_rejects_shell_syntax() {
        let present = [json!({"category": "own", "endpoints": [{"domainName": ".ubuntu.com", "port": 80}]})];
        assert_eq!(
            egress_json(&present, &[egress_list::endpoint("a.b", Some(443))]).unwrap(),
            "[{'category':'own','endpoints':[{'domainName':'.ubuntu.com','port':80}]},\
             {'category':'azure-arc','endpoints':[{'domainName':'a.b','port':443}]}]"
        );
        let hostile = [json!({"category": "own", "endpoints": [{"domainName": "$(reboot)"}]})];
        assert_eq!(egress_json(&hostile, &[]), None);
    }
}
