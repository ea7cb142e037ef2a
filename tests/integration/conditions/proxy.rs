use crate::assertions::{assert_enrolled, assert_stopped, evidence, met, patient, waits};
use crate::nexus::spec::{Certificate, CsnPlan, Door, HttpAct, Playbook, Reply};
use crate::nexus::vm::{config, Vm};

#[test]
fn a_proxy_that_comes_up_late_is_waited_for() {
    let vm = Vm::new().installed().csn(|csn| csn.door = Door::Closed).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    vm.set_csn(CsnPlan::default());
    let run = going.finish();
    assert_enrolled(&vm, &run);
    assert!(!met(&run, "proxy.refused").is_empty(), "{}", run.text());
}

#[test]
fn a_proxy_that_never_comes_up_is_not_yet() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| csn.door = Door::Closed)
        .config(&patient(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "proxy.refused");
    assert!(evidence(&run, "proxy.refused").contains("169.254.0.11:3128"), "{}", run.text());
    assert!(run.stdout.contains("cloudServicesNetworkAttachment"), "{}", run.text());
    assert!(vm.observed().tokens.is_empty(), "no token is asked for that could not be used");
}

#[test]
fn a_proxy_that_refuses_every_tunnel_names_the_default_egress_endpoints() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| {
            csn.default_egress = false;
            csn.additional.clear();
        })
        .config(&patient(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 15, "proxy.tunnel-refused");
    let text = evidence(&run, "proxy.tunnel-refused");
    assert!(
        text.contains("management.azure.com: 403") && text.contains("login.microsoftonline.com: 403"),
        "{text}"
    );
    assert!(run.stdout.contains("--enable-default-egress-endpoints True"), "{}", run.text());
    assert!(!waits(&run, "proxy.tunnel-refused").is_empty(), "the setting may be on its way");
}

#[test]
fn egress_that_is_opened_within_the_window_is_used() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| {
            let denied = Reply::text(403, "denied").header("X-Squid-Error", "ERR_ACCESS_DENIED 0");
            csn.connect = Playbook::new().lasting(std::time::Duration::from_millis(1500), denied.act());
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(!met(&run, "proxy.tunnel-refused").is_empty(), "{}", run.text());
}

#[test]
fn one_refused_endpoint_is_named_with_what_to_add() {
    let name = "gbl.his.arc.azure.com";
    let vm = Vm::new()
        .installed()
        .csn(|csn| csn.refused = vec![name.to_owned()])
        .config(&patient(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 17, "egress.refused");
    let text = evidence(&run, "egress.refused");
    assert!(text.contains(name) && text.contains("403") && !text.contains("management.azure.com"), "{text}");
    assert!(run.stdout.contains(&format!("Allow these: {name}\n")), "{}", run.text());
    assert!(run.stdout.contains(&format!("{{'domainName':'{name}','port':443}}")), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn the_package_source_counts_as_an_endpoint_only_while_it_is_needed() {
    let refused = || Vm::new().csn(|csn| csn.additional.clear()).config(&patient(&[("endpoint", "1s")]));
    let vm = refused().start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 17, "egress.refused");
    assert!(evidence(&run, "egress.refused").contains("packages.microsoft.com"), "{}", run.text());
    assert!(vm.calls_of("apt-get").is_empty());
    let vm = refused().installed().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
}

#[test]
fn a_proxy_that_asks_for_a_password_ends_the_run_at_once() {
    let vm = Vm::new().installed().csn(|csn| csn.credentials = Some("user:word".to_owned())).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 15, "proxy.authentication");
    assert!(waits(&run, "proxy.authentication").is_empty());
    assert_eq!(vm.observed().csn.len(), 1);
    assert!(run.stdout.contains("proxy.url"), "{}", run.text());
}

#[test]
fn wrong_credentials_for_the_proxy_end_the_run_without_being_shown() {
    let text = config() + "proxy:\n  url: http://user:not-the-word@169.254.0.11:3128\n";
    let vm =
        Vm::new().installed().csn(|csn| csn.credentials = Some("user:word".to_owned())).config(&text).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 15, "proxy.authentication");
    assert!(!run.text().contains("not-the-word"), "{}", run.text());
    assert!(!vm.read("var/lib/arc-enroll/status.json").contains("not-the-word"));
}

#[test]
fn errors_of_the_proxy_itself_are_waited_for() {
    let bad_gateway = Reply::named("proxy-502").act();
    let vm = Vm::new().installed().csn(|csn| csn.connect = Playbook::new().times(3, bad_gateway)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "proxy.failing").contains("502"), "{}", run.text());
}

#[test]
fn a_proxy_that_is_no_http_proxy_is_not_yet() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| csn.connect = Playbook::new().forever(HttpAct::Close))
        .config(&patient(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "proxy.broken");
    assert!(run.stdout.contains("always http://169.254.0.11:3128"), "{}", run.text());
}

#[test]
fn a_tunnel_that_leads_nowhere_is_tried_again() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| {
            let playbook = Playbook::new().once(HttpAct::EmptyTunnel);
            csn.hosts.insert("pas.windows.net".to_owned(), playbook);
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "egress.unreachable").contains("pas.windows.net"), "{}", run.text());
}

/// A certificate that curl does not accept, and why.
fn assert_untrusted(certificate: Certificate, fault: &str, issuer: &str) {
    let vm = Vm::new()
        .installed()
        .azure(|azure| azure.certificate = certificate)
        .config(&patient(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 17, fault);
    let text = evidence(&run, fault);
    assert!(text.contains(&format!("is issued by CN={issuer}")), "{text}");
    assert!(run.stdout.contains("openssl s_client -proxy 169.254.0.11:3128"), "{}", run.text());
    assert!(vm.observed().tokens.is_empty(), "no token is asked for while TLS is in doubt");
}

#[test]
fn an_intercepting_authority_is_a_fault_that_says_so() {
    assert_untrusted(Certificate::Untrusted, "egress.untrusted", "Contoso TLS Inspection CA");
}

#[test]
fn an_expired_certificate_is_not_trusted() {
    assert_untrusted(Certificate::Expired, "egress.certificate-dates", "Simulated Azure CA");
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    assert_untrusted(Certificate::WrongName, "egress.wrong-name", "Simulated Azure CA");
}

#[test]
fn a_proxy_known_by_name_is_looked_up_as_the_host_does() {
    let text = config() + "proxy:\n  url: http://csn.example:3128\n";
    let known = Vm::new().installed().hosts("169.254.0.11 csn.example\n").config(&text).start();
    assert_enrolled(&known, &known.run(&["enroll"]));
    let text = patient(&[("endpoint", "1s")]) + "proxy:\n  url: http://csn.example:3128\n";
    let unknown = Vm::new().installed().hosts("127.0.0.1 localhost\n").config(&text).start();
    let run = unknown.run(&["enroll"]);
    assert_stopped(&unknown, &run, 75, "proxy.no-route");
    assert!(evidence(&run, "proxy.no-route").contains("csn.example does not resolve here"), "{}", run.text());
}
