//! Faults on the way to the sidecar and to Azure.

use super::machine::{quiet, with_short_windows};
use super::{faults, Met};
use crate::assertions::with_windows;
use crate::nexus::spec::{Certificate, CsnPlan, HttpAct, Playbook, PortState, Reply};
use crate::nexus::vm::{config, Builder, Vm};

faults! {
    imds_refused "imds.refused" => Met::by_doctor(quiet().imds(|imds| imds.port_state = PortState::Closed))
        .exit(75)
        .seen("http://169.254.169.254/healthz: connection refused")
        .remedy("curl -v --noproxy '*' --max-time 3 -H Metadata:true http://169.254.169.254/healthz");

    imds_timeout "imds.timeout" => Met::by_enroll(short().imds(|imds| imds.healthz = always(HttpAct::Hang)))
        .exit(75)
        .seen("http://169.254.169.254/healthz: no answer within 10 s")
        .remedy("ip route get 169.254.169.254");

    imds_no_route "imds.no-route" => Met::by_doctor(quiet_with("imds: {endpoint: \"http://169.254.1.1\"}\n"))
        .exit(75)
        .seen("http://169.254.1.1/healthz: no route (Network is unreachable")
        .remedy("ip route get 169.254.1.1");

    imds_broken "imds.broken" => Met::by_doctor(quiet().imds(|imds| imds.healthz = always(HttpAct::Close)))
        .exit(75)
        .seen("http://169.254.169.254/healthz: connection closed before message completed")
        .remedy("curl -v --noproxy '*' --max-time 3 -H Metadata:true http://169.254.169.254/healthz");

    imds_proxied "imds.proxied" => Met::by_doctor(quiet().imds(|imds| {
            let reply = Reply::text(200, "ok").header("Via", "1.1 cache.example").header("Proxy-Agent", "x");
            imds.healthz = always(reply.act());
        }))
        .exit(13)
        .seen("HTTP 200, ok")
        .seen("via: 1.1 cache.example")
        .seen("proxy-agent: x")
        .remedy("iptables -t nat -S | grep 80");

    imds_not_imds "imds.not-imds" => Met::by_doctor(quiet().imds(|imds| {
            imds.healthz = always(named("imds-200-html"));
            imds.token = always(named("imds-200-html"));
        }))
        .exit(13)
        .seen("HTTP 200, <html><body>Please log in to the network")
        .seen("an HTML page")
        .remedy("curl -v --noproxy '*' -H Metadata:true http://169.254.169.254/healthz");

    imds_unknown_source "imds.unknown-source" =>
        Met::by_doctor(quiet().imds(|imds| imds.token = always(named("imds-401-unknown-source"))))
            .exit(13)
            .seen("HTTP 401")
            .remedy("ip route get 169.254.169.254");

    proxy_refused "proxy.refused" => Met::by_doctor(csn(|csn| csn.port_state = PortState::Closed))
        .exit(75)
        .seen("http://169.254.0.11:3128, CONNECT management.azure.com:443")
        .seen("refused the connection")
        .remedy("curl -v --proxy http://169.254.0.11:3128 --max-time 10 -I https://management.azure.com/")
        .remedy("az networkcloud virtualmachine show --name contoso-vm-01");

    proxy_timeout "proxy.timeout" => Met::by_enroll(short().csn(|csn| csn.connect = always(HttpAct::Hang)))
        .exit(75)
        .seen("the proxy accepted, then did not answer in time")
        .remedy("ip route get 169.254.0.11");

    proxy_no_route "proxy.no-route" => Met::by_enroll(
            Vm::new().installed().config(&(with_windows(&[("endpoint", "1s")]) + "proxy: {url: \"http://169.254.1.2:3128\"}\n")))
        .exit(75)
        .seen("http://169.254.1.2:3128, CONNECT management.azure.com:443: no route to the proxy")
        .remedy("ip route get 169.254.1.2");

    proxy_broken "proxy.broken" => Met::by_doctor(csn(|csn| csn.connect = always(HttpAct::Close)))
        .exit(75)
        .seen("it closed the connection without a response")
        .remedy("see proxy.url in /etc/arc-enroll/config.yaml");

    proxy_authentication "proxy.authentication" =>
        Met::by_doctor(csn(|csn| csn.credentials = Some("user:word".to_owned())))
            .exit(15)
            .seen("407")
            .seen("Proxy-Authenticate: Basic realm=\"CSN\"")
            .remedy("correct proxy.url in /etc/arc-enroll/config.yaml");

    proxy_tunnel_refused "proxy.tunnel-refused" => Met::by_doctor(csn(|csn| {
            csn.default_egress = false;
            csn.additional.clear();
        }))
        .exit(15)
        .seen("management.azure.com: 403")
        .seen("guestnotificationservice.azure.com: 403")
        .seen("ERR_ACCESS_DENIED")
        .remedy("Allow these: management.azure.com login.microsoftonline.com pas.windows.net gbl.his.arc.azure.com")
        .remedy("--enable-default-egress-endpoints True");

    proxy_failing "proxy.failing" => Met::by_doctor(csn(|csn| csn.connect = always(named("proxy-502"))))
        .exit(75)
        .seen("502")
        .seen("ERR_READ_ERROR")
        .remedy("curl -v --proxy http://169.254.0.11:3128 --max-time 10 -I https://management.azure.com/");

    dns_unresolved "dns.unresolved" => Met::by_doctor(
            Vm::new().enrolled().config(&(config() + "proxy: {url: null, persist: false}\n")))
        .exit(16)
        .seen("management.azure.com does not resolve here (")
        .remedy("nslookup management.azure.com")
        .remedy("set proxy.url in /etc/arc-enroll/config.yaml");

    egress_refused "egress.refused" => Met::by_doctor(csn(|csn| {
            csn.refused = vec!["gbl.his.arc.azure.com".into(), "pas.windows.net".into()];
        }))
        .exit(17)
        .seen("pas.windows.net, gbl.his.arc.azure.com: the proxy answers 403")
        .remedy("Allow these: pas.windows.net gbl.his.arc.azure.com\n")
        .remedy("{'domainName':'pas.windows.net','port':443},{'domainName':'gbl.his.arc.azure.com','port':443}");

    egress_unresolved "egress.unresolved" =>
        Met::by_doctor(csn(|csn| drop(csn.hosts.insert(PAS.into(), always(named("proxy-503-dns"))))))
            .exit(75)
            .seen("pas.windows.net: the proxy answers 503")
            .seen("X-Squid-Error: ERR_DNS_FAIL 0")
            .remedy("curl -v --proxy http://169.254.0.11:3128 --max-time 20 -I https://pas.windows.net/");

    egress_slow "egress.slow" =>
        Met::by_enroll(short().azure(|azure| drop(azure.routes.insert(PAS.into(), always(HttpAct::Hang)))))
            .exit(75)
            .seen("pas.windows.net: the tunnel opened, then no answer within 10 s")
            .remedy("-I https://pas.windows.net/");

    egress_unreachable "egress.unreachable" =>
        Met::by_doctor(csn(|csn| drop(csn.hosts.insert(PAS.into(), always(HttpAct::EmptyTunnel)))))
            .exit(75)
            .seen("pas.windows.net: curl: (35)")
            .remedy("curl -v --proxy http://169.254.0.11:3128 --max-time 20 -I https://pas.windows.net/");

    egress_untrusted "egress.untrusted" => Met::by_doctor(certificate(Certificate::Untrusted))
        .exit(17)
        .seen("curl: (60)")
        .seen("is issued by CN=Contoso TLS Inspection CA")
        .remedy("openssl s_client -proxy 169.254.0.11:3128 -connect ")
        .remedy("update-ca-certificates");

    egress_no_trust_store "egress.no-trust-store" => Met::by_doctor(quiet())
        .prepared(|vm| vm.write(".nexus/ca.pem", ""))
        .exit(17)
        .seen("curl: (77)")
        .remedy("update-ca-certificates");

    egress_certificate_dates "egress.certificate-dates" => Met::by_doctor(certificate(Certificate::Expired))
        .exit(17)
        .seen("certificate has expired")
        .seen("is issued by CN=Simulated Azure CA")
        .remedy("date -u");

    egress_wrong_name "egress.wrong-name" => Met::by_doctor(certificate(Certificate::WrongName))
        .exit(17)
        .seen("curl: (60)")
        .seen("subject")
        .remedy("openssl x509 -noout -subject -issuer");
}

const PAS: &str = "pas.windows.net";

fn always(act: HttpAct) -> Playbook<HttpAct> {
    Playbook::new().forever(act)
}

fn named(name: &str) -> HttpAct {
    Reply::named(name).act()
}

/// The enrolled VM with another cloud services network.
fn csn(change: impl FnOnce(&mut CsnPlan)) -> Builder {
    quiet().csn(change)
}

fn certificate(form: Certificate) -> Builder {
    quiet().azure(|azure| azure.certificate = form)
}

fn quiet_with(more: &str) -> Builder {
    Vm::new().enrolled().config(&(config() + "proxy:\n  persist: false\n" + more))
}

/// A VM whose run may take two seconds, and so the ten that a request of `enroll` has at least: one that hangs is not
/// retried.
fn short() -> Builder {
    Vm::new().installed().config(&with_windows(&[("boot", "2s")]))
}

/// Runs `enroll` until the windows end, and returns the evidence of every log line with the fault.
fn told(vm: &Vm, fault: &str) -> Vec<String> {
    let run = vm.run(&["enroll"]);
    let lines = run.events("wait.started").len();
    assert!(lines > 0, "{}", run.text());
    let lines = crate::assertions::met(&run, fault);
    lines.iter().map(|line| line["evidence"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn evidence_of_the_same_state_is_constant() {
    let vm =
        with_short_windows().installed().csn(|csn| csn.connect = always(named("proxy-403-envoy"))).start();
    let texts = told(&vm, "proxy.tunnel-refused");
    assert!(texts.len() > 1 && texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
    assert!(texts[0].contains("RBAC: access denied"), "{texts:?}");
    let vm =
        with_short_windows().installed().azure(|azure| azure.certificate = Certificate::Untrusted).start();
    let texts = told(&vm, "egress.untrusted");
    assert!(texts.len() > 1 && texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
}

#[test]
fn a_web_page_for_healthz_is_accepted_while_tokens_are_issued() {
    let page =
        Reply::text(404, "<!doctype html><title>404 Not Found</title>").header("Content-Type", "text/html");
    let vm = with_short_windows().installed().imds(|imds| imds.healthz = always(page.act())).start();
    let run = vm.run(&["enroll"]);
    crate::assertions::assert_enrolled(&vm, &run);
}
