//! The record of the last run.

use crate::assertions::{assert_enrolled, with_windows};
use crate::nexus::vm::{Vm, RECORD};

#[test]
fn record_that_cannot_be_written_is_a_warning() {
    let vm = Vm::new().file("var/lib/arc-enroll", "a file where the folder should be\n").start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert_eq!(run.events("record.lost").len(), 1, "{}", run.text());
}

#[test]
fn record_is_versioned_and_matches_the_last_line() {
    let vm = Vm::new()
        .config(&with_windows(&[("endpoint", "1s")]))
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
fn unreadable_record_is_a_warning_and_is_replaced() {
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
