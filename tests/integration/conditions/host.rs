use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::assertions::{assert_enrolled, assert_stopped, evidence, met, patient};
use crate::nexus::run::Run;
use crate::nexus::spec::{Door, ImdsPlan};
use crate::nexus::vm::{agent_program, Vm};

#[test]
fn a_clock_ten_minutes_off_is_a_fault_after_the_time_service_was_asked() {
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.clock_offset_s = 600)
        .config(&patient(&[("endpoint", "2s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 14, "clock.skewed");
    assert!(evidence(&run, "clock.skewed").contains("about 600 s behind the sidecar's"), "{}", run.text());
    assert_eq!(run.events("repair.started").iter().filter(|line| line["fault"] == "clock.skewed").count(), 1);
    assert!(vm.observed().tokens.is_empty());
}

#[test]
fn a_clock_that_is_set_right_meanwhile_is_noticed() {
    let vm = Vm::new().installed().imds(|imds| imds.clock_offset_s = -600).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    vm.set_imds(ImdsPlan::default());
    let run = going.finish();
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "clock.skewed").contains("about 600 s ahead of"), "{}", run.text());
}

#[test]
fn another_run_at_work_is_waited_for_and_then_named() {
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.door = Door::Closed)
        .config(&patient(&[("boot", "60s"), ("endpoint", "20s")]))
        .start();
    let mut first = vm.agent(&["enroll"]).spawn();
    first.wait_for_event("wait.started");
    vm.write("etc/arc-enroll/config.yaml", &patient(&[("endpoint", "2s")]));
    let second = vm.run(&["enroll"]);
    second.assert_code(11).assert_last("failed", Some("host.busy"));
    assert!(vm.record().is_none(), "the record belongs to the run that is at work");
    let text = evidence(&second, "host.busy");
    let holder = vm.read("run/arc-enroll/lock").trim().to_owned();
    assert!(text.contains(&format!("(process {holder})")) && text.contains("run/arc-enroll/lock"), "{text}");
    assert!(second.stdout.contains(&format!("kill {holder}\n")), "{}", second.text());
    first.signal(Signal::SIGTERM);
    let first = first.finish();
    first.assert_code(75).assert_last("waiting", Some("run.interrupted"));
}

#[test]
fn a_run_goes_on_when_the_other_one_has_ended() {
    let vm = Vm::new().installed().imds(|imds| imds.door = Door::Closed).start();
    let mut first = vm.agent(&["enroll"]).spawn();
    first.wait_for_event("wait.started");
    let mut second = vm.agent(&["enroll"]).spawn();
    second.wait_until("the second run waits", |vm| vm.log().iter().any(|line| line["fault"] == "host.busy"));
    first.signal(Signal::SIGTERM);
    first.finish().assert_code(75);
    vm.set_imds(ImdsPlan::default());
    let second = second.finish();
    assert_enrolled(&vm, &second);
}

#[test]
fn the_deadline_of_the_run_is_shorter_than_every_window() {
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.door = Door::Closed)
        .config(&patient(&[("boot", "2s"), ("token", "10m"), ("access", "10m"), ("endpoint", "10m")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "imds.refused");
    assert!(run.elapsed < Duration::from_secs(5), "{:?}", run.elapsed);
    assert!(met(&run, "imds.refused")[0]["remaining_s"].as_u64() <= Some(2), "{}", run.text());
}

/// Runs the agent through another program, as it stands in the VM.
fn through(vm: &Vm, program: &str, arguments: &[&str]) -> Run {
    let mut command: Command = vm.command(program);
    command.args(arguments).arg(agent_program()).args(["enroll", "--root"]).arg(&vm.root);
    let output = command.output().expect("the agent runs");
    let lines: Vec<Value> = vm.log();
    Run {
        code: output.status.code(),
        signal: None,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        elapsed: Duration::ZERO,
        lines,
        log: vm.read("var/log/cloud-init-output.log"),
    }
}

#[test]
fn without_root_nothing_is_touched() {
    let vm = Vm::new().installed().start();
    let before = vm.tree();
    let run = through(&vm, "unshare", &["--user", "--map-user=1000", "--"]);
    run.assert_code(3).assert_last("failed", Some("host.not-root"));
    assert!(run.stdout.contains("sudo arc-enroll enroll"), "{}", run.text());
    let mut after = vm.tree();
    let log = "var/log/cloud-init-output.log";
    after.insert(log.to_owned(), before[log].clone());
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(before == after, "a file was changed");
    assert!(vm.observed().imds.is_empty());
}

#[test]
fn without_systemd_the_machine_is_not_suitable() {
    let vm = Vm::new().installed().start();
    std::fs::remove_file(vm.path("usr/bin/systemctl")).expect("the stand-in can be removed");
    // The machine that runs the test may have one of its own, which the agent would find.
    let hide = "for f in /usr/bin/systemctl /bin/systemctl; do \
                if [ -e $f ]; then mount --bind /dev/null $f; fi; done; exec \"$@\"";
    let run = through(&vm, "unshare", &["--mount", "--", "/bin/sh", "-c", hide, "sh"]);
    run.assert_code(3).assert_last("failed", Some("host.no-systemd"));
    assert!(vm.read("etc/environment").is_empty(), "{}", vm.read("etc/environment"));
    assert!(vm.observed().imds.is_empty());
    assert!(vm.calls().is_empty());
}
