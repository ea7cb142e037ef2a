//! Condition 7: every endpoint that Arc needs opens through the proxy, its TLS verifies, HTTP answers.

use std::time::{Duration, Instant};

use super::sanity::{join_all, Verdict};
use super::{Evidence, Vm};
use crate::arm;
use crate::azcmagent;
use crate::fault::{self, Entry, Fault};
use crate::host::https::{self, HttpsError, Request};
use crate::host::tunnel::{self, Tunnel};
use crate::settings::{Cloud, Install};

/// Time for one endpoint, the proxy's way there included.
const LIMIT: Duration = Duration::from_secs(20);

/// The endpoints that this VM needs (network requirements page, "always" and "connect"), without wildcards:
/// of a wildcard the one name that every machine uses.
pub(super) fn endpoints(vm: &Vm) -> Vec<String> {
    let azure = &vm.settings.azure;
    let mut names = match azure.cloud {
        Cloud::Public => vec!["login.microsoftonline.com", "pas.windows.net"],
        Cloud::UsGovernment => {
            vec!["login.microsoftonline.us", "pasff.usgovcloudapi.net"]
        }
        Cloud::China => vec!["login.chinacloudapi.cn", "pas.chinacloudapi.cn"],
    };
    names.insert(0, arm::host(azure.cloud));
    // With private endpoints these two are reached inside the network; with a gateway, behind it.
    if azure.private_link_scope.is_none() {
        let (his, policy, notification) = match azure.cloud {
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
        names.push(his);
        if azure.gateway_id.is_none() {
            names.extend([policy, notification].into_iter().filter(|name| !name.is_empty()));
        }
    }
    let is_absent = || vm.host.commands.find(azcmagent::PROGRAM).is_none();
    if vm.settings.agent.install == Install::Repository && is_absent() {
        names.push("packages.microsoft.com");
    }
    names.into_iter().map(str::to_owned).collect()
}

pub(super) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let endpoints = endpoints(vm);
    let mut probes = Vec::new();
    let results = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    for host in &endpoints {
        let results = std::rc::Rc::clone(&results);
        probes.push(async move {
            let started = Instant::now();
            let result = probe(vm, host).await;
            let (verdict, detail) = match &result {
                Ok(Checked::Whole) => (Verdict::Ok, "answers over verified TLS".to_owned()),
                Ok(Checked::TunnelOnly) => (Verdict::Ok, "the way is open; TLS was not checked".to_owned()),
                Err((_, detail)) => (Verdict::Fails, detail.clone()),
            };
            vm.note("endpoint", format!("https://{host}"), verdict, detail, started);
            results.borrow_mut().push((host.clone(), result));
        });
    }
    join_all(probes).await;
    let results = results.take();
    let unchecked = results.iter().any(|(_, result)| matches!(result, Ok(Checked::TunnelOnly)));
    let mut failures: Vec<(String, &'static Entry, String)> = results
        .into_iter()
        .filter_map(|(host, result)| result.err().map(|(entry, detail)| (host, entry, detail)))
        .collect();
    // What only a person can mend is named before what may pass by itself.
    failures.sort_by_key(|(_, entry, _)| entry.exit_code() == fault::EXIT_NOT_YET);
    let Some((_, first, _)) = failures.first() else {
        return Ok(if unchecked {
            format!("{} endpoints open a tunnel; TLS was not checked, there is no curl", endpoints.len())
        } else {
            format!("all {} endpoints answer", endpoints.len())
        });
    };
    let entry = *first;
    let same: Vec<_> = failures.iter().filter(|(_, kind, _)| kind.code == entry.code).collect();
    *vm.learnt.endpoints.borrow_mut() = same.iter().map(|(host, _, _)| host.clone()).collect();
    let texts: Vec<String> = failures.iter().map(|(host, _, detail)| format!("{host}: {detail}")).collect();
    Err(entry.seen(texts.join("; ")))
}

/// How far an endpoint was checked.
enum Checked {
    /// Down to an HTTP answer over verified TLS.
    Whole,
    /// There is no curl.
    TunnelOnly,
}

async fn probe(vm: &Vm, host: &str) -> Result<Checked, (&'static Entry, String)> {
    let url = format!("https://{host}/");
    let request = Request { method: "HEAD", ..Request::get(&url, vm.within(LIMIT)) };
    let proxy = vm.settings.proxy.url.as_ref();
    match https::send(&vm.host.commands, proxy, request).await {
        Ok(_) => Ok(Checked::Whole),
        Err(HttpsError::NoCurl) => match proxy {
            Some(proxy) => match tunnel::probe(&vm.host.commands, proxy, host, vm.within(tunnel::OPEN)).await
            {
                Tunnel::Open => Ok(Checked::TunnelOnly),
                Tunnel::Answered { status: 403, detail } => {
                    Err((&fault::EGRESS_REFUSED, format!("403 {detail}")))
                }
                failure => Err((&fault::EGRESS_UNREACHABLE, tunnel::describe(&failure))),
            },
            None => Ok(Checked::TunnelOnly),
        },
        Err(HttpsError::Curl { tunnel_status, detail, .. }) if (400..500).contains(&tunnel_status) => {
            Err((&fault::EGRESS_REFUSED, format!("the proxy answers {tunnel_status}: {detail}")))
        }
        // man curl, EXIT CODES: 51 and 60 are certificates that do not verify, 77 a broken CA file.
        Err(HttpsError::Curl { code: 51 | 60 | 77, detail, .. }) => Err((&fault::EGRESS_UNTRUSTED, detail)),
        Err(error) => Err((&fault::EGRESS_UNREACHABLE, error.to_string())),
    }
}
