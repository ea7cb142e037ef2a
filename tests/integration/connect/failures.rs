//! Failures of `azcmagent connect`, by exit code and by output.

use super::{assert_ended, assert_nothing_undone, connecting, connects, saying};
use crate::assertions::{assert_enrolled, evidence, met, with_windows};
use crate::nexus::spec::{machine, Outcome, Playbook, SUBSCRIPTION, VM_NAME};
use crate::nexus::vm::Vm;
use serde_json::json;

#[test]
fn network_error_of_connect_is_retried() {
    let failure = Outcome::fail(26, "Message: Get \"https://gbl.his.arc.azure.com/\": dial tcp: i/o timeout");
    let vm = connecting(Playbook::new().times(2, failure), 30).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(connects(&vm), 3);
    assert!(!met(&run, "connected.network").is_empty(), "{}", run.text());
}

#[test]
fn incomplete_machine_is_completed_by_connecting_again() {
    for azcm in [62, 81] {
        let vm = connecting(Playbook::new().once(Outcome::HalfMade { azcm }), 3).start();
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        assert_eq!(connects(&vm), 2);
        assert!(!met(&run, "connected.half-made").is_empty(), "{}", run.text());
    }
}

#[test]
fn incomplete_machine_is_completed_by_the_next_run() {
    let vm = connecting(Playbook::new().times(2, Outcome::HalfMade { azcm: 62 }), 1).start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.half-made", 75);
    let again = vm.run(&["enroll"]);
    assert_enrolled(&vm, &again);
}

#[test]
fn connect_that_hangs_is_stopped() {
    let vm = Vm::new()
        .installed()
        .config(&with_windows(&[("boot", "3s")]))
        .call(
            "azcmagent connect",
            Playbook::new().forever(Outcome::Hang { stdout: "INFO    Connecting\n".into() }),
        )
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.connect-timeout", 75);
    assert!(run.last()["message"].as_str().is_some_and(|text| text.contains("Connecting")), "{}", run.text());
    let pid = vm.calls_of("azcmagent connect")[0].pid;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "azcmagent is gone");
}

#[test]
fn connect_success_without_a_machine_is_a_fault() {
    for words in ["INFO    Connected machine to Azure\n", "", "\u{feff}{\"resourceId\": 7}\n"] {
        let vm = connecting(Playbook::new().forever(Outcome::exit(0, words)), 2).start();
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, "connected.pending", 75);
        assert!(vm.observed().machines.is_empty());
    }
}

#[test]
fn unknown_failure_has_its_output_as_evidence() {
    let vm =
        connecting(Playbook::new().forever(Outcome::exit(199, "FATAL   the flux capacitor is empty\n")), 2)
            .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.connect-failed", 75);
    assert!(run.last().to_string().contains("flux capacitor"), "{}", run.text());
}

#[test]
fn refused_settings_are_a_manual_fault() {
    for code in [16, 20, 23, 27, 102] {
        let vm = connecting(Playbook::new().forever(Outcome::fail(code, "no such region")), 2).start();
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, "agent.configuration-refused", 19);
        assert_eq!(connects(&vm), 2, "the second time verbosely");
    }
}

#[test]
fn agent_that_does_not_answer_is_restarted() {
    let failure = Outcome::fail(61, "Message: dial unix himds.sock: connection refused");
    let vm = connecting(Playbook::new().once(failure), 20).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(vm.calls_of("systemctl restart himdsd.service").len(), 1);
}

#[test]
fn azure_error_message_overrides_the_exit_code() {
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    for (words, fault, code) in [
        (
            format!("Message: scope {scope} is locked. Code: ScopeLocked httpStatusCode:409"),
            "access.locked",
            20,
        ),
        ("Code: RequestDisallowedByPolicy httpStatusCode:403".to_owned(), "access.policy", 20),
        (
            "Message: No indication of Private Link Scope but found private endpoint x".to_owned(),
            "connected.private-link",
            21,
        ),
    ] {
        let vm = connecting(Playbook::new().forever(Outcome::fail(42, &words)), 2).start();
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, fault, code);
    }
}

#[test]
fn name_taken_by_this_vm_is_an_incomplete_machine() {
    let taken = Outcome::fail(44, "Message: The resource already exists in Azure");
    let own = json!({"vmId": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"});
    let vm = Vm::new()
        .installed()
        .config(&with_windows(&[("endpoint", "1s")]))
        .call("azcmagent connect", Playbook::new().forever(taken))
        .call("azcmagent show", Playbook::new().forever(Outcome::Patch(own.clone())))
        .azure(|azure| {
            let own = own["vmId"].as_str().expect("a text");
            azure.machines.insert(VM_NAME.into(), machine(VM_NAME, "Disconnected", own));
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.half-made", 75);
    assert!(evidence(&run, "connected.half-made").contains("which is this one"), "{}", run.text());
    assert_nothing_undone(&vm);
}

#[test]
fn any_output_of_connect_is_evidence_and_never_a_success() {
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

fn verbose(vm: &Vm) -> Vec<bool> {
    let calls = vm.calls_of("azcmagent connect");
    calls.iter().map(|call| call.argv.iter().any(|word| word == "--verbose")).collect()
}

#[test]
fn failed_connect_is_repeated_verbosely_once() {
    let failure = Outcome::fail(26, "Message: dial tcp: i/o timeout");
    let vm = Vm::new().installed().call("azcmagent connect", Playbook::new().times(3, failure)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(verbose(&vm), [false, true, false, false], "the next try of the loop, and only that one");
    assert!(run.events("connect.verbose").is_empty(), "no try was made for it alone");
}

#[test]
fn success_of_the_verbose_attempt_counts() {
    let failure = Outcome::fail(23, "Message: something passing");
    let vm = Vm::new().installed().call("azcmagent connect", Playbook::new().once(failure)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(verbose(&vm), [false, true]);
    assert_eq!(run.events("connect.verbose").len(), 1);
    assert!(met(&run, "agent.configuration-refused").is_empty(), "{}", run.text());
}

#[test]
fn verbose_run_is_not_repeated() {
    let vm = saying(23, "FATAL   no\n").start();
    let run = vm.run(&["enroll", "-v"]);
    run.assert_code(19);
    assert_eq!(verbose(&vm), [true]);
    assert!(run.events("connect.verbose").is_empty());
}
