//! The `proxy.url` of azcmagent's own configuration.

use super::config;

use crate::assertions::{assert_enrolled, assert_stopped};
use crate::nexus::spec::{Outcome, Playbook};
use crate::nexus::vm::Vm;

#[test]
fn proxy_of_azcmagent_is_set_once() {
    let old = "{\"proxy.url\": \"http://proxy.old.example:8080\"}";
    let vm = Vm::new().installed().file("var/opt/azcmagent/localconfig.json", old).start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let again = vm.run(&["enroll"]);
    again.assert_code(0).assert_last("enrolled", None);
    let set = vm.calls_of("azcmagent config set");
    assert_eq!(set.len(), 1);
    assert_eq!(set[0].argv, ["config", "set", "proxy.url", "http://169.254.0.11:3128"]);
    assert!(vm.read("var/opt/azcmagent/localconfig.json").contains("http://169.254.0.11:3128"));
}

#[test]
fn proxy_that_azcmagent_does_not_show_is_set_once_and_logged() {
    let vm = Vm::new()
        .installed()
        .config(&config(&[], 2))
        .call("azcmagent config set", Playbook::new().forever(Outcome::exit(0, "Config property set\n")))
        .start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert_eq!(vm.calls_of("azcmagent config set").len(), 1, "{}", run.text());
    assert!(!run.events("agent.proxy-unconfirmed").is_empty(), "{}", run.text());
}

#[test]
fn proxy_that_azcmagent_does_not_change_is_set_a_bounded_number_of_times() {
    let other = "http://10.0.0.1:3128\n";
    let vm = Vm::new()
        .installed()
        .config(&config(&[], 2))
        .call("azcmagent config get", Playbook::new().forever(Outcome::exit(0, other)))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 19, "agent.proxy-differs");
    assert!(vm.calls_of("azcmagent config set").len() <= 3, "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}
