//! `status`: the last run, the present state, and the next timer run, in text and JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::assertions::{assert_enrolled, with_windows};
use crate::nexus::spec::{machine_id, GuestPlan, Outcome, Playbook, PortState, VM_NAME};
use crate::nexus::vm::{self, Vm, RECORD};

fn state_of(text: &str, name: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    value[name].clone()
}

/// `status` in both forms; no line is too wide.
fn status(vm: &Vm, code: i32) -> (String, BTreeMap<String, Value>) {
    let text = vm.run(&["status"]);
    text.assert_code(code);
    for line in text.stdout.lines() {
        // A command is not wrapped.
        let is_step = line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        let one_word = is_step || line.split_whitespace().any(|word| word.len() > 53);
        assert!(line.chars().count() <= 80 || one_word, "{line:?}");
    }
    let json = vm.run(&["status", "--output", "json"]);
    json.assert_code(code);
    let members = ["last_run", "warning", "now", "timer", "azcmagent"];
    (text.stdout, members.iter().map(|name| ((*name).to_owned(), state_of(&json.stdout, name))).collect())
}

fn conditions(told: &BTreeMap<String, Value>) -> Vec<String> {
    let list = told["now"]["conditions"].as_array().cloned().unwrap_or_default();
    list.iter().map(|one| format!("{} {}", one["condition"], one["state"]).replace('"', "")).collect()
}

#[test]
fn status_before_the_first_run() {
    let vm = Vm::new().start();
    let before = vm.tree();
    let (text, told) = status(&vm, 75);
    assert!(text.starts_with("Last run:   none\n"), "{text}");
    assert!(
        text.contains("proxy-environment.incomplete") && text.contains("no timer: it is not installed"),
        "{text}"
    );
    assert!(text.contains("\nNext try:   none by itself\n"), "{text}");
    assert_eq!(told["last_run"], Value::Null);
    assert_eq!(
        conditions(&told),
        ["host holds", "proxy-environment fails", "agent fails", "connected skipped"]
    );
    assert_eq!((&told["timer"]["installed"], &told["timer"]["active"]), (&false.into(), &false.into()));
    assert_eq!(told["timer"]["next"], Value::Null);
    assert!(vm.tree() == before && vm.observed().imds.is_empty() && vm.observed().csn.is_empty());
}

#[test]
fn status_of_an_enrolled_vm_has_the_next_timer_run() {
    let vm = Vm::new().file("proc/uptime", "4000.25 100.00\n").start();
    vm.run(&["enroll"]).assert_code(0);
    let asked = std::time::Instant::now();
    let (text, told) = status(&vm, 0);
    let between = asked.elapsed().as_secs();
    assert!(text.starts_with("Last run:   enrolled (exit code 0)\n"), "{text}");
    assert!(text.contains("ago, after ") && text.contains("Next: nothing to do\n"), "{text}");
    assert!(text.contains("ok    timer             enabled and active, every 1 h\n"), "{text}");
    let next = text.lines().find_map(|line| line.strip_prefix("Next try:   ")).unwrap_or_default();
    assert!(
        next.starts_with("20") && (next.ends_with("Z, in 59 min") || next.ends_with("Z, in 1 h")),
        "{text}"
    );
    assert_eq!(
        conditions(&told),
        ["host holds", "proxy-environment holds", "agent holds", "connected holds"]
    );
    let timer = &told["timer"];
    assert_eq!(
        (&timer["installed"], &timer["active"], &timer["every_s"]),
        (&true.into(), &true.into(), &3600.into())
    );
    let time = |text: &str| humantime::parse_rfc3339(text).expect("a time");
    let shown = time(next.split(',').next().unwrap_or_default());
    let json = time(timer["next"].as_str().unwrap_or_default());
    let apart = shown.max(json).duration_since(shown.min(json)).expect("in order");
    // Both add the same time to their own clock; each is rounded to a second.
    assert!(apart.as_secs() <= between + 2, "asked twice, told alike: {next} {timer}");
    assert_eq!(told["last_run"]["run_id"], vm.record().expect("a record")["run_id"]);
    assert_eq!(told["azcmagent"]["status"], "Connected");
}

#[test]
fn status_of_a_vm_that_waits_names_fault_evidence_and_steps() {
    let vm = Vm::new()
        .config(&with_windows(&[("endpoint", "1s")]))
        .csn(|csn| csn.port_state = PortState::Closed)
        .start();
    vm.run(&["enroll"]).assert_code(75);
    let (text, told) = status(&vm, 75);
    assert!(text.starts_with("Last run:   waiting: proxy.refused (exit code 75)\n"), "{text}");
    for part in [
        "Seen: ",
        "Next: not finished: the timer continues",
        "What a person does:\n    1. ",
        "azcmagent:  not installed",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(told["last_run"]["fault"], "proxy.refused");
}

#[test]
fn status_parses_the_next_elapse_of_systemd() {
    let says = |sub: &str, next: &str| {
        let text = format!(
            "NextElapseUSecMonotonic={next}\nLoadState=loaded\nActiveState=active\nSubState={sub}\n\
             UnitFileState=enabled\nNeedDaemonReload=no\n\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n\
             UnitFileState=static\nNeedDaemonReload=no\n"
        );
        let mut plan = GuestPlan::default();
        plan.calls.insert(
            "systemctl show arc-enroll.timer".into(),
            Playbook::new().forever(Outcome::exit(0, &text)),
        );
        plan
    };
    let vm = Vm::new().enrolled().file("proc/uptime", "90000.00 1.00\n").start();
    vm.run(&["enroll"]).assert_code(0);
    for (sub, next, expected) in [
        ("waiting", "1d 1h 34min 5.123456s", "in 34 min"),
        ("waiting", "1d 1h 20.000001s", "in 20 s"),
        ("waiting", "2w 1d 1h", "in 336 h"),
        // Elapsed, but not yet reported.
        ("waiting", "23h 59min", "due now"),
        ("waiting", "infinity", "not known"),
        ("waiting", "", "not known"),
        ("running", "infinity", "a run is under way now"),
        ("waiting", "three days", "not known"),
    ] {
        vm.set_guest(&says(sub, next));
        let (text, told) = status(&vm, 0);
        let line = text.lines().find(|line| line.starts_with("Next try:")).unwrap_or_default();
        // The clock advances during the command.
        let late =
            expected.replace("34 min", "33 min").replace("20 s", "19 s").replace("336 h", "335 h 59 min");
        assert!(line.ends_with(expected) || line.ends_with(&late), "{next}: {text}");
        assert_eq!(told["timer"]["running"], sub == "running");
    }
}

#[test]
fn status_shows_repairs_and_reads_records_of_later_versions() {
    let record = r#"{"version":1,"agent":"9.0","run_id":"r","started":"2026-01-01T00:00:00.000Z",
        "finished":"2026-01-01T00:01:05.000Z","outcome":"enrolled","fault":null,"evidence":null,"exit_code":0,
        "next":"nothing to do","later":[1],"repairs":[{"repair":"start-services","fault":"agent.service-down","helped":true},
        {"repair":"renew-token","fault":"identity.token-rejected","helped":false}]}"#;
    let vm = Vm::new().enrolled().file(RECORD, record).start();
    let (text, told) = status(&vm, 0);
    assert!(text.contains("2026-01-01T00:01:05Z, ") && text.contains("after 1 min 5 s\n"), "{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("Repaired: start-services (agent.service-down, helped); renew-token (identity.token-rejected, without effect)"),
        "{text}"
    );
    assert_eq!(told["last_run"]["repairs"][1]["helped"], false);
}

#[test]
fn status_needs_no_configuration() {
    let vm = Vm::new().start();
    vm.run(&["enroll"]).assert_code(0);
    vm.write(vm::CONFIG, "azure: [\n");
    let run = vm.run(&["status"]);
    run.assert_code(0);
    assert!(
        run.stderr.contains("warning: the conditions are not checked without a configuration"),
        "{}",
        run.text()
    );
    for part in ["Last run:   enrolled", "enabled and active\n", "azcmagent:  Connected"] {
        assert!(run.stdout.contains(part), "{part}\n{}", run.text());
    }
    let json = vm.run(&["status", "--output", "json"]);
    assert_eq!(state_of(&json.stdout, "now")["conditions"], Value::Array(Vec::new()));
    assert!(state_of(&json.stdout, "warning").is_string() && json.stderr.is_empty(), "{}", json.text());
}

#[test]
fn status_without_root_lists_what_was_not_checked() {
    let vm = Vm::new().enrolled().start();
    vm.run(&["enroll"]).assert_code(0);
    let mut command = vm.command("unshare");
    command.args(["--user", "--map-user=1000", "--"]).arg(vm::agent_program());
    let output = command.args(["status", "--root"]).arg(&vm.root).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("not root (not needed to observe)"), "{text}");
    assert!(text.contains("Last run:   enrolled") && text.contains("Next try:   20"), "{text}");
}

#[test]
fn status_shows_the_last_run_and_azcmagent() {
    let vm = Vm::new()
        .config(&with_windows(&[("endpoint", "1s")]))
        .csn(|csn| csn.port_state = PortState::Closed)
        .start();
    let run = vm.run(&["status"]);
    run.assert_code(75);
    assert!(run.stdout.contains("none") && run.stdout.contains("not installed"), "{}", run.text());
    vm.run(&["enroll"]).assert_code(75);
    let run = vm.run(&["status"]);
    run.assert_code(75);
    assert!(run.stdout.contains("waiting") && run.stdout.contains("proxy.refused"), "{}", run.text());
    vm.set_csn(crate::nexus::spec::CsnPlan::default());
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let run = vm.run(&["status"]);
    run.assert_code(0);
    assert!(run.stdout.contains("enrolled") && run.stdout.contains(&machine_id(VM_NAME)), "{}", run.text());
    let run = vm.run(&["status", "--output", "json"]);
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(value["azcmagent"]["status"], "Connected");
    assert_eq!(value["last_run"]["outcome"], "enrolled");
    assert_eq!(value["warning"], Value::Null);
}
