//! Machines whose identity has expired. Nothing is deleted or disconnected unless the configuration says so.

use super::{assert_ended, assert_nothing_undone, connects};
use serde_json::json;

use crate::assertions::{assert_enrolled, assert_no_secret_left, evidence, with_windows};
use crate::nexus::run::Run;
use crate::nexus::seen::Seen;
use crate::nexus::spec::{machine, machine_id, GuestPlan, HttpAct, Outcome, Playbook, Reply, VM_NAME};
use crate::nexus::vm::{config, Builder, Vm};

pub const CLOUD: &str = "var/opt/azcmagent/cloudconfig.json";

/// The id that azcmagent shows on the simulated VM.
const OWN: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";

fn allowed() -> String {
    config() + "repair: {recreate_expired: true}\n"
}

/// The guide's roles with all actions, including delete.
fn may_delete(vm: Builder) -> Builder {
    vm.azure(|azure| azure.access.actions = vec!["Microsoft.HybridCompute/machines/*".to_owned()])
}

/// An enrolled VM whose machine has expired, until it is connected again.
fn expired(vm: Builder) -> Vm {
    let vm = may_delete(vm.enrolled()).azure(|azure| {
        azure.machines.entry(VM_NAME.into()).or_insert_with(|| machine(VM_NAME, "Expired", OWN));
    });
    let vm = vm.start();
    vm.write(CLOUD, "{\"connected\": true, \"expired\": true}");
    vm
}

fn deletes(vm: &Vm) -> Vec<Seen> {
    vm.observed().azure.into_iter().filter(|seen| seen.method == "DELETE").collect()
}

/// Like [`assert_ended`], but allows deletions and disconnects.
fn assert_failed(vm: &Vm, run: &Run, fault: &str, code: i32) {
    let outcome = if code == 75 { "waiting" } else { "failed" };
    run.assert_code(code).assert_last(outcome, Some(fault));
    assert_no_secret_left(vm, run);
}

#[test]
fn expired_machine_is_recreated_when_allowed() {
    let vm = expired(Vm::new().config(&allowed()));
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let deletes = deletes(&vm);
    assert_eq!(deletes.len(), 1, "{deletes:?}");
    assert!(deletes[0].target.starts_with(&format!("{}?", machine_id(VM_NAME))), "{deletes:?}");
    let disconnects = vm.calls_of("azcmagent disconnect");
    assert_eq!(disconnects.len(), 1);
    assert_eq!(disconnects[0].argv, ["disconnect", "--force-local-only"]);
    assert_eq!(vm.calls_of("azcmagent connect").len(), 1);
    assert_eq!(run.events("machine.deleted").len(), 1);
    let repaired = &vm.record().expect("a record")["repairs"];
    assert!(repaired.to_string().contains("removing the Expired Arc machine"), "{repaired}");
}

#[test]
fn expired_machine_is_kept_unless_allowed() {
    for text in [config(), config() + "repair: {recreate_expired: false}\n"] {
        let vm = expired(Vm::new().config(&text));
        let before = (vm.observed().machines, vm.read(CLOUD));
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, "connected.expired", 21);
        vm.run(&["doctor"]).assert_code(21);
        assert_nothing_undone(&vm);
        assert_eq!((vm.observed().machines, vm.read(CLOUD)), before);
        assert!(vm.calls_of("azcmagent connect").is_empty());
    }
}

#[test]
fn doctor_deletes_nothing_even_when_allowed() {
    let vm = expired(Vm::new().config(&(allowed() + "proxy: {persist: false}\n")));
    vm.run(&["doctor"]).assert_code(21);
    assert_nothing_undone(&vm);
}

#[test]
fn expired_machine_of_another_target_is_not_deleted() {
    let other = machine_id(VM_NAME).replace("contoso-nexus-rg", "another-rg");
    for (id, fault) in [(other, "connected.elsewhere"), (machine_id("golden"), "connected.cloned")] {
        let vm = may_delete(Vm::new().connected(&id).config(&allowed())).start();
        vm.write(CLOUD, "{\"connected\": true, \"expired\": true}");
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, fault, 21);
        assert_nothing_undone(&vm);
    }
}

#[test]
fn machine_of_another_vm_is_not_deleted() {
    let of_another = machine(VM_NAME, "Expired", "99999999-9999-4999-8999-999999999999");
    for known in [of_another, machine(VM_NAME, "Connected", OWN)] {
        let vm = expired(Vm::new().config(&allowed()).azure(|azure| {
            azure.machines.insert(VM_NAME.into(), known.clone());
        }));
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, "connected.cloned", 21);
        assert!(evidence(&run, "connected.cloned").contains("but Azure says"), "{}", run.text());
        assert_nothing_undone(&vm);
        assert_eq!(vm.observed().machines[VM_NAME], known);
    }
}

#[test]
fn invalid_machine_name_is_not_put_into_a_url() {
    let members = json!({"status": "Expired", "resourceName": "x/../../y?a", "resourceId": "/x"});
    let vm = may_delete(Vm::new().enrolled().config(&allowed()).hostname("x"))
        .call("azcmagent show", Playbook::new().forever(Outcome::Patch(members)))
        .start();
    let run = vm.run(&["enroll"]);
    assert!(run.code.is_some_and(|code| code > 1), "{}", run.text());
    assert_nothing_undone(&vm);
    assert!(vm.observed().azure.iter().all(|seen| !seen.target.contains("..")));
}

#[test]
fn interrupted_recreation_is_continued() {
    let failing =
        Playbook::new().forever(Outcome::fail(63, "Message: dial unix himds.sock: connection refused"));
    let vm = expired(
        Vm::new()
            .config(&(with_windows(&[("endpoint", "1s")]) + "repair: {recreate_expired: true}\n"))
            .call("azcmagent disconnect", failing),
    );
    let run = vm.run(&["enroll"]);
    assert_failed(&vm, &run, "connected.recreate-failed", 75);
    assert!(evidence(&run, "connected.recreate-failed").contains("AZCM0063"), "{}", run.text());
    assert!(vm.observed().machines.is_empty(), "the first step was done");
    vm.set_guest(&GuestPlan::default());
    assert_enrolled(&vm, &vm.run(&["enroll"]));
}

#[test]
fn refused_deletion_is_a_fault_of_role_or_lock() {
    let locked = Reply::json(409, &json!({"error": {"code": "ScopeLocked", "message": "it is locked"}}));
    let denied = json!({"error": {"code": "AuthorizationFailed", "message":
        "The client 'x' does not have authorization to perform action 'Microsoft.HybridCompute/machines/delete'"}});
    for (reply, code, fault) in
        [(locked, 20, "access.locked"), (Reply::json(403, &denied), 75, "access.role-missing")]
    {
        let text = with_windows(&[("access", "1s")]) + "repair: {recreate_expired: true}\n";
        let route = |azure: &mut crate::nexus::spec::AzurePlan| {
            azure.routes.insert("machine.delete".into(), Playbook::new().forever(reply.act()));
        };
        let vm = expired(Vm::new().config(&text).azure(route));
        let run = vm.run(&["enroll"]);
        assert_failed(&vm, &run, fault, code);
        assert!(
            vm.calls_of("azcmagent disconnect").is_empty(),
            "the state on the VM is kept while the machine exists"
        );
        assert_eq!(vm.observed().machines.len(), 1);
    }
}

#[test]
fn subscription_that_cannot_be_seen_is_not_taken_for_a_deleted_machine() {
    let unseen = Reply::json(
        404,
        &json!({"error": {"code": "SubscriptionNotFound", "message": "no such subscription"}}),
    );
    let text = with_windows(&[("access", "1s")]) + "repair: {recreate_expired: true}\n";
    let vm = expired(Vm::new().config(&text).azure(|azure| {
        azure.routes.insert("machine.get".into(), Playbook::new().forever(unseen.act()));
    }));
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "access.subscription-missing", 75);
    assert_nothing_undone(&vm);
}

#[test]
fn slow_deletion_is_waited_for() {
    let there = HttpAct::Reply(Reply::json(200, &machine(VM_NAME, "Expired", OWN)));
    let vm = expired(Vm::new().config(&allowed()).azure(|azure| {
        azure.routes.insert("machine.get".into(), Playbook::new().times(3, there));
    }));
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let looks = vm
        .observed()
        .azure
        .into_iter()
        .filter(|seen| seen.method == "GET" && seen.target.contains("/machines/"));
    assert!(looks.count() >= 4, "{}", run.text());
}

#[test]
fn expired_machine_is_a_manual_fault() {
    let expired = Outcome::Patch(json!({"status": "Expired"}));
    let vm = Vm::new().enrolled().call("azcmagent show", Playbook::new().forever(expired)).start();
    let machines = vm.observed().machines;
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.expired", 21);
    assert_eq!(connects(&vm), 0);
    assert_eq!(vm.observed().machines, machines);
    assert!(run.stdout.contains("az connectedmachine delete"), "{}", run.text());
}
