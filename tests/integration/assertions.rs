//! Assertions on how a run ends: exit code, last line, record, and the resulting state.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::nexus::run::Run;
use crate::nexus::spec::{PortState, VM_NAME};
use crate::nexus::vm::{agent_program, config, Builder, Vm};

/// The conditions by name, in their order.
pub const CONDITIONS: [&str; 11] = [
    "host",
    "proxy-environment",
    "imds",
    "clock",
    "proxy",
    "dns",
    "egress",
    "identity",
    "agent",
    "access",
    "connected",
];

/// The usual configuration with other windows, given by name: `("endpoint", "3s")`.
pub fn with_windows(windows: &[(&str, &str)]) -> String {
    let mut lines: Vec<String> = config().lines().map(str::to_owned).collect();
    for (name, value) in windows {
        let start = format!("  {name}: ");
        let line = lines.iter_mut().find(|line| line.starts_with(&start)).expect("a window of this name");
        *line = format!("{start}{value}");
    }
    lines.join("\n") + "\n"
}

/// A VM without its sidecar, on which a run waits for longer than the test's limit.
pub fn waiting() -> Builder {
    let config = with_windows(&[("boot", "1h"), ("endpoint", "1h")]);
    Vm::new().installed().imds(|imds| imds.port_state = PortState::Closed).config(&config)
}

/// A configuration with more members below `azure:`.
pub fn with_azure(text: &str, members: &str) -> String {
    text.replacen("azure:\n", &format!("azure:\n{members}"), 1)
}

/// Asserts that the run enrolled the VM: one Arc machine of this name, and no readable token.
pub fn assert_enrolled_as(name: &str, vm: &Vm, run: &Run) {
    run.assert_code(0).assert_last("enrolled", None);
    let machines = vm.observed().machines;
    assert!(machines.keys().eq([name]), "Arc machines: {machines:?}\n{}", run.text());
    let record = vm.record().expect("a record");
    assert_eq!(
        (&record["outcome"], &record["fault"], &record["exit_code"]),
        (&"enrolled".into(), &Value::Null, &0.into())
    );
    assert_no_secret_left(vm, run);
}

/// As [`assert_enrolled_as`], under the VM's own name.
pub fn assert_enrolled(vm: &Vm, run: &Run) {
    assert_enrolled_as(VM_NAME, vm, run);
}

/// Asserts that the run ended with this fault, enrolled nothing, and that log, record and exit code agree.
pub fn assert_stopped(vm: &Vm, run: &Run, code: i32, fault: &str) {
    let outcome = if code == 75 { "waiting" } else { "failed" };
    run.assert_code(code).assert_last(outcome, Some(fault));
    assert_eq!(run.last()["exit_code"], code, "{}", run.text());
    let machines = vm.observed().machines;
    assert!(machines.is_empty(), "Arc machines: {machines:?}\n{}", run.text());
    let record = vm.record().expect("a record");
    assert_eq!(
        (&record["outcome"], &record["fault"], &record["exit_code"]),
        (&outcome.into(), &fault.into(), &code.into()),
        "{record}"
    );
    assert_eq!(record["next"], run.last()["next"], "{record}");
    assert_no_secret_left(vm, run);
}

/// Asserts that no token is in a file or an output, and that the run directory holds only the lock.
pub fn assert_no_secret_left(vm: &Vm, run: &Run) {
    assert_eq!(vm.leaks(&[run]), Vec::<String>::new(), "{}", run.text());
    let left: Vec<String> = fs::read_dir(vm.path("run/arc-enroll"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "lock")
        .collect();
    assert!(left.is_empty(), "left in memory: {left:?}");
    for call in vm.calls() {
        assert!(!call.token_in_argv && !call.token_in_env, "{call:?}");
    }
}

/// The log lines in which a condition failed with this fault.
pub fn met<'a>(run: &'a Run, fault: &str) -> Vec<&'a Value> {
    run.events("condition.fails").into_iter().filter(|line| line["fault"] == fault).collect()
}

/// The evidence of the first occurrence of a fault.
pub fn evidence(run: &Run, fault: &str) -> String {
    let lines = met(run, fault);
    let line = lines.first().unwrap_or_else(|| panic!("{fault} was not met\n{}", run.text()));
    line["evidence"].as_str().unwrap_or_default().to_owned()
}

/// The announced waits of the run for a fault, in milliseconds.
pub fn waits(run: &Run, fault: &str) -> Vec<u64> {
    let lines = run.events("wait.started").into_iter().filter(|line| line["fault"] == fault);
    lines.filter_map(|line| line["delay_ms"].as_u64()).collect()
}

/// Runs the agent through another program inside the VM.
pub fn through(vm: &Vm, program: &str, arguments: &[&str]) -> Run {
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
