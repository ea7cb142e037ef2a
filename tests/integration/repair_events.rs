use serde_json::Value;

use crate::assertions::{assert_enrolled, with_windows};
use crate::nexus::run::Run;
use crate::nexus::spec::{Outcome, Playbook, Unit};
use crate::nexus::vm::Vm;

fn himds(unit: Unit) -> impl FnOnce(&mut crate::nexus::spec::System) {
    move |system| {
        system.units.insert("himdsd.service".to_owned(), unit);
    }
}

/// The repairs of a fault in the record.
fn repairs(vm: &Vm, fault: &str) -> Vec<Value> {
    let record = vm.record().expect("a record");
    let all = record["repairs"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|repair| repair["fault"] == fault).collect()
}

fn only<'a>(run: &'a Run, event: &str, fault: &str) -> &'a Value {
    let lines: Vec<&Value> = run.events(event).into_iter().filter(|line| line["fault"] == fault).collect();
    assert_eq!(lines.len(), 1, "{event} of {fault}\n{}", run.text());
    lines[0]
}

#[test]
fn a_repair_that_helped_is_logged_with_before_and_after() {
    let vm = Vm::new().installed().system(himds(Unit::stopped())).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let started = only(&run, "repair.started", "agent.service-down");
    assert_eq!(started["action"], "starting azcmagent's services");
    let helped = only(&run, "repair.helped", "agent.service-down");
    assert!(helped["before"].as_str().is_some_and(|text| text.contains("himdsd.service is inactive")));
    assert!(helped["after"].as_str().is_some_and(|text| text.contains("its services run")));
    let kept = repairs(&vm, "agent.service-down");
    assert_eq!((kept.len(), &kept[0]["helped"]), (1, &Value::Bool(true)), "{kept:?}");
    assert!(run.events("repair.without-effect").is_empty(), "{}", run.text());
}

#[test]
fn a_repair_that_does_not_help_is_logged_and_bounded() {
    let vm = Vm::new()
        .installed()
        .system(himds(Unit::failed()))
        .call("systemctl start", Playbook::new().forever(Outcome::exit(0, "")))
        .config(&with_windows(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    run.assert_code(75).assert_last("waiting", Some("agent.service-down"));
    let lines = run.events("repair.without-effect");
    assert!(!lines.is_empty() && lines.len() <= 2, "as often as its bound allows\n{}", run.text());
    for line in lines {
        assert!(line["before"].as_str().is_some_and(|text| text.contains("failed")), "{line}");
        assert!(line["after"].as_str().is_some_and(|text| text.contains("failed")), "{line}");
    }
    assert!(run.stdout.contains("starting azcmagent's services has not helped"), "{}", run.text());
    assert!(repairs(&vm, "agent.service-down").iter().all(|repair| repair["helped"] == false));
    assert_eq!(vm.calls_of("systemctl start himdsd.service").len(), 2, "{}", run.text());
    assert!(vm.calls_of("systemctl restart").is_empty(), "a restart is not this fault's remedy");
}

#[test]
fn services_are_not_restarted_without_cause() {
    let vm = Vm::new().installed().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert!(vm.calls_of("systemctl restart").is_empty());
    assert!(vm.calls_of("systemctl start himdsd.service").is_empty());
    assert!(vm.calls_of("azcmagent disconnect").is_empty());
}
