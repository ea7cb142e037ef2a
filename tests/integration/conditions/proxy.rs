//! The CSN proxy: late, absent, refusing, asking for a password.

use crate::assertions::{assert_enrolled, assert_stopped, evidence, met, waits, with_windows};
use crate::nexus::spec::{CsnPlan, HttpAct, Playbook, PortState, Reply};
use crate::nexus::vm::{config, Vm};

#[test]
fn a_late_proxy_is_waited_for() {
    let vm = Vm::new().installed().csn(|csn| csn.port_state = PortState::Closed).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    vm.set_csn(CsnPlan::default());
    let run = going.finish();
    assert_enrolled(&vm, &run);
    assert!(!met(&run, "proxy.refused").is_empty(), "{}", run.text());
}

#[test]
fn a_missing_proxy_ends_with_a_retryable_fault() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| csn.port_state = PortState::Closed)
        .config(&with_windows(&[("endpoint", "1s")]))
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
        .config(&with_windows(&[("endpoint", "1s")]))
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
fn errors_of_the_proxy_are_retried() {
    let bad_gateway = Reply::named("proxy-502").act();
    let vm = Vm::new().installed().csn(|csn| csn.connect = Playbook::new().times(3, bad_gateway)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "proxy.failing").contains("502"), "{}", run.text());
}

#[test]
fn a_server_that_is_not_a_proxy_ends_with_a_retryable_fault() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| csn.connect = Playbook::new().forever(HttpAct::Close))
        .config(&with_windows(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "proxy.broken");
    assert!(run.stdout.contains("always http://169.254.0.11:3128"), "{}", run.text());
}

#[test]
fn a_proxy_name_is_resolved_like_on_the_host() {
    let text = config() + "proxy:\n  url: http://csn.example:3128\n";
    let known = Vm::new().installed().hosts("169.254.0.11 csn.example\n").config(&text).start();
    assert_enrolled(&known, &known.run(&["enroll"]));
    let text = with_windows(&[("endpoint", "1s")]) + "proxy:\n  url: http://csn.example:3128\n";
    let unknown = Vm::new().installed().hosts("127.0.0.1 localhost\n").config(&text).start();
    let run = unknown.run(&["enroll"]);
    assert_stopped(&unknown, &run, 75, "proxy.no-route");
    assert!(evidence(&run, "proxy.no-route").contains("csn.example does not resolve here"), "{}", run.text());
}
