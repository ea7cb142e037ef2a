//! A VM that azcmagent detects as an Azure VM.

use super::{assert_ended, azure_vm, config, connects};
use crate::assertions::assert_enrolled;
use crate::nexus::spec::Reply;
use crate::nexus::vm::Vm;
use serde_json::json;

#[test]
fn vm_detected_as_azure_vm_is_refused_unless_configured() {
    let vm = azure_vm().start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "agent.azure-vm", 19);
    assert!(vm.system().environment.is_empty(), "{:?}", vm.system());
    assert!(run.stdout.contains("allow_azure_vm"), "{}", run.text());
}

#[test]
fn vm_detected_as_azure_vm_is_connected_when_configured() {
    for is_installed in [false, true] {
        let vm = azure_vm().config(&config("  allow_azure_vm: true\n", 20));
        let vm = if is_installed { vm.installed() } else { vm }.start();
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        assert_eq!(vm.system().environment["MSFT_ARC_TEST"], "true");
        let restarts = vm.calls_of("systemctl restart himdsd.service").len();
        assert_eq!(restarts, usize::from(is_installed), "services look once, at their start");
        assert_eq!(connects(&vm), 1, "it is known before azcmagent refuses");
    }
}

#[test]
fn override_of_an_earlier_run_is_passed_to_azcmagent() {
    let vm = azure_vm()
        .installed()
        .config(&config("  allow_azure_vm: true\n", 20))
        .system(|system| drop(system.environment.insert("MSFT_ARC_TEST".into(), "true".into())))
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(vm.calls_of("systemctl set-environment").is_empty(), "{}", run.text());
}

#[test]
fn connected_machine_skips_the_azure_vm_probe() {
    let instance = Reply::json(200, &json!({"vmId": "1"}));
    let vm = Vm::new().enrolled().imds(|imds| imds.instance = Some(instance)).start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    let doctor = vm.run(&["doctor"]);
    doctor.assert_code(0);
    assert!(doctor.stdout.contains("probe: HTTP 200"), "{}", doctor.text());
}
