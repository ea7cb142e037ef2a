//! The clock against that of the sidecar.

use crate::assertions::{assert_enrolled, assert_stopped, evidence, with_windows};
use crate::nexus::spec::ImdsPlan;
use crate::nexus::vm::Vm;

#[test]
fn a_skewed_clock_is_a_fault_after_the_time_service_ran() {
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.clock_offset_s = 600)
        .config(&with_windows(&[("endpoint", "2s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 14, "clock.skewed");
    assert!(evidence(&run, "clock.skewed").contains("about 600 s behind the sidecar's"), "{}", run.text());
    assert_eq!(run.events("repair.started").iter().filter(|line| line["fault"] == "clock.skewed").count(), 1);
    assert!(vm.observed().tokens.is_empty());
}

#[test]
fn a_corrected_clock_is_observed() {
    let vm = Vm::new().installed().imds(|imds| imds.clock_offset_s = -600).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    vm.set_imds(ImdsPlan::default());
    let run = going.finish();
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "clock.skewed").contains("about 600 s ahead of"), "{}", run.text());
}
