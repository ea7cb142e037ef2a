//! Output of `azcmagent show` after connecting.

use super::{assert_ended, assert_nothing_undone, config, connects, saying};
use crate::assertions::{assert_enrolled, evidence, met, with_windows};
use crate::nexus::spec::{machine_id, GuestPlan, Outcome, Playbook, AGENT_VERSION, VM_NAME};
use crate::nexus::vm::Vm;
use serde_json::json;

#[test]
fn empty_show_is_retried() {
    let starting = Outcome::Exit {
        code: 1,
        stdout: "{\"status\":".into(),
        stderr: "time=\"2026-10-09T08:50:00Z\" level=error msg=\"dial unix himds.sock: connect: refused\"\n"
            .into(),
    };
    let shows = Playbook::new().once(Outcome::Usual).times(3, starting);
    let vm = Vm::new().call("azcmagent show", shows).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(connects(&vm), 1);
    assert!(!met(&run, "connected.pending").is_empty(), "{}", run.text());
}

#[test]
fn agent_that_never_reports_connected_is_not_enrolled() {
    let vm = Vm::new()
        .config(&config("", 3))
        .guest(|guest| *guest = GuestPlan { connected_after_shows: u32::MAX, ..GuestPlan::default() })
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.pending", 75);
    assert_eq!(connects(&vm), 1);
    vm.set_guest(&GuestPlan::default());
    let again = vm.run(&["enroll"]);
    assert_enrolled(&vm, &again);
    assert_eq!(connects(&vm), 1, "the machine was connected all the time");
}

#[test]
fn disconnected_machine_is_waited_for_and_never_enrolled_again() {
    let words = json!({"status": "Disconnected", "agentErrorCode": "AZCM0026"});
    let disconnected = Outcome::Patch(words);
    let vm = Vm::new()
        .enrolled()
        .config(&config("", 2))
        .call("azcmagent show", Playbook::new().forever(disconnected.clone()))
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.disconnected", 75);
    assert!(run.last()["message"].as_str().is_some_and(|text| text.contains("AZCM0026")), "{}", run.text());
    let calls = [("azcmagent show".to_owned(), Playbook::new().times(2, disconnected))];
    vm.set_guest(&GuestPlan { calls: calls.into(), ..GuestPlan::default() });
    let again = vm.run(&["enroll"]);
    assert_enrolled(&vm, &again);
    assert_eq!(connects(&vm), 0);
}

#[test]
fn version_of_azcmagent_is_reported() {
    let vm = Vm::new().enrolled().start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0);
    assert!(run.log.contains(AGENT_VERSION), "{}", run.text());
}

#[test]
fn any_output_of_show_is_evidence_and_never_a_success() {
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
            .config(&with_windows(&[("endpoint", "1s")]))
            .call("azcmagent show", Playbook::new().forever(Outcome::exit(0, &words)))
            .start();
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, fault, 75);
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
    assert_ended(&vm, &run, "connected.pending", 75);
    assert!(run.last().to_string().contains("names no resource"), "{}", run.text());
}
