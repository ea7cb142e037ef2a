//! How the token is passed to azcmagent, and what happens when it is refused.

use super::{assert_ended, config, connecting, connects};

use crate::assertions::{assert_enrolled, met, waits, with_windows};
use crate::nexus::spec::{Outcome, Playbook, VM_NAME};
use crate::nexus::vm::Vm;

#[test]
fn sign_in_prompt_is_detected_at_once() {
    for outcome in [Outcome::DeviceCode, Outcome::IgnoreFileToken] {
        let vm = connecting(Playbook::new().forever(outcome), 20).start();
        let run = vm.run(&["enroll"]);
        assert_ended(&vm, &run, "connected.token-not-taken", 21);
        assert_eq!(connects(&vm), 1, "the same token is not taken a second time either");
        let call = vm.calls_of("azcmagent connect").remove(0);
        assert_eq!(
            call.exit, None,
            "azcmagent was stopped, it did not wait for a person to the end: {call:?}"
        );
        assert!(run.stdout.contains("agent.token"), "{}", run.text());
        assert!(vm.observed().machines.is_empty());
    }
}

#[test]
fn token_is_an_argument_only_when_configured() {
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
fn token_file_is_private_in_memory_and_removed() {
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
fn token_in_azcmagent_output_is_redacted() {
    let vm = Vm::new().call("azcmagent connect", Playbook::new().once(Outcome::EchoToken)).start();
    let run = vm.agent(&["enroll", "-v"]).run();
    assert_enrolled(&vm, &run);
    let told = run.events("connect.output");
    assert!(told.iter().any(|line| line["line"].as_str().is_some_and(|text| text.contains("Bearer ***"))));
}

#[test]
fn token_in_a_failure_is_redacted_in_evidence_and_record() {
    let refusal = "FATAL   cannot use the token {token}: Code: 12\n";
    let vm = connecting(Playbook::new().forever(Outcome::exit(44, refusal)), 20).start();
    let run = vm.agent(&["enroll", "-vv"]).run();
    assert_ended(&vm, &run, "connected.name-taken", 21);
    assert!(vm.record().expect("a record")["evidence"].as_str().is_some_and(|text| text.contains("***")));
}

#[test]
fn refusal_without_a_message_renews_the_token_a_bounded_number_of_times() {
    let vm = connecting(Playbook::new().forever(Outcome::exit(42, "Failed\n")), 20)
        .config(&with_windows(&[("token", "3s")]))
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
    assert_eq!(met(&run, "identity.token-rejected").len(), 1, "{}", run.text());
    assert!(waits(&run, "identity.token-rejected").is_empty(), "{}", run.text());
}
