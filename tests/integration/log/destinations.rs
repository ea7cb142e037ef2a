use std::collections::BTreeMap;

use serde_json::Value;

use crate::assertions::{assert_enrolled, CONDITIONS};
use crate::nexus::run::Mode;
use crate::nexus::vm;
use crate::nexus::vm::{Vm, LOG};
use std::path::Path;

/// A machine-id with a start delay of this many seconds.
fn machine_id(digit: char) -> String {
    format!("{}\n", String::from(digit).repeat(32))
}

/// Asserts that the lines are complete JSON with the documented members, and that the last one has the outcome.
fn assert_contract(text: &str) -> Vec<Value> {
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}")))
        .collect();
    for line in &lines {
        for name in ["timestamp", "level", "run_id", "event", "message"] {
            let good = line[name].as_str().is_some_and(|text| !text.is_empty());
            assert!(good, "{name} is missing in {line}");
        }
        let time = line["timestamp"].as_str().unwrap_or_default();
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
        assert_eq!(line["run_id"], lines[0]["run_id"]);
        assert!(line.get("condition").is_some(), "{line}");
    }
    let last = lines.last().expect("lines");
    assert_eq!(last["event"], "run.finished");
    for name in ["outcome", "fault", "exit_code", "elapsed_ms", "next"] {
        assert!(last.get(name).is_some(), "{name} is missing in {last}");
    }
    assert_pairs(&lines);
    lines
}

/// Every start has its end, and every end says how long it took.
fn assert_pairs(lines: &[Value]) {
    let mut open: BTreeMap<String, i64> = BTreeMap::new();
    for line in lines {
        let event = line["event"].as_str().unwrap_or_default();
        if let Some(what) = event.strip_suffix(".started").filter(|what| *what != "wait") {
            *open.entry(what.to_owned()).or_default() += 1;
        } else if let Some(what) = event.strip_suffix(".finished") {
            *open.entry(what.to_owned()).or_default() -= 1;
            assert!(line["elapsed_ms"].is_u64(), "{line}");
        }
        assert!(open.values().all(|count| *count >= 0), "an end without a start: {line}");
    }
    let known = ["command", "file", "http", "repair", "run", "tunnel"];
    assert!(known.iter().all(|what| open.contains_key(*what)), "{open:?}");
    assert!(open.values().all(|count| *count == 0), "starts without an end: {open:?}");
}

/// No line of it is JSON.
fn assert_readable(text: &str) {
    assert!(text.lines().all(|line| !line.trim_start().starts_with('{')), "{text}");
}

#[test]
fn first_boot_writes_json_lines_and_nothing_else() {
    let vm = Vm::new().file_with_mode("etc/machine-id", 0o444, &machine_id('1')).start();
    let run = vm.first_boot(&["enroll"]);
    assert_enrolled(&vm, &run);
    let lines = assert_contract(&run.stdout);
    // tee wrote the same into the log, without duplicates.
    assert_eq!(run.log, run.stdout);
    assert!(vm.read(LOG).starts_with("Cloud-init v. 22.4.2"));
    assert_eq!(vm.mode(LOG), 0o640);
    let delayed: Vec<&Value> = lines.iter().filter(|line| line["event"] == "start.delayed").collect();
    assert_eq!(delayed.len(), 1);
    assert_eq!(delayed[0]["delay_ms"], 1000);
}

#[test]
fn the_second_boot_is_not_delayed() {
    let vm = Vm::new().installed().file_with_mode("etc/machine-id", 0o444, &machine_id('0')).start();
    assert_enrolled(&vm, &vm.first_boot(&["enroll"]));
    vm.write("etc/machine-id", &machine_id('f'));
    let run = vm.first_boot(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(run.events("start.delayed").is_empty());
}

#[test]
fn standard_output_that_is_the_log_file_gets_every_line_once() {
    let vm = Vm::new().installed().file_with_mode("etc/machine-id", 0o444, &machine_id('0')).start();
    let run = vm.agent(&["enroll"]).mode(Mode::LogFile).run();
    assert_enrolled(&vm, &run);
    assert_contract(&run.log);
    assert_eq!(run.events("run.finished").len(), 1);
    assert_eq!(run.events("token.acquired").len(), 1);
}

#[test]
fn a_pipe_gets_text_and_the_log_file_gets_json() {
    let vm = Vm::new().installed().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_contract(&run.log);
    assert_readable(&run.stdout);
    assert_eq!(run.stderr, "");
    assert!(run.stdout.contains("\nENROLLED: Connected as "), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    assert!(run.events("start.delayed").is_empty());
    let named =
        |name: &&str| run.stdout.lines().any(|line| line.starts_with("  ok    ") && line.contains(*name));
    assert!(CONDITIONS.iter().all(named), "{}", run.stdout);
}

#[test]
fn a_terminal_gets_coloured_text_of_eighty_columns() {
    use crate::nexus::spec::{ImdsPlan, PortState};
    let vm = Vm::new().installed().imds(|imds| imds.port_state = PortState::Closed).start();
    let mut going = vm.agent(&["enroll"]).mode(Mode::Terminal).spawn();
    going.wait_for_event("wait.started");
    vm.set_imds(ImdsPlan::default());
    let run = going.finish();
    assert_enrolled(&vm, &run);
    assert_contract(&run.log);
    assert_readable(&run.stdout);
    assert!(run.stdout.contains("ENROLLED"), "{}", run.stdout);
    assert!(run.stdout.contains("\u{1b}[32mok"), "{:?}", run.stdout);
    // Text that is rewritten in place has to fit in a line, too; the last line contains the resource id unwrapped.
    for line in plain(&run.stdout).split(['\n', '\r']) {
        let one_word = line.split_whitespace().any(|word| word.len() > 53);
        assert!(line.chars().count() <= 80 || one_word, "{line:?}");
    }
    assert!(run.stdout.contains("looking again in"), "{:?}", run.stdout);
}

/// The text without its escape sequences.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[test]
fn output_json_writes_lines_to_stdout_and_log() {
    let vm = Vm::new().installed().start();
    let run = vm.run(&["enroll", "--output", "json"]);
    assert_enrolled(&vm, &run);
    assert_contract(&run.stdout);
    assert_eq!(run.stdout, run.log);
}

#[test]
fn a_log_file_that_cannot_be_written_is_a_warning() {
    let vm = Vm::new().installed().start();
    std::fs::remove_file(vm.path(LOG)).expect("the log can be removed");
    std::fs::create_dir(vm.path(LOG)).expect("a folder in its place");
    let run = vm.run(&["enroll"]);
    run.assert_code(0);
    assert!(run.stderr.contains("warning: the log file is not written"), "{}", run.text());
    assert!(run.stdout.contains("ENROLLED"), "{}", run.text());
    assert_eq!(vm.observed().machines.len(), 1);
}

#[test]
fn closed_standard_output_is_ignored() {
    let vm = Vm::new().start();
    let script = format!(
        "'{}' explain | head -n 1; '{0}' --help | true; echo \"${{PIPESTATUS[0]}}\"",
        vm::agent_program().display()
    );
    let output = vm.inside(Path::new("/bin/bash")).args(["-c", &script]).output().expect("bash runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.ends_with("\n0\n"), "{text}");
}
