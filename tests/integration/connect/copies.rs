//! Copies of an enrolled VM, and VMs that were only renamed.

use super::expired::CLOUD;
use super::{assert_ended, assert_nothing_undone};

use crate::assertions::{assert_enrolled_as, evidence, with_azure};
use crate::nexus::spec::machine_id;
use crate::nexus::vm::{config, Vm};

const FIRMWARE: &str = "sys/class/dmi/id/product_uuid";

#[test]
fn host_that_was_renamed_after_enrolling_is_not_a_copy() {
    for firmware in [Some("4F1C2D3E-0000-4000-8000-000000000001\n"), None] {
        let vm = Vm::new().hostname("first-name");
        let vm = match firmware {
            Some(id) => vm.file(FIRMWARE, id).start(),
            None => vm.start(),
        };
        assert_enrolled_as("first-name", &vm, &vm.run(&["enroll"]));
        vm.write("etc/hostname", "another-name\n");
        assert_enrolled_as("first-name", &vm, &vm.run(&["enroll"]));
        // A failed run in between keeps the record of the enrollment.
        vm.write(CLOUD, "{\"connected\": true, \"expired\": true}");
        vm.run(&["enroll"]).assert_code(21).assert_last("failed", Some("connected.expired"));
        vm.write(CLOUD, "{\"connected\": true}");
        vm.run(&["enroll"]).assert_code(0);
        vm.run(&["doctor"]).assert_code(0);
        let recorded = vm.record().expect("a record")["vm"].clone();
        assert_eq!(recorded, firmware.map_or(String::new(), |id| id.trim().to_lowercase()));
    }
}

#[test]
fn copy_of_an_enrolled_vm_is_recognised_by_firmware_id() {
    let vm = Vm::new().hostname("golden").file(FIRMWARE, "4f1c2d3e-0000-4000-8000-000000000001\n").start();
    assert_enrolled_as("golden", &vm, &vm.run(&["enroll"]));
    vm.write(FIRMWARE, "4f1c2d3e-0000-4000-8000-000000000002\n");
    vm.write("etc/hostname", "the-copy\n");
    for command in ["enroll", "doctor"] {
        let run = vm.run(&[command]);
        run.assert_code(21);
        assert!(run.stdout.contains("connected.cloned"), "{}", run.text());
    }
    let run = vm.run(&["enroll"]);
    assert!(evidence(&run, "connected.cloned").contains("enrolled as golden, this VM is the-copy"));
    assert_nothing_undone(&vm);
    // The configuration confirms the name.
    vm.write("etc/arc-enroll/config.yaml", &with_azure(&config(), "  resource_name: golden\n"));
    vm.run(&["enroll"]).assert_code(0).assert_last("enrolled", None);
}

#[test]
fn vm_that_is_enrolled_under_its_name_in_azure_is_not_a_copy() {
    let vm = Vm::new().enrolled().file("etc/hostname", "plain-host\n").start();
    vm.run(&["enroll"]).assert_code(0).assert_last("enrolled", None);
}

#[test]
fn working_machine_with_another_name_is_kept_except_at_first_boot() {
    let vm = Vm::new().connected(&machine_id("chosen-by-hand")).start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert!(run.stdout.contains("note: it is enrolled as chosen-by-hand"), "{}", run.text());
    vm.run(&["doctor"]).assert_code(0);
    let fresh = Vm::new().connected(&machine_id("golden")).start();
    let run = fresh.first_boot(&["enroll"]);
    assert_ended(&fresh, &run, "connected.cloned", 21);
    assert_nothing_undone(&fresh);
}
