//! Failure playbooks of `azcmagent connect` and `azcmagent show`: what each outcome leads to, and that an
//! enrolled machine is never moved, nor enrolled anew.

/// Expired machines, and copies of a VM.
mod expired;

use std::time::Duration;

use serde_json::json;

use crate::assertions::{assert_enrolled, assert_no_secret_left, evidence, met, patient};
use crate::nexus::run::Run;
use crate::nexus::spec::{
    machine, machine_id, GuestPlan, Outcome, Playbook, Reply, AGENT_VERSION, SUBSCRIPTION, VM_NAME,
};
use crate::nexus::vm::{Builder, Vm};

/// The usual configuration with more lines for azcmagent, and this many seconds of patience.
fn config(lines: &str, endpoint: u32) -> String {
    patient(&[("endpoint", &format!("{endpoint}s"))]).replace("agent:\n", &format!("agent:\n{lines}"))
}

/// A VM with azcmagent, whose connect goes like this, with this many seconds of patience.
fn connecting(playbook: Playbook<Outcome>, endpoint: u32) -> Builder {
    Vm::new().installed().config(&config("", endpoint)).call("azcmagent connect", playbook)
}

fn connects(vm: &Vm) -> usize {
    vm.calls_of("azcmagent connect").len()
}

/// The run ended with this fault; nothing was disconnected or deleted for it.
fn assert_ended(vm: &Vm, run: &Run, fault: &str, code: i32) {
    let outcome = if code == 75 { "waiting" } else { "failed" };
    run.assert_code(code).assert_last(outcome, Some(fault));
    let record = vm.record().expect("a record was written");
    let told = (&record["outcome"], &record["fault"], &record["exit_code"]);
    assert_eq!(told, (&outcome.into(), &fault.into(), &code.into()));
    assert_no_secret_left(vm, run);
    assert_nothing_undone(vm);
}

fn assert_nothing_undone(vm: &Vm) {
    assert!(vm.calls_of("azcmagent disconnect").is_empty());
    assert!(vm.observed().azure.iter().all(|seen| seen.method != "DELETE"));
}

/// Another machine group than the one that the configuration names.
fn elsewhere() -> String {
    machine_id(VM_NAME).replace("contoso-nexus-rg", "another-rg")
}

#[test]
fn token_that_is_not_taken_is_noticed_at_once() {
    for outcome in [Outcome::DeviceCode, Outcome::IgnoreFileToken] {
        let vm = connecting(Playbook::new().forever(outcome), 20).start();
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, "connected.token-not-taken", 21);
        assert!(run.elapsed < Duration::from_secs(20), "{:?}", run.elapsed);
        assert_eq!(connects(&vm), 1, "the same token is not taken a second time either");
        assert!(run.stdout.contains("agent.token"), "{}", run.text());
        assert!(vm.observed().machines.is_empty());
    }
}

#[test]
fn token_as_an_argument_is_there_when_it_is_asked_for_and_nowhere_else() {
    let vm = Vm::new()
        .config(&config("  token: argument\n", 20))
        .call("azcmagent connect", Playbook::new().forever(Outcome::IgnoreFileToken))
        .start();
    let run = vm.agent(&["enroll", "-vv"]).run();
    run.assert_code(0).assert_last("enrolled", None);
    assert_eq!(vm.leaks(&[&run]), Vec::<String>::new());
    let call = &vm.calls_of("azcmagent connect")[0];
    assert!(call.token_in_argv, "{call:?}");
    let content = &call.config.as_ref().expect("the rest is in a file").content;
    assert!(content.get("access-token").is_none(), "{content}");
    let started = run.events("command.started");
    let shown =
        started.iter().find_map(|line| line["command"].as_str().filter(|text| text.contains("connect")));
    assert!(shown.is_some_and(|text| text.contains("--access-token ***")), "{shown:?}");
}

#[test]
fn token_in_a_file_is_private_in_memory_and_gone() {
    let vm = Vm::new().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let call = &vm.calls_of("azcmagent connect")[0];
    let file = call.config.as_ref().expect("a file");
    assert_eq!((file.mode.as_str(), file.file_system.as_str()), ("600", "tmpfs"));
    assert!(!call.token_in_argv && !call.token_in_env);
    assert_eq!(file.content["access-token"], "<token>");
    assert_eq!(file.content["resource-name"], VM_NAME);
    assert_eq!(file.content["correlation-id"], run.last()["run_id"]);
}

#[test]
fn token_in_azcmagents_own_words_is_masked() {
    let vm = Vm::new().call("azcmagent connect", Playbook::new().once(Outcome::EchoToken)).start();
    let run = vm.agent(&["enroll", "-v"]).run();
    assert_enrolled(&vm, &run);
    let told = run.events("connect.output");
    assert!(told.iter().any(|line| line["line"].as_str().is_some_and(|text| text.contains("Bearer ***"))));
}

#[test]
fn token_in_the_words_of_a_failure_is_masked_in_evidence_and_record() {
    let refusal = "FATAL   cannot use the token {token}: Code: 12\n";
    let vm = connecting(Playbook::new().forever(Outcome::exit(44, refusal)), 20).start();
    let run = vm.agent(&["enroll", "-vv"]).run();
    assert_ended(&vm, &run, "connected.name-taken", 21);
    assert!(vm.record().expect("a record")["evidence"].as_str().is_some_and(|text| text.contains("***")));
}

#[test]
fn network_error_of_connect_is_tried_again() {
    let failure = Outcome::fail(26, "Message: Get \"https://gbl.his.arc.azure.com/\": dial tcp: i/o timeout");
    let vm = connecting(Playbook::new().times(2, failure), 30).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(connects(&vm), 3);
    assert!(!met(&run, "connected.network").is_empty(), "{}", run.text());
}

#[test]
fn refusal_without_words_is_answered_with_a_new_token_a_bounded_number_of_times() {
    let vm = connecting(Playbook::new().forever(Outcome::exit(42, "Failed\n")), 20)
        .config(&patient(&[("token", "3s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "identity.token-rejected", 75);
    let tokens = vm.observed().tokens.len();
    assert!((2..=6).contains(&tokens), "{tokens} tokens\n{}", run.text());
    assert!(connects(&vm) <= tokens, "every try has a token of its own");
}

#[test]
fn rejected_token_is_replaced_at_once() {
    let failure = Outcome::fail(12, "Message: The access token is invalid. Code: ExpiredAuthenticationToken");
    let vm = connecting(Playbook::new().once(failure), 20).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!((vm.observed().tokens.len(), connects(&vm)), (2, 2));
    assert!(run.elapsed < Duration::from_secs(15), "{:?}", run.elapsed);
}

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

/// `azcmagent show` as it is before himds has read its state, so many times.
fn blank(times: u32) -> Playbook<Outcome> {
    let members = json!({
        "resourceId": "", "resourceName": "", "subscriptionId": "", "resourceGroup": "", "status": "Disconnected"
    });
    Playbook::new().times(times, Outcome::Patch(members))
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
fn half_made_machine_is_finished_by_connecting_again() {
    for azcm in [62, 81] {
        let vm = connecting(Playbook::new().once(Outcome::HalfMade { azcm }), 3).start();
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        assert_eq!(connects(&vm), 2);
        assert!(!met(&run, "connected.half-made").is_empty(), "{}", run.text());
    }
}

#[test]
fn machine_that_stays_half_made_is_finished_by_the_next_run() {
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
        .config(&patient(&[("boot", "3s")]))
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
fn show_is_asked_until_it_says_something() {
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
fn agent_that_never_says_connected_is_not_yet_enrolled() {
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
fn expired_machine_is_a_persons_decision() {
    let expired = Outcome::Patch(json!({"status": "Expired"}));
    let vm = Vm::new().enrolled().call("azcmagent show", Playbook::new().forever(expired)).start();
    let machines = vm.observed().machines;
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.expired", 21);
    assert_eq!(connects(&vm), 0);
    assert_eq!(vm.observed().machines, machines);
    assert!(run.stdout.contains("az connectedmachine delete"), "{}", run.text());
}

#[test]
fn disconnected_machine_is_waited_for_and_never_enrolled_anew() {
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

fn azure_vm() -> Builder {
    let instance = Reply::json(200, &json!({"azEnvironment": "AzurePublicCloud", "vmId": "1"}));
    Vm::new().imds(|imds| imds.instance = Some(instance))
}

#[test]
fn vm_that_passes_for_an_azure_vm_is_refused_unless_configured() {
    let vm = azure_vm().start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "agent.azure-vm", 19);
    assert!(vm.system().environment.is_empty(), "{:?}", vm.system());
    assert!(run.stdout.contains("allow_azure_vm"), "{}", run.text());
}

#[test]
fn vm_that_passes_for_an_azure_vm_is_connected_when_configured() {
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
fn override_of_an_earlier_run_holds_for_azcmagent_too() {
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
fn machine_that_is_connected_was_not_refused_whatever_the_sidecar_answers() {
    let instance = Reply::json(200, &json!({"vmId": "1"}));
    let vm = Vm::new().enrolled().imds(|imds| imds.instance = Some(instance)).start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    let doctor = vm.run(&["doctor"]);
    doctor.assert_code(0);
    assert!(doctor.stdout.contains("probe: HTTP 200"), "{}", doctor.text());
}

#[test]
fn success_that_connects_nothing_is_not_believed() {
    for words in ["INFO    Connected machine to Azure\n", "", "\u{feff}{\"resourceId\": 7}\n"] {
        let vm = connecting(Playbook::new().forever(Outcome::exit(0, words)), 2).start();
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, "connected.pending", 75);
        assert!(vm.observed().machines.is_empty());
    }
}

#[test]
fn failure_of_an_unknown_kind_is_passed_on_in_its_own_words() {
    let vm =
        connecting(Playbook::new().forever(Outcome::exit(199, "FATAL   the flux capacitor is empty\n")), 2)
            .start();
    let run = vm.run(&["enroll"]);
    assert_ended(&vm, &run, "connected.connect-failed", 75);
    assert!(run.last().to_string().contains("flux capacitor"), "{}", run.text());
}

#[test]
fn settings_that_azcmagent_refuses_are_for_a_person() {
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
fn words_of_azure_decide_over_the_number() {
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
fn version_of_azcmagent_is_said() {
    let vm = Vm::new().enrolled().start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0);
    assert!(run.log.contains(AGENT_VERSION), "{}", run.text());
}
