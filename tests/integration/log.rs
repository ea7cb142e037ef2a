//! The log, the record and what a run says of a system that it cannot change.

/// First boot and by hand: which lines go to which output.
mod destinations;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use serde_json::{json, Value};

use crate::assertions::{assert_enrolled, assert_stopped, met, patient};
use crate::nexus::run::{Mode, Run};
use crate::nexus::spec::{GuestPlan, Outcome, Playbook};
use crate::nexus::vm::{self, Vm, LOG, RECORD};

/// The longest line that a pipe keeps whole.
const LONGEST: usize = 4096;

/// Makes a folder of the VM read-only, as a file system that was remounted after errors.
pub fn make_read_only(vm: &Vm, folder: &str) {
    let folder = vm.root.join(folder);
    for options in [vec!["--bind"], vec!["-o", "remount,bind,ro"]] {
        let mut command = vm.inside(Path::new("/usr/bin/mount"));
        command.args(&options);
        if options == ["--bind"] {
            command.arg(&folder);
        }
        let output = command.arg(&folder).output().expect("mount runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn read_only_etc_is_a_clear_fault_and_changes_nothing() {
    let vm = Vm::new().start();
    make_read_only(&vm, "etc");
    let before = vm.tree();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 11, "host.not-writable");
    let message = run.last()["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("/etc/") && message.contains("Read-only file system"), "{message}");
    let of_etc = |tree: std::collections::BTreeMap<String, Vec<u8>>| {
        tree.into_iter().filter(|(path, _)| path.starts_with("etc/")).collect::<Vec<_>>()
    };
    assert_eq!(of_etc(vm.tree()), of_etc(before));
    assert!(vm.observed().imds.is_empty(), "nothing was asked for after that");
}

#[test]
fn record_that_cannot_be_written_is_a_warning() {
    let vm = Vm::new().file("var/lib/arc-enroll", "a file where the folder should be\n").start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert_eq!(run.events("record.lost").len(), 1, "{}", run.text());
}

#[test]
fn record_is_versioned_and_says_what_the_last_line_says() {
    let vm = Vm::new()
        .config(&patient(&[("endpoint", "1s")]))
        .csn(|csn| csn.refused = vec!["pas.windows.net".into()])
        .start();
    let run = vm.run(&["enroll"]);
    let record = vm.record().expect("a record");
    assert_eq!(record["version"], 1);
    for key in ["run_id", "outcome", "fault", "exit_code", "next"] {
        assert_eq!(record[key], run.last()[key], "{key}");
    }
    assert!(record["started"].as_str() < record["finished"].as_str(), "{record}");
    assert_eq!(vm.mode(RECORD) & 0o022, 0);
    let enrolled = vm.path("var/lib/arc-enroll").read_dir().expect("a folder");
    let names: Vec<String> =
        enrolled.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["status.json"], "nothing half-written stays beside it");
}

#[test]
fn unreadable_record_is_a_warning_and_a_fresh_start() {
    for text in ["{\"version\": 1, \"run", "", "[]", "{\"version\": 99}", "\u{0}\u{1}\u{2}"] {
        let vm = Vm::new().enrolled().file(RECORD, text).start();
        let status = vm.run(&["status"]);
        status.assert_code(75);
        assert!(status.stderr.contains("warning") && status.stdout.contains("none"), "{}", status.text());
        assert_enrolled(&vm, &vm.run(&["enroll"]));
        let status = vm.run(&["status"]);
        status.assert_code(0);
        assert!(status.stderr.is_empty() && status.stdout.contains("enrolled"), "{}", status.text());
    }
}

#[test]
fn last_line_is_there_whatever_the_level() {
    for level in ["error", "warn", "info", "debug", "trace"] {
        let vm = Vm::new().enrolled().config(&(vm::config() + &format!("log:\n  level: {level}\n"))).start();
        let run = vm.run(&["enroll"]);
        run.assert_code(0).assert_last("enrolled", None);
    }
}

#[test]
fn log_file_keeps_its_mode_and_a_new_one_is_not_for_everyone() {
    let vm = Vm::new().enrolled().file_with_mode(LOG, 0o604, "before\n").start();
    vm.run(&["enroll"]).assert_code(0);
    assert_eq!(vm.mode(LOG), 0o604);
    assert!(vm.read(LOG).starts_with("before\n"));
    std::fs::remove_file(vm.path(LOG)).expect("it is there");
    vm.run(&["enroll"]).assert_code(0);
    assert_eq!(vm.mode(LOG), 0o640);
}

/// Lines of another program, written while the agent runs.
fn write_beside(path: &Path, stop: &'static AtomicBool) -> std::thread::JoinHandle<usize> {
    let mut file = File::options().append(true).open(path).expect("the log can be opened");
    spawn(move || {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            let line = format!("another program {count} {}\n", "x".repeat(count % 900));
            file.write_all(line.as_bytes()).expect("the log can be written");
            count += 1;
            sleep(Duration::from_micros(200));
        }
        count
    })
}

/// Connect that says more in one line than a line of the log may hold.
fn talkative() -> Outcome {
    let long = "ä\"\\ \u{7}".repeat(20_000);
    Outcome::exit(44, &format!("INFO    {long}\nFATAL   {long} already exists\n"))
}

#[test]
fn lines_are_whole_and_short_beside_another_writer() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let vm = Vm::new().call("azcmagent connect", Playbook::new().forever(talkative())).start();
    let writer = write_beside(&vm.path(LOG), &STOP);
    let run = vm.agent(&["enroll", "-vv"]).run();
    STOP.store(true, Ordering::Relaxed);
    let written = writer.join().expect("the writer ends");
    run.assert_code(21);
    let mut own = 0;
    let mut others = 0;
    for line in run.log.lines() {
        assert!(line.len() < LONGEST, "{} bytes: {line}", line.len());
        if line.starts_with("another program ") {
            others += 1;
        } else {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(value["event"].is_string() && value["timestamp"].is_string(), "{line}");
            own += 1;
        }
    }
    assert!(own > 20 && others > 20 && others <= written, "{own} {others} {written}");
}

#[test]
fn lines_are_whole_and_short_under_cloud_init() {
    let vm = Vm::new()
        .file("etc/machine-id", "00000000000000000000000000000000\n")
        .call("azcmagent connect", Playbook::new().forever(talkative()))
        .start();
    let run = vm.agent(&["enroll", "-vv"]).mode(Mode::CloudInit).run();
    run.assert_code(21).assert_last("failed", Some("connected.name-taken"));
    for line in run.log.lines() {
        assert!(line.len() < LONGEST && serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}

/// After connecting, `azcmagent show` says these in turn.
fn shows(answers: &[(u32, &str)]) -> Playbook<Outcome> {
    let first = Playbook::new().once(Outcome::Usual);
    answers.iter().fold(first, |playbook, (times, words)| {
        playbook.times(*times, Outcome::Patch(json!({"status": "Disconnected", "agentErrorDetails": words})))
    })
}

fn repeats(run: &Run) -> Vec<(String, u64)> {
    let of = |line: &&Value| {
        let word = line["evidence"].as_str().and_then(|text| text.rsplit(' ').next()).unwrap_or_default();
        (word.to_owned(), line["repeat"].as_u64().unwrap_or_default())
    };
    met(run, "connected.pending").iter().map(of).collect()
}

#[test]
fn repeats_are_thinned_and_every_changed_failure_is_told() {
    let playbook = shows(&[(5, "first"), (1, "second"), (2, "first")]);
    let vm = Vm::new().call("azcmagent show", playbook).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let told = repeats(&run);
    let expected = [("first", 1), ("first", 2), ("first", 4), ("second", 1), ("first", 1), ("first", 2)];
    assert_eq!(told, expected.map(|(word, repeat)| (word.to_owned(), repeat)), "{}", run.text());
    for line in met(&run, "connected.pending") {
        assert!(line["remaining_s"].as_u64().is_some_and(|left| left <= 20), "{line}");
    }
}

#[test]
fn long_wait_does_not_fill_the_log() {
    let vm = Vm::new()
        .config(&patient(&[("endpoint", "9s")]))
        .guest(|guest| *guest = GuestPlan { connected_after_shows: u32::MAX, ..GuestPlan::default() })
        .start();
    let run = vm.run(&["enroll"]);
    run.assert_code(75).assert_last("waiting", Some("connected.pending"));
    let told: Vec<u64> = repeats(&run).into_iter().map(|(_, repeat)| repeat).collect();
    assert_eq!(told.get(..3), Some([1, 2, 4].as_slice()), "{}", run.text());
    assert!(told.len() <= 4, "{told:?}");
    let waits = run.events("wait.started").into_iter().filter(|line| line["fault"] == "connected.pending");
    assert!(waits.count() <= 5, "waits are thinned as their failures are\n{}", run.text());
}

#[test]
fn reader_that_goes_away_does_not_matter() {
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

#[test]
fn fault_and_the_one_behind_it_are_thinned_although_they_take_turns() {
    let vm = Vm::new()
        .config(&patient(&[("endpoint", "8s")]))
        .call("apt-get update", Playbook::new().forever(Outcome::apt_locked()))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "agent.package-lock");
    let rounds = vm.calls_of("apt-get update").len();
    for fault in ["agent.absent", "agent.package-lock"] {
        let told = met(&run, fault).into_iter().filter_map(|line| line["repeat"].as_u64());
        let expected = [1, 2, 4, 8, 16].into_iter().filter(|repeat| *repeat <= rounds as u64);
        assert!(told.eq(expected), "{rounds} rounds\n{}", run.text());
    }
}
