//! What a cloud services network lets out, against what the settings need (guide, "Cloud Services Network (CSN)
//! configurations").

use serde_json::Value;

use super::az::{list, text};
use super::Row;
use crate::conditions::required_endpoints;
use crate::fault::{self};
use crate::settings::{Install, PackageSource, Settings};

/// A name that has to be reachable, and its port.
type Endpoint = (String, u64);

/// Everything that a VM with these settings will ask for: first what Arc needs, then where azcmagent comes from.
fn needed(settings: &Settings) -> (Vec<Endpoint>, Vec<Endpoint>) {
    let port = |name: &str| (name.to_owned(), 443);
    let arc = required_endpoints(settings, false).iter().map(|name| port(name)).collect();
    let source = match &settings.agent.install {
        Install::Repository => vec![port("packages.microsoft.com")],
        // The script fetches the package from the repository.
        Install::Script => vec![port("aka.ms"), port("packages.microsoft.com")],
        Install::Package(package) => match &package.source {
            PackageSource::Url(url) => vec![of_url(url)],
            PackageSource::File(_) => Vec::new(),
        },
        Install::Never => Vec::new(),
    };
    (arc, source)
}

fn of_url(url: &str) -> Endpoint {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let usual = if scheme == "http" { 80 } else { 443 };
    match host.rsplit_once(':') {
        Some((name, port)) => (name.to_owned(), port.parse().unwrap_or(usual)),
        None => (host.to_owned(), usual),
    }
}

/// Whether one of these lists lets it out.
fn lets_out(lists: &[&[Value]], (host, port): &Endpoint) -> bool {
    let entries = lists.iter().copied().flatten().flat_map(|category| list(category, "endpoints"));
    let mut of_port =
        entries.filter(|entry| entry.get("port").and_then(Value::as_u64).is_none_or(|p| p == *port));
    of_port.any(|entry| covers(text(entry, "domainName"), host))
}

/// Whether a domain of the list is this name: `.io` and `*.io` stand for everything below, as in the guide's lists.
fn covers(domain: &str, host: &str) -> bool {
    let domain = domain.trim().to_ascii_lowercase();
    let domain = domain.split_once("://").map_or(domain.as_str(), |(_, rest)| rest).trim_end_matches('/');
    match domain.strip_prefix('*').unwrap_or(domain).strip_prefix('.') {
        Some(parent) => host == parent || host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => domain == "*" || domain == host,
    }
}

/// How a network is, and what of it was told.
pub fn state(csn: &Value) -> Row {
    let (state, status) = (text(csn, "provisioningState"), text(csn, "detailedStatus"));
    let name = text(csn, "name");
    let message = text(csn, "detailedStatusMessage");
    let seen = format!("{name}: provisioningState {state}, detailedStatus {status}. {message}");
    match (state, status) {
        ("Failed" | "Canceled", _) | (_, "Error") => Row::fails(&fault::PROXY_CSN_FAILED, seen),
        ("Succeeded", _) => {
            Row::Holds(format!("{name} is there, {}", if status.is_empty() { state } else { status }))
        }
        ("", _) => Row::Holds(format!("{name} is there; its provisioningState is not told")),
        _ => Row::fails(&fault::PROXY_CSN_PROVISIONING, seen),
    }
}

/// Whether a network lets out what the settings need, the endpoints that it lacks, and what mends it.
pub fn egress(csn: &Value, settings: &Settings) -> (Row, Vec<String>) {
    let (arc, source) = needed(settings);
    let has_defaults = text(csn, "enableDefaultEgressEndpoints").eq_ignore_ascii_case("true");
    let (enabled, additional) = (list(csn, "enabledEgressEndpoints"), list(csn, "additionalEgressEndpoints"));
    // Which names the defaults are is not published: without the list of what is enabled, the guide's word for it.
    let is_by_default = has_defaults && enabled.is_empty();
    let lacking = |wanted: &[Endpoint]| -> Vec<Endpoint> {
        wanted.iter().filter(|one| !lets_out(&[enabled, additional], one)).cloned().collect()
    };
    let lacks_of_arc = if is_by_default { Vec::new() } else { lacking(&arc) };
    let lacks_of_source = lacking(&source);
    let defaults =
        if has_defaults { "default endpoints are enabled" } else { "default endpoints are not enabled" };
    let told = if enabled.is_empty() { "; what is enabled is not listed" } else { "" };
    if lacks_of_arc.is_empty() && lacks_of_source.is_empty() {
        let count = arc.len() + source.len();
        return (
            Row::Holds(format!("{defaults}{told}; all {count} that this configuration needs are let out")),
            Vec::new(),
        );
    }
    let mut lacks = lacks_of_arc.clone();
    lacks.extend_from_slice(&lacks_of_source);
    let names: Vec<String> = lacks.iter().map(shown).collect();
    let seen = format!("{defaults}{told}; it lacks {}", names.join(", "));
    // What the defaults bring need not be listed by hand.
    let to_add = if has_defaults { lacks } else { lacks_of_source };
    let mut without = Vec::new();
    if has_defaults {
        without.push("platform's defaults");
    }
    let json = egress_json(additional, &to_add);
    without.push(if json.is_some() { "no shell command" } else { "Let out what is missing" });
    if to_add.is_empty() {
        without.extend(["no shell command", "Let out what is missing"]);
    }
    let row = Row::Fails {
        fault: fault::EGRESS_CSN.seen(seen),
        values: vec![("{csn_egress_json}", json.unwrap_or_default())],
        without,
    };
    (row, names)
}

fn shown((host, port): &Endpoint) -> String {
    if *port == 443 {
        host.clone()
    } else {
        format!("{host}:{port}")
    }
}

/// The list of additional endpoints with these in it too, as az takes it in double quotes; nothing where the list
/// holds what does not belong there.
fn egress_json(present: &[Value], more: &[Endpoint]) -> Option<String> {
    let is_safe = |text: &&str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || " ._-*:/".contains(c))
    };
    let mut categories = Vec::new();
    for category in present {
        let name = Some(text(category, "category")).filter(is_safe)?;
        let mut endpoints = Vec::new();
        for endpoint in list(category, "endpoints") {
            let domain = Some(text(endpoint, "domainName")).filter(is_safe)?;
            let port = endpoint.get("port").and_then(Value::as_u64);
            endpoints.push(one(domain, port));
        }
        if !endpoints.is_empty() {
            categories.push(in_category(name, &endpoints));
        }
    }
    let added: Vec<String> = more.iter().map(|(host, port)| one(host, Some(*port))).collect();
    categories.push(in_category("azure-arc", &added));
    Some(format!("[{}]", categories.join(",")))
}

fn one(domain: &str, port: Option<u64>) -> String {
    let port = port.map_or(String::new(), |port| format!(",'port':{port}"));
    format!("{{'domainName':'{domain}'{port}}}")
}

fn in_category(name: &str, endpoints: &[String]) -> String {
    format!("{{'category':'{name}','endpoints':[{}]}}", endpoints.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn domains_of_the_list_are_names_or_what_is_below() {
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
    fn ports_count_where_they_are_told() {
        let lists =
            |port: Value| vec![json!({"category": "c", "endpoints": [{"domainName": "a.b", "port": port}]})];
        for (port, is_let_out) in [(json!(443), true), (json!(null), true), (json!(80), false)] {
            assert_eq!(lets_out(&[&lists(port.clone())], &("a.b".to_owned(), 443)), is_let_out, "{port}");
        }
        assert_eq!(of_url("https://h.example:8443/x.deb"), ("h.example".to_owned(), 8443));
        assert_eq!(of_url("http://h.example/x.deb"), ("h.example".to_owned(), 80));
    }

    #[test]
    fn the_list_keeps_what_it_has_and_takes_no_words_of_a_shell() {
        let present = [json!({"category": "own", "endpoints": [{"domainName": ".ubuntu.com", "port": 80}]})];
        assert_eq!(
            egress_json(&present, &[("a.b".to_owned(), 443)]).unwrap(),
            "[{'category':'own','endpoints':[{'domainName':'.ubuntu.com','port':80}]},\
             {'category':'azure-arc','endpoints':[{'domainName':'a.b','port':443}]}]"
        );
        let hostile = [json!({"category": "own", "endpoints": [{"domainName": "$(reboot)"}]})];
        assert_eq!(egress_json(&hostile, &[]), None);
    }
}
