//! The lines of the log: complete, short, and always with a last one.

/// Which lines go to which output, at first boot and by hand.
mod destinations;
/// How often a repeated failure is logged.
mod repeats;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use serde_json::Value;

use crate::nexus::run::Mode;
use crate::nexus::spec::{Outcome, Playbook};
use crate::nexus::vm::{self, Vm, LOG};

/// The longest line that a pipe keeps whole.
const LONGEST: usize = 4096;

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

/// A connect whose output line is longer than a log line may be.
fn verbose_connect() -> Outcome {
    let long = "ä\"\\ \u{7}".repeat(20_000);
    Outcome::exit(44, &format!("INFO    {long}\nFATAL   {long} already exists\n"))
}

#[test]
fn lines_are_not_interleaved_with_another_writer() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let vm = Vm::new().call("azcmagent connect", Playbook::new().forever(verbose_connect())).start();
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
fn lines_are_not_split_under_cloud_init() {
    let vm = Vm::new()
        .file("etc/machine-id", "00000000000000000000000000000000\n")
        .call("azcmagent connect", Playbook::new().forever(verbose_connect()))
        .start();
    let run = vm.agent(&["enroll", "-vv"]).mode(Mode::CloudInit).run();
    run.assert_code(21).assert_last("failed", Some("connected.name-taken"));
    for line in run.log.lines() {
        assert!(line.len() < LONGEST && serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
