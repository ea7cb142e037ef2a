//! A VM or a name that is already connected: to this target, to another one, or by another machine.

use super::{assert_ended, blank, connects, elsewhere};
use crate::assertions::{assert_enrolled, evidence};
use crate::nexus::spec::{machine, machine_id, Outcome, Playbook, VM_NAME};
use crate::nexus::vm::Vm;

#[test]
fn name_of_another_machine_is_left_alone() {
    let other = machine(VM_NAME, "Connected", "99999999-9999-4999-8999-999999999999");
    let vm = Vm::new()
        .azure(|azure| {
            azure.machines.insert(VM_NAME.into(), other.clone());
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.name-taken", 21);
    assert_eq!(vm.observed().machines[VM_NAME], other);
    assert_eq!(connects(&vm), 2, "the second time verbosely");
    assert!(run.stdout.contains("az connectedmachine show"), "{}", run.text());
    let known =
        "contoso-vm-01 that is Connected since 2026-10-09T08:50:00.0000000Z, of the VM with id 99999999-";
    assert!(evidence(&run, "connected.name-taken").contains(known), "{}", run.text());
}

#[test]
fn already_connected_to_this_target_is_success() {
    let vm = Vm::new().enrolled().call("azcmagent show", blank(2)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(vm.calls_of("azcmagent connect")[0].exit, Some(67));
}

#[test]
fn already_connected_elsewhere_is_never_moved() {
    for shows in [0, 2] {
        let vm = Vm::new().connected(&elsewhere()).call("azcmagent show", blank(shows)).start();
        let before = vm.read("var/opt/azcmagent/agentconfig.json");
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, "connected.elsewhere", 21);
        assert_eq!(connects(&vm), usize::from(shows > 0));
        assert_eq!(vm.read("var/opt/azcmagent/agentconfig.json"), before);
        assert!(run.last().to_string().contains("another-rg"), "{}", run.text());
    }
}

#[test]
fn letter_case_of_the_target_does_not_matter() {
    let id = machine_id(VM_NAME).replace("contoso-nexus-rg", "CONTOSO-Nexus-RG");
    let vm = Vm::new().connected(&id).start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert_eq!(connects(&vm), 0);
}

#[test]
fn machine_named_by_connect_is_compared_with_the_target() {
    let other = machine_id(VM_NAME).replace("contoso-nexus-rg", "another-rg");
    let words = format!("FATAL   Message: Machine is already connected to Azure. Resource ID: {other}.\n");
    let vm = Vm::new()
        .installed()
        .call("azcmagent connect", Playbook::new().forever(Outcome::exit(67, &words)))
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.elsewhere", 21);
    assert!(evidence(&run, "connected.elsewhere").contains(&other), "{}", run.text());
    assert_eq!(vm.calls_of("azcmagent connect").len(), 1);
}
