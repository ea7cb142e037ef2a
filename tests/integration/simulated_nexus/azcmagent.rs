//! The stand-in for azcmagent.

use super::{stand_in, token};

use serde_json::Value;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::nexus::seen::Call;
use crate::nexus::spec::{
    HttpAct, Outcome, Playbook, TokenShape, LOCATION, RESOURCE_GROUP, SUBSCRIPTION, VM_NAME,
};
use crate::nexus::vm::Vm;

fn connect(vm: &Vm, token: &str, more: &str) -> (i32, String) {
    let text = format!(
        "{{\"access-token\": \"{token}\", \"subscription-id\": \"{SUBSCRIPTION}\", \
         \"resource-group\": \"{RESOURCE_GROUP}\", \"location\": \"{LOCATION}\"{more}}}"
    );
    let file = vm.root.join("run/connect.json");
    vm.write("run/connect.json", &text);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(vm.path("run/connect.json"), mode).expect("the mode can be set");
    stand_in(vm, &["azcmagent", "connect", "--config", &file.to_string_lossy()])
}

#[test]
fn azcmagent_connects_through_the_proxy() {
    let vm = Vm::new().installed().start();
    let (code, text) = connect(&vm, &token(&vm), ", \"tags\": \"Stage=test,Owner='two, words',Odd=a\\\\,b\"");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("100% [===============]") && text.contains("Connected machine to Azure"), "{text}");
    let observed = vm.observed();
    let tags = &observed.machines[VM_NAME]["tags"];
    assert_eq!(
        (&tags["Stage"], &tags["Owner"], &tags["Odd"]),
        (&"test".into(), &"two, words".into(), &"a,b".into())
    );
    let call: Call = vm.calls_of("azcmagent connect").remove(0);
    assert!(!call.token_in_argv && !call.token_in_env);
    let file = call.config.expect("the file is recorded");
    assert_eq!((file.mode.as_str(), file.file_system.as_str()), ("600", "tmpfs"));
    assert_eq!(file.content["access-token"], "<token>");
    assert_eq!(vm.leaks(&[]), ["run/connect.json"], "the caller's own file, nothing else");
    let (_, shown) = stand_in(&vm, &["azcmagent", "show", "-j"]);
    let shown: Value = serde_json::from_str(&shown).expect("show -j is JSON");
    assert_eq!(shown["status"], "Connected");
    let (code, text) = connect(&vm, &token(&vm), "");
    assert!(code == 67 && text.contains("AZCM0067") && text.contains(VM_NAME), "{text}");
}

#[test]
fn azcmagent_fails_as_documented() {
    let expired = HttpAct::Token(TokenShape { lifetime_s: Some(-60), ..TokenShape::default() });
    let cases: [(Vm, i32, &str); 6] = [
        (
            Vm::new().installed().imds(|imds| imds.token = Playbook::new().once(expired)).start(),
            42,
            "Expired",
        ),
        (Vm::new().installed().azure(|azure| azure.access.never = true).start(), 42, "Status Code=403"),
        (
            Vm::new().installed().azure(|azure| azure.providers_registered = false).start(),
            42,
            "MissingSubscription",
        ),
        (
            Vm::new().installed().csn(|csn| csn.refused = vec!["management.azure.com".to_owned()]).start(),
            26,
            "management.azure.com/\": Forbidden",
        ),
        (
            Vm::new()
                .installed()
                .call("azcmagent connect", Playbook::new().once(Outcome::HalfMade { azcm: 62 }))
                .start(),
            62,
            "AZCM0062",
        ),
        (
            Vm::new()
                .installed()
                .azure(|azure| {
                    let other = crate::nexus::spec::machine(VM_NAME, "Connected", "another");
                    azure.machines.insert(VM_NAME.to_owned(), other);
                })
                .start(),
            44,
            "AZCM0044",
        ),
    ];
    for (vm, expected, words) in cases {
        let (code, text) = connect(&vm, &token(&vm), "");
        assert!(code == expected && text.contains(words), "expected {expected} {words}, got {code}:\n{text}");
    }
}

#[test]
fn azcmagent_without_a_credential_waits_for_sign_in() {
    let vm = Vm::new().installed().start();
    let mut command = vm.command("azcmagent");
    command.args(["connect", "-s", SUBSCRIPTION, "-g", "x", "-l", "eastus"]).env_clear();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the stand-in runs");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    while !line.contains("To sign in, use a web browser") {
        line.clear();
        assert!(output.read_line(&mut line).expect("it speaks") > 0, "it ends without asking");
    }
    child.kill().expect("it waits still");
    let status = child.wait().expect("it ends");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9),
        "it ended by itself: {status}"
    );
}
