//! Machines that were enrolled before: expired, copied, renamed, and what azcmagent says of itself in forms that
//! nobody has seen. Nothing is deleted or disconnected unless the configuration says so.

use serde_json::json;

use crate::assertions::{
    assert_enrolled, assert_enrolled_as, assert_no_secret_left, evidence, met, patient, with_azure,
};
use crate::nexus::run::Run;
use crate::nexus::seen::Seen;
use crate::nexus::spec::{machine, machine_id, GuestPlan, HttpAct, Outcome, Playbook, Reply, VM_NAME};
use crate::nexus::vm::{config, Builder, Vm};

const CLOUD: &str = "var/opt/azcmagent/cloudconfig.json";
/// The id that azcmagent shows on the simulated VM.
const OWN: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
const FIRMWARE: &str = "sys/class/dmi/id/product_uuid";

fn allowed() -> String {
    config() + "repair: {recreate_expired: true}\n"
}

/// The guide's roles in full, which may delete.
fn may_delete(vm: Builder) -> Builder {
    vm.azure(|azure| azure.access.actions = vec!["Microsoft.HybridCompute/machines/*".to_owned()])
}

/// An enrolled VM whose machine has expired, until it is connected anew.
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

fn assert_nothing_undone(vm: &Vm) {
    assert!(vm.calls_of("azcmagent disconnect").is_empty());
    assert!(deletes(vm).is_empty());
}

fn assert_ended(vm: &Vm, run: &Run, code: i32, fault: &str) {
    let outcome = if code == 75 { "waiting" } else { "failed" };
    run.assert_code(code).assert_last(outcome, Some(fault));
    assert_no_secret_left(vm, run);
}

#[test]
fn expired_machine_is_deleted_and_made_again_where_it_is_allowed() {
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
fn expired_machine_stays_where_nothing_allows_to_delete_it() {
    for text in [config(), config() + "repair: {recreate_expired: false}\n"] {
        let vm = expired(Vm::new().config(&text));
        let before = (vm.observed().machines, vm.read(CLOUD));
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, 21, "connected.expired");
        vm.run(&["doctor"]).assert_code(21);
        assert_nothing_undone(&vm);
        assert_eq!((vm.observed().machines, vm.read(CLOUD)), before);
        assert!(vm.calls_of("azcmagent connect").is_empty());
    }
}

#[test]
fn doctor_deletes_nothing_even_where_it_is_allowed() {
    let vm = expired(Vm::new().config(&(allowed() + "proxy: {persist: false}\n")));
    vm.run(&["doctor"]).assert_code(21);
    assert_nothing_undone(&vm);
}

#[test]
fn machine_of_another_target_is_not_deleted_although_it_expired() {
    let other = machine_id(VM_NAME).replace("contoso-nexus-rg", "another-rg");
    for (id, fault) in [(other, "connected.elsewhere"), (machine_id("golden"), "connected.cloned")] {
        let vm = may_delete(Vm::new().connected(&id).config(&allowed())).start();
        vm.write(CLOUD, "{\"connected\": true, \"expired\": true}");
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, 21, fault);
        assert_nothing_undone(&vm);
    }
}

#[test]
fn machine_that_another_vm_uses_by_now_is_not_deleted() {
    let of_another = machine(VM_NAME, "Expired", "99999999-9999-4999-8999-999999999999");
    for known in [of_another, machine(VM_NAME, "Connected", OWN)] {
        let vm = expired(Vm::new().config(&allowed()).azure(|azure| {
            azure.machines.insert(VM_NAME.into(), known.clone());
        }));
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, 21, "connected.cloned");
        assert!(evidence(&run, "connected.cloned").contains("but Azure says"), "{}", run.text());
        assert_nothing_undone(&vm);
        assert_eq!(vm.observed().machines[VM_NAME], known);
    }
}

#[test]
fn name_that_is_none_is_not_put_into_an_address() {
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
fn recreation_that_was_interrupted_between_its_steps_goes_on() {
    let failing =
        Playbook::new().forever(Outcome::fail(63, "Message: dial unix himds.sock: connection refused"));
    let vm = expired(
        Vm::new()
            .config(&(patient(&[("endpoint", "1s")]) + "repair: {recreate_expired: true}\n"))
            .call("azcmagent disconnect", failing),
    );
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, 75, "connected.recreate-failed");
    assert!(evidence(&run, "connected.recreate-failed").contains("AZCM0063"), "{}", run.text());
    assert!(vm.observed().machines.is_empty(), "the first step was done");
    vm.set_guest(&GuestPlan::default());
    assert_enrolled(&vm, &vm.run(&["enroll"]));
}

#[test]
fn refused_deletion_is_the_fault_of_the_right_or_the_lock() {
    let locked = Reply::json(409, &json!({"error": {"code": "ScopeLocked", "message": "it is locked"}}));
    let denied = json!({"error": {"code": "AuthorizationFailed", "message":
        "The client 'x' does not have authorization to perform action 'Microsoft.HybridCompute/machines/delete'"}});
    for (reply, code, fault) in
        [(locked, 20, "access.locked"), (Reply::json(403, &denied), 75, "access.role-missing")]
    {
        let text = patient(&[("access", "1s")]) + "repair: {recreate_expired: true}\n";
        let route = |azure: &mut crate::nexus::spec::AzurePlan| {
            azure.routes.insert("machine.delete".into(), Playbook::new().forever(reply.act()));
        };
        let vm = expired(Vm::new().config(&text).azure(route));
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, code, fault);
        assert!(vm.calls_of("azcmagent disconnect").is_empty(), "nothing is forgotten that is still there");
        assert_eq!(vm.observed().machines.len(), 1);
    }
}

#[test]
fn subscription_that_cannot_be_seen_is_not_taken_for_a_deleted_machine() {
    let unseen = Reply::json(
        404,
        &json!({"error": {"code": "SubscriptionNotFound", "message": "no such subscription"}}),
    );
    let text = patient(&[("access", "1s")]) + "repair: {recreate_expired: true}\n";
    let vm = expired(Vm::new().config(&text).azure(|azure| {
        azure.routes.insert("machine.get".into(), Playbook::new().forever(unseen.act()));
    }));
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, 75, "access.subscription-missing");
    assert_nothing_undone(&vm);
}

#[test]
fn deletion_that_takes_its_time_is_waited_for() {
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
        // A run that fails between keeps what is known.
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
fn copy_of_an_enrolled_vm_is_told_by_its_firmware() {
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
    // The name is right, says a person.
    vm.write("etc/arc-enroll/config.yaml", &with_azure(&config(), "  resource_name: golden\n"));
    vm.run(&["enroll"]).assert_code(0).assert_last("enrolled", None);
}

#[test]
fn vm_that_is_enrolled_under_its_name_in_azure_is_not_a_copy() {
    let vm = Vm::new().enrolled().file("etc/hostname", "plain-host\n").start();
    vm.run(&["enroll"]).assert_code(0).assert_last("enrolled", None);
}

#[test]
fn name_that_this_very_vm_has_taken_is_a_half_made_machine() {
    let taken = Outcome::fail(44, "Message: The resource already exists in Azure");
    let own = json!({"vmId": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"});
    let vm = Vm::new()
        .installed()
        .config(&patient(&[("endpoint", "1s")]))
        .call("azcmagent connect", Playbook::new().forever(taken))
        .call("azcmagent show", Playbook::new().forever(Outcome::Patch(own.clone())))
        .azure(|azure| {
            let own = own["vmId"].as_str().expect("a text");
            azure.machines.insert(VM_NAME.into(), machine(VM_NAME, "Disconnected", own));
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, 75, "connected.half-made");
    assert!(evidence(&run, "connected.half-made").contains("which is this one"), "{}", run.text());
    assert_nothing_undone(&vm);
}

#[test]
fn machine_that_connect_names_itself_is_compared_with_the_target() {
    let other = machine_id(VM_NAME).replace("contoso-nexus-rg", "another-rg");
    let words = format!("FATAL   Message: Machine is already connected to Azure. Resource ID: {other}.\n");
    let vm = Vm::new()
        .installed()
        .call("azcmagent connect", Playbook::new().forever(Outcome::exit(67, &words)))
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, 21, "connected.elsewhere");
    assert!(evidence(&run, "connected.elsewhere").contains(&other), "{}", run.text());
    assert_eq!(vm.calls_of("azcmagent connect").len(), 1);
}

/// A VM whose connect says this and ends so, again and again.
fn saying(code: u8, words: &str) -> Builder {
    Vm::new()
        .installed()
        .config(&patient(&[("endpoint", "1s"), ("token", "1s"), ("access", "1s")]))
        .call("azcmagent connect", Playbook::new().forever(Outcome::exit(code, words)))
}

#[test]
fn words_of_connect_in_any_form_are_passed_on_and_never_a_success() {
    let trailer = "INFO    Exit Code:  AZCM0044: Resource Already Exists\nFATAL   Message: taken\n";
    let logrus = "time=\"2026-11-23T10:00:00Z\" level=fatal msg=\"dial tcp 20.1.2.3:443: connect: network is unreachable\"\n";
    let json = "{\n  \"status\": \"failed\",\n  \"error\": {\n    \"code\": \"AZCM0020\",\n    \"message\": \"no such region\",\n\
                \"recommendedActions\": null\n  }\n}\n";
    for (code, words, fault, shown) in [
        (0, trailer, "connected.name-taken", "taken"),
        (1, json, "agent.configuration-refused", "no such region"),
        (26, logrus, "connected.network", "network is unreachable"),
        (
            42,
            "FATAL[0032] Message: x Code: InternalServerError httpStatusCode:500\n",
            "connected.connect-failed",
            "InternalServerError",
        ),
        (200, "\u{feff}\u{0}\u{7f} Fehler: nichts geht\n", "connected.connect-failed", "nichts geht"),
        (77, "ERROR[0002] cannot use TPM Error=\"no device\"\n", "connected.keys", "no device"),
        (3, "Error: unknown flag: --config\n", "agent.too-old", "unknown flag"),
    ] {
        let vm = saying(code, words).start();
        let run = vm.run(&["enroll"]);
        assert!(run.code.is_some_and(|code| code != 0 && code != 1), "{}", run.text());
        let seen = evidence(&run, fault);
        assert!(seen.contains(shown) && !seen.contains("10:00:00"), "{fault}: {seen}");
        assert!(vm.observed().machines.is_empty());
    }
}

#[test]
fn words_of_show_in_any_form_are_passed_on_and_never_a_success() {
    let id = machine_id(VM_NAME);
    for (words, fault, shown) in [
        (
            "{\"status\":\"failed\",\"error\":{\"code\":\"AZCM0065\"}}".to_owned(),
            "agent.not-answering",
            "AZCM0065",
        ),
        ("Status unbekannt\n".to_owned(), "agent.not-answering", "unbekannt"),
        (
            format!("{{\"status\":\"Quarantined\",\"resourceId\":\"{id}\"}}"),
            "connected.disconnected",
            "Quarantined",
        ),
        (
            format!("Agent status: AwaitingConnection\nResource ID: {id}\n"),
            "connected.disconnected",
            "AwaitingConnection",
        ),
        (format!("{{\"status\":null,\"resourceId\":\"{id}\"}}"), "agent.not-answering", "resourceId"),
    ] {
        let vm = Vm::new()
            .enrolled()
            .config(&patient(&[("endpoint", "1s")]))
            .call("azcmagent show", Playbook::new().forever(Outcome::exit(0, &words)))
            .start();
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, 75, fault);
        assert!(evidence(&run, fault).contains(shown), "{}", run.text());
        assert_nothing_undone(&vm);
    }
}

#[test]
fn connected_without_a_machine_is_not_enrolled() {
    let nothing = "{\"status\":\"Connected\",\"resourceId\":\"\",\"resourceName\":null}";
    let vm = saying(67, "FATAL   Message: Machine is already connected to Azure.\n")
        .call("azcmagent show", Playbook::new().forever(Outcome::exit(0, nothing)))
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, 75, "connected.pending");
    assert!(run.last().to_string().contains("names no resource"), "{}", run.text());
}

fn verbose(vm: &Vm) -> Vec<bool> {
    let calls = vm.calls_of("azcmagent connect");
    calls.iter().map(|call| call.argv.iter().any(|word| word == "--verbose")).collect()
}

#[test]
fn failed_connect_is_told_in_detail_once() {
    let failure = Outcome::fail(26, "Message: dial tcp: i/o timeout");
    let vm = Vm::new().installed().call("azcmagent connect", Playbook::new().times(3, failure)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(verbose(&vm), [false, true, false, false], "the next try of the loop, and only that one");
    assert!(run.events("connect.verbose").is_empty(), "no try was made for it alone");
}

#[test]
fn second_try_for_the_details_counts() {
    let failure = Outcome::fail(23, "Message: something passing");
    let vm = Vm::new().installed().call("azcmagent connect", Playbook::new().once(failure)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(verbose(&vm), [false, true]);
    assert_eq!(run.events("connect.verbose").len(), 1);
    assert!(met(&run, "agent.configuration-refused").is_empty(), "{}", run.text());
}

#[test]
fn run_that_is_verbose_already_has_nothing_to_add() {
    let vm = saying(23, "FATAL   no\n").start();
    let run = vm.run(&["enroll", "-v"]);
    run.assert_code(19);
    assert_eq!(verbose(&vm), [true]);
    assert!(run.events("connect.verbose").is_empty());
}

#[test]
fn machine_that_works_under_another_name_is_left_alone_but_a_fresh_vm_with_one_is_a_copy() {
    let vm = Vm::new().connected(&machine_id("chosen-by-hand")).start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert!(run.stdout.contains("mind that it is enrolled as chosen-by-hand"), "{}", run.text());
    vm.run(&["doctor"]).assert_code(0);
    let fresh = Vm::new().connected(&machine_id("golden")).start();
    let run = fresh.first_boot(&["enroll"]);
    assert_ended(&fresh, &run, 21, "connected.cloned");
    assert_nothing_undone(&fresh);
}
