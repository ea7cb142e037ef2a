//! `doctor`: what it reports, that it changes nothing, and that it ends if nothing answers, without root, without
//! curl.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::assertions::{assert_enrolled, with_windows};
use crate::catalogue::machine::quiet;
use crate::file_systems::without;
use crate::nexus::run::{Mode, Run};
use crate::nexus::spec::{HttpAct, Outcome, Playbook, PortState, Unit};
use crate::nexus::vm::{self, agent_program, config, Vm, CONFIG};

fn hang() -> Playbook<Outcome> {
    Playbook::new().forever(Outcome::Hang { stdout: String::new() })
}

fn silent() -> Playbook<HttpAct> {
    Playbook::new().forever(HttpAct::Hang)
}

fn conditions(run: &Run) -> BTreeMap<String, Value> {
    let value: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
    let list = value["conditions"].as_array().cloned().unwrap_or_default();
    list.into_iter()
        .map(|entry| (entry["condition"].as_str().unwrap_or_default().to_owned(), entry))
        .collect()
}

/// The stand-ins hang for ever. `tests/bench/run` measures how long doctor takes then.
#[test]
fn doctor_ends_when_everything_hangs_and_changes_nothing() {
    let vm = Vm::new()
        .enrolled()
        .silent_dns()
        .imds(|imds| (imds.healthz, imds.token) = (silent(), silent()))
        .csn(|csn| csn.connect = silent())
        .call("azcmagent show", Playbook::new().forever(Outcome::Deaf { stdout: String::new() }))
        .call("azcmagent version", hang())
        .call("azcmagent check", hang())
        .call("azcmagent config get", hang())
        .call("azcmagent config list", hang())
        .call("systemctl show", hang())
        .call("systemctl show-environment", hang())
        .call("systemctl is-system-running", hang())
        .file("etc/systemd/system.conf", "[Manager]\n")
        .start();
    let before = vm.tree();
    let run = vm.run(&["doctor", "--output", "json"]);
    let found = conditions(&run);
    assert_eq!(found.len(), 11, "{}", run.text());
    for (condition, fault) in [("imds", "imds.timeout"), ("proxy", "proxy.timeout")] {
        assert_eq!(found[condition]["fault"], fault, "{}", run.text());
    }
    for (condition, cause) in
        [("clock", "imds"), ("identity", "imds"), ("egress", "proxy"), ("access", "proxy")]
    {
        assert_eq!(
            (&found[condition]["state"], &found[condition]["cause"]),
            (&"skipped".into(), &cause.into())
        );
    }
    assert!(run.code.is_some_and(|code| code >= 10), "{}", run.text());
    assert!(vm.tree() == before, "a file was changed");
    let requests = vm.observed();
    assert!(requests.azure.is_empty() && requests.tokens.is_empty());
}

#[test]
fn without_a_proxy_and_with_a_silent_name_server_doctor_ends() {
    let vm = Vm::new().silent_dns().config(&(config() + "proxy: {url: null, persist: false}\n")).start();
    let before = vm.tree();
    let run = vm.run(&["doctor", "--output", "json"]);
    let found = conditions(&run);
    assert_eq!(found["dns"]["fault"], "dns.unresolved", "{}", run.text());
    assert_eq!(found["egress"]["cause"], "dns", "{}", run.text());
    assert!(found["dns"]["evidence"].as_str().is_some_and(|text| text.contains("did not end within 5 s")));
    assert!(vm.tree() == before, "a file was changed");
}

#[test]
fn doctor_without_root_lists_what_was_not_checked() {
    let vm = quiet().start();
    // Like a file of another user for an ordinary user.
    for file in [CONFIG, "etc/environment"] {
        std::fs::set_permissions(vm.path(file), std::os::unix::fs::PermissionsExt::from_mode(0o000))
            .expect("a mode can be set");
    }
    let before: Vec<String> = vm.tree().into_keys().collect();
    let mut command = vm.command("unshare");
    command.args(["--user", "--map-user=1000", "--"]).arg(agent_program());
    command.args(["doctor", "--root"]).arg(&vm.root);
    let ca = vm.root.join(".nexus/ca.pem");
    let output = command.env("CURL_CA_BUNDLE", &ca).output().expect("the agent runs");
    let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "", "{text}");
    // The proxy settings are compared with the defaults, since the configuration cannot be read.
    assert_eq!(output.status.code(), Some(12), "{text}");
    assert!(text.contains("host not root (not needed to observe)"), "{text}");
    assert!(text.contains("Not checked: the configuration: cannot read"), "{text}");
    assert!(text.contains("Not checked: what only root may read"), "{text}");
    assert!(text.contains("root/etc/environment: Permission denied"), "{text}");
    assert!(!text.contains("host.not-writable"), "{text}");
    assert!(text.contains("imds answers directly, healthy") && text.contains("egress all "), "{text}");
    assert_eq!(before, vm.tree().into_keys().collect::<Vec<_>>());
}

#[test]
fn without_curl_doctor_says_that_tls_was_not_checked() {
    let vm = quiet().start();
    without(&vm, "curl");
    let run = vm.run(&["doctor", "--output", "json"]);
    let found = conditions(&run);
    let text = found["egress"]["evidence"].as_str().unwrap_or_default();
    assert_eq!(found["egress"]["state"], "holds", "{}", run.text());
    assert!(text.contains("open a tunnel; TLS was not checked, there is no curl"), "{text}");
    assert!(
        found["access"]["evidence"].as_str().is_some_and(|text| text.starts_with("not checked")),
        "{}",
        run.text()
    );

    let vm = Vm::new()
        .enrolled()
        .config(&(config() + "proxy: {url: null, persist: false}\n"))
        .hosts("127.0.0.1 localhost management.azure.com\n")
        .start();
    without(&vm, "curl");
    let run = vm.run(&["doctor", "--output", "json"]);
    let found = conditions(&run);
    let text = found["egress"]["evidence"].as_str().unwrap_or_default();
    assert!(text.contains("endpoints not tried; TLS was not checked"), "{}", run.text());
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let rows = value["network"].as_array().cloned().unwrap_or_default();
    let endpoints: Vec<&Value> = rows.iter().filter(|row| row["test"] == "endpoint").collect();
    assert!(!endpoints.is_empty() && endpoints.iter().all(|row| row["verdict"] == "skipped"), "{rows:?}");
}

/// Asserts that `doctor` changed nothing.
fn assert_only_looked(vm: &Vm, before: &BTreeMap<String, Vec<u8>>) {
    let after = vm.tree();
    let changed: Vec<&String> = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, _)| path)
        .collect();
    assert!(changed.is_empty() && after.len() == before.len(), "{changed:?}");
    let looks = [
        "azcmagent version",
        "azcmagent show",
        "azcmagent check",
        "azcmagent config get",
        "azcmagent config list",
        "systemctl show",
        "dpkg-query",
    ];
    for call in vm.calls() {
        assert!(
            looks.iter().any(|look| call.call.starts_with(look))
                || call.call == "systemctl is-system-running",
            "{call:?}"
        );
    }
    assert!(vm.observed().azure.iter().all(|seen| matches!(seen.method.as_str(), "GET" | "HEAD")));
    assert!(vm.record().is_none());
}

#[test]
fn doctor_finds_nothing_on_a_healthy_vm_and_changes_nothing() {
    let vm = Vm::new().enrolled().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    std::fs::remove_file(vm.path(vm::RECORD)).expect("a record");
    let calls = vm.calls().len();
    let before = vm.tree();
    let run = vm.run(&["doctor"]);
    run.assert_code(0);
    assert!(run.stdout.contains("Every condition holds."), "{}", run.text());
    assert_eq!(
        run.stdout.split("Network").next().map(|text| text.matches("\n  ok  ").count() + 1),
        Some(11),
        "{}",
        run.text()
    );
    let run = vm.run(&["doctor", "--output", "json"]);
    run.assert_code(0);
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let conditions = value["conditions"].as_array().expect("a list");
    assert!(
        conditions.len() == 11 && conditions.iter().all(|condition| condition["state"] == "holds"),
        "{value}"
    );
    assert_eq!(vm.tree(), before);
    assert!(vm.calls().iter().skip(calls).all(|call| call.argv.first().is_none_or(|verb| verb != "connect")));
    assert!(run.log.is_empty() && vm.leaks(&[&run]).is_empty());
}

#[test]
fn doctor_on_a_fresh_vm_names_the_first_fault_and_changes_nothing() {
    let vm = Vm::new().start();
    let before = vm.tree();
    let run = vm.run(&["doctor"]);
    run.assert_code(12);
    assert!(run.stdout.contains("proxy-environment.incomplete"), "{}", run.text());
    assert_only_looked(&vm, &before);
}

#[test]
fn doctor_names_causes_and_not_their_consequences() {
    let masked = Unit { load: "masked".into(), file: "masked".into(), ..Unit::stopped() };
    let vm = Vm::new()
        .enrolled()
        .config(&(config() + "proxy:\n  persist: false\n"))
        .imds(|imds| imds.identities.clear())
        .system(|system| {
            system.units.insert("himdsd.service".into(), masked);
        })
        .start();
    let before = vm.tree();
    let run = vm.run(&["doctor", "--output", "json"]);
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let of = |name: &str| {
        let all = value["conditions"].as_array().expect("a list");
        all.iter().find(|condition| condition["condition"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(of("identity")["fault"], "identity.none");
    assert_eq!(of("access")["state"], "skipped");
    assert_eq!(of("access")["cause"], "identity");
    assert_eq!(of("agent")["fault"], "agent.service-masked");
    assert_eq!(of("connected")["cause"], "agent");
    assert_eq!(value["exit_code"], run.code.unwrap_or_default());
    assert_eq!(of("proxy-environment")["state"], "holds");
    run.assert_code(18);
    assert_only_looked(&vm, &before);
}

#[test]
fn doctor_does_not_wait_for_what_is_down() {
    // The windows exceed the test's limit, so a wait would fail the test.
    let config = with_windows(&[("boot", "1h"), ("token", "1h"), ("access", "1h"), ("endpoint", "1h")]);
    let vm = Vm::new()
        .imds(|imds| imds.port_state = PortState::Closed)
        .csn(|csn| csn.port_state = PortState::Closed);
    let vm = vm.config(&config).start();
    let before = vm.tree();
    let run = vm.run(&["doctor"]);
    assert!(run.code.is_some_and(|code| code != 0), "{}", run.text());
    assert!(run.stdout.contains("imds.refused") && run.stdout.contains("proxy.refused"), "{}", run.text());
    assert_only_looked(&vm, &before);
}

#[test]
fn doctor_runs_beside_another_run() {
    let hang = Outcome::Hang { stdout: "INFO    Connecting\n".to_owned() };
    let vm = Vm::new().call("azcmagent connect", Playbook::new().forever(hang)).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_until("connect runs", |vm| !vm.calls_of("azcmagent connect").is_empty());
    let run = vm.run(&["doctor"]);
    assert!(run.stdout.contains("connected.not-enrolled"), "{}", run.text());
    assert!(!run.stdout.contains("host.busy"), "{}", run.text());
    going.signal(nix::sys::signal::Signal::SIGTERM);
    going.finish().assert_code(75);
}

#[test]
fn doctor_is_coloured_on_a_terminal_and_plain_elsewhere() {
    let vm = Vm::new().imds(|imds| imds.port_state = PortState::Closed).start();
    let run = vm.agent(&["doctor"]).mode(Mode::Terminal).run();
    assert!(run.stdout.contains("\u{1b}[31mFAIL"), "{}", run.text());
    assert!(!vm.run(&["doctor"]).stdout.contains('\u{1b}'));
}

#[test]
fn a_remedy_can_be_pasted_into_a_shell() {
    let refused =
        ["gbl.his.arc.azure.com", "pas.windows.net", "agentserviceapi.guestconfiguration.azure.com"];
    let vm = Vm::new().installed().csn(|csn| csn.refused = refused.map(str::to_owned).to_vec()).start();
    let run = vm.run(&["doctor"]);
    let after = run.stdout.split_once("Add them;").expect("the remedy is there").1;
    let (sentence, after) = after.split_once("has:\n").expect("the sentence ends with a colon");
    let sentence = sentence.split_whitespace().collect::<Vec<&str>>().join(" ");
    assert_eq!(sentence, "this replaces the list, so keep what it already");
    // The command continues over lines that end in a backslash.
    let lines = after.lines().take_while(|line| line.ends_with('\\')).count() + 1;
    let command = after.lines().take(lines).map(|line| format!("{line}\n")).collect::<String>();
    assert!(
        command.lines().count() > 3 && command.lines().all(|line| line.chars().count() <= 80),
        "{command}"
    );
    let script =
        format!("az() {{ printf '%s\\n' \"$@\"; }}; CSN_NAME='my csn' CSN_RESOURCE_GROUP=g\n{command}");
    let output = Command::new("/bin/sh").args(["-c", &script]).output().expect("sh runs");
    let words: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let start =
        ["networkcloud", "cloudservicesnetwork", "update", "--name", "my csn", "--resource-group", "g"];
    assert_eq!(words[..7], start.map(str::to_owned), "{script}");
    assert_eq!((words.len(), words[7].as_str()), (9, "--additional-egress-endpoints"), "{words:?}");
    for name in refused {
        assert!(words[8].contains(&format!("{{'domainName':'{name}','port':443}}")), "{words:?}");
    }
}
