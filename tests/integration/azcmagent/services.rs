//! Services of azcmagent that are stopped, failing or masked.

use super::config;

use crate::assertions::{assert_enrolled, assert_stopped};
use crate::nexus::spec::{Outcome, Playbook, Unit, SERVICES};
use crate::nexus::vm::{self, Vm};

/// azcmagent is there, with its services in this state.
fn with_services(unit: &Unit) -> vm::Builder {
    Vm::new().installed().system(|system| {
        for name in SERVICES {
            system.units.insert(name.to_owned(), unit.clone());
        }
    })
}

#[test]
fn stopped_services_are_started() {
    for unit in [Unit::stopped(), Unit::failed()] {
        let vm = with_services(&unit).start();
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        let units = vm.system().units;
        assert!(SERVICES.iter().all(|name| units[*name].active == "active"), "{units:?}");
        assert_eq!(vm.calls_of("systemctl start himdsd.service").len(), 1);
    }
}

#[test]
fn service_that_does_not_start_is_retried_and_named() {
    let failed = Outcome::exit(1, "Job for himdsd.service failed because the control process exited.\n");
    let vm = with_services(&Unit::failed())
        .config(&config(&[], 2))
        .call("systemctl start himdsd.service", Playbook::new().forever(failed))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "agent.service-down");
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn masked_service_is_a_manual_fault() {
    let masked = Unit { load: "masked".into(), file: "masked".into(), ..Unit::stopped() };
    let vm = with_services(&masked).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 19, "agent.service-masked");
    for verb in ["start", "restart", "unmask", "enable"] {
        let calls = vm.calls_of(&format!("systemctl {verb}"));
        assert!(calls.iter().all(|call| call.call.ends_with(" arc-enroll.timer")), "{calls:?}");
    }
    assert!(vm.calls_of("azcmagent connect").is_empty());
}
