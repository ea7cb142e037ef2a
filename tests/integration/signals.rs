//! Runs that are stopped by a signal: no children, no secrets, a record, and a complete log.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::assertions::{assert_enrolled, assert_stopped, with_windows};
use crate::nexus::run::{wait_until, Mode, Run};
use crate::nexus::spec::{GuestPlan, Outcome, Playbook, PortState};
use crate::nexus::vm::{agent_program, Vm};

/// Zombies count as gone: without an init nothing reaps them.
fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

fn assert_all_gone(vm: &Vm) {
    // Only the signal can end them: the stand-ins hang for longer than the limit of this wait.
    wait_until("every child is gone", || vm.calls().iter().all(|call| is_gone(call.pid)));
}

/// Asserts that the run was stopped by this signal and ended properly.
fn assert_interrupted(vm: &Vm, run: &Run, signal: &str) {
    assert_stopped(vm, run, 75, "run.interrupted");
    let message = run.last()["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(signal), "{message}");
    assert_all_gone(vm);
}

/// A configuration whose windows exceed the test's limit, so that only the signal can end a run.
fn endless() -> String {
    with_windows(&[("boot", "1h"), ("endpoint", "1h")])
}

/// A VM on which this call of a stand-in hangs.
fn stuck(call: &str, outcome: Outcome) -> Vm {
    Vm::new().config(&endless()).call(call, Playbook::new().forever(outcome)).start()
}

fn hang() -> Outcome {
    Outcome::Hang { stdout: "INFO    Connecting machine to Azure...\n".to_owned() }
}

/// Runs until a stand-in was called, then signals.
fn signal_during(vm: &Vm, call: &str, signal: Signal, mode: Mode) -> Run {
    let mut going = vm.agent(&["enroll"]).mode(mode).spawn();
    going.wait_until(call, |vm| !vm.calls_of(call).is_empty());
    going.signal(signal);
    going.finish()
}

#[test]
fn sigterm_during_a_wait() {
    let vm = Vm::new().imds(|imds| imds.port_state = PortState::Closed).config(&endless()).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    going.signal(Signal::SIGTERM);
    let run = going.finish();
    assert_interrupted(&vm, &run, "SIGTERM");
    assert!(run.stdout.contains("run.interrupted"), "{}", run.text());
}

#[test]
fn sigterm_before_any_repair_keeps_the_record_of_an_enrolled_vm() {
    let vm = Vm::new().config(&endless()).start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let record = vm.record();
    let calls = [("azcmagent show".to_owned(), Playbook::new().forever(hang()))].into();
    vm.set_guest(&GuestPlan { calls, ..GuestPlan::default() });
    let earlier = vm.calls_of("azcmagent show").len();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_until("azcmagent show", |vm| vm.calls_of("azcmagent show").len() > earlier);
    going.signal(Signal::SIGTERM);
    going.finish().assert_code(75).assert_last("waiting", Some("run.interrupted"));
    assert_eq!(vm.record(), record);
    assert_all_gone(&vm);
}

#[test]
fn sigterm_while_connect_runs() {
    let vm = stuck("azcmagent connect", hang());
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_until("the secret file", |vm| !vm.calls_of("azcmagent connect").is_empty());
    let file = vm.calls_of("azcmagent connect")[0].config.clone().expect("a file");
    let below = Path::new(&file.path).strip_prefix(&vm.root).expect("below the root").to_owned();
    let below = below.to_string_lossy().into_owned();
    assert!(vm.path(&below).exists(), "the file is there while connect runs");
    going.signal(Signal::SIGTERM);
    let run = going.finish();
    assert_interrupted(&vm, &run, "SIGTERM");
    assert!(!vm.path(&below).exists());
    let call = vm.calls_of("azcmagent connect").remove(0);
    assert_eq!(call.exit, None, "azcmagent was stopped, it did not end by itself: {call:?}");
}

#[test]
fn child_that_ignores_sigterm_is_killed() {
    let vm = stuck("azcmagent connect", Outcome::Deaf { stdout: "INFO    Connecting\n".to_owned() });
    let mut going = vm.agent(&["enroll"]).spawn();
    // Its output line shows that it ignores the signal now.
    going.wait_for_event("connect.output");
    going.signal(Signal::SIGTERM);
    // The child never exits by itself, so the run can end only by killing it.
    let run = going.finish();
    assert_interrupted(&vm, &run, "SIGTERM");
}

#[test]
fn sigterm_while_the_package_manager_runs_and_next_run_continues() {
    let vm = stuck("apt-get install", hang());
    let run = signal_during(&vm, "apt-get install", Signal::SIGTERM, Mode::Pipe);
    assert_interrupted(&vm, &run, "SIGTERM");
    vm.set_guest(&GuestPlan::default());
    assert_enrolled(&vm, &vm.run(&["enroll"]));
}

#[test]
fn sigint_at_a_terminal() {
    let vm = stuck("azcmagent connect", hang());
    let run = signal_during(&vm, "azcmagent connect", Signal::SIGINT, Mode::Terminal);
    assert_interrupted(&vm, &run, "SIGINT");
    assert!(run.stdout.contains("NOT YET: run.interrupted"), "{}", run.text());
    assert!(run.stdout.contains("arc-enroll enroll"), "{}", run.text());
}

#[test]
fn sighup_ends_the_run_cleanly() {
    let vm = stuck("azcmagent connect", hang());
    let run = signal_during(&vm, "azcmagent connect", Signal::SIGHUP, Mode::Terminal);
    assert_interrupted(&vm, &run, "SIGHUP");
}

#[test]
fn sigterm_at_first_boot_leaves_the_last_line_in_cloud_inits_log() {
    let vm = Vm::new()
        .config(&endless())
        .file("etc/machine-id", "00000000000000000000000000000000\n")
        .call("azcmagent connect", Playbook::new().forever(hang()))
        .start();
    let run = signal_during(&vm, "azcmagent connect", Signal::SIGTERM, Mode::CloudInit);
    assert_interrupted(&vm, &run, "SIGTERM");
}

#[test]
fn sigterm_during_the_start_delay() {
    // This machine-id has the longest start delay.
    let vm = Vm::new().file("etc/machine-id", "ffffffffffffffffffffffffffffffff\n").start();
    let mut going = vm.agent(&["enroll"]).mode(Mode::CloudInit).spawn();
    going.wait_for_event("start.delayed");
    going.signal(Signal::SIGTERM);
    let run = going.finish();
    assert_interrupted(&vm, &run, "SIGTERM");
    assert!(vm.observed().imds.is_empty());
}

#[test]
fn memory_files_of_a_killed_run_are_removed_by_the_next() {
    let vm = stuck("azcmagent connect", hang());
    let run = signal_during(&vm, "azcmagent connect", Signal::SIGKILL, Mode::Pipe);
    assert_eq!((run.code, run.signal), (None, Some(9)));
    let orphan = vm.calls_of("azcmagent connect")[0].pid;
    kill(Pid::from_raw(i32::try_from(orphan).expect("a process id")), Signal::SIGKILL).expect("it hangs");
    assert!(!vm.leaks(&[]).is_empty(), "the killed run cannot have removed the file");
    vm.set_guest(&GuestPlan::default());
    let again = vm.run(&["enroll"]);
    assert_enrolled(&vm, &again);
    assert_all_gone(&vm);
}

#[test]
fn second_signal_does_not_interrupt_shutdown() {
    let vm = stuck("azcmagent connect", Outcome::Deaf { stdout: "INFO    Connecting\n".to_owned() });
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("connect.output");
    going.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(200));
    going.signal(Signal::SIGTERM);
    let run = going.finish();
    assert_interrupted(&vm, &run, "SIGTERM");
}

#[test]
fn ignored_sighup_stays_ignored() {
    let vm = stuck("azcmagent connect", hang());
    let root = vm.folder().join("root");
    let ca = root.join(".nexus/ca.pem");
    let mut shell = vm.inside(Path::new("/bin/sh"));
    // As nohup starts a program.
    shell
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(agent_program())
        .arg("enroll")
        .arg("--root")
        .arg(&root);
    shell.env("CURL_CA_BUNDLE", &ca).env("SSL_CERT_FILE", &ca).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = shell.spawn().expect("the agent starts");
    wait_until("connect is called", || !vm.calls_of("azcmagent connect").is_empty());
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    for signal in [Signal::SIGHUP, Signal::SIGTERM] {
        kill(pid, signal).expect("it runs");
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(75));
    let last = vm.log().pop().expect("a last line");
    assert!(last["message"].as_str().unwrap_or_default().contains("SIGTERM"), "{last}");
}

#[test]
fn sigterm_while_observing() {
    let vm = Vm::new().enrolled().call("azcmagent show", Playbook::new().forever(hang())).start();
    let before = vm.tree();
    let mut going = vm.agent(&["doctor"]).spawn();
    going.wait_until("azcmagent show", |vm| !vm.calls_of("azcmagent show").is_empty());
    going.signal(Signal::SIGTERM);
    let run = going.finish();
    assert_eq!(run.code, Some(75), "{}", run.text());
    assert!(run.stderr.contains("stopped by SIGTERM") && run.stdout.is_empty(), "{}", run.text());
    assert_all_gone(&vm);
    assert!(vm.tree() == before, "doctor changes something");
}
