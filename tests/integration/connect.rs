//! `azcmagent connect` and `azcmagent show`: the result of each outcome, and that an enrolled machine is never moved
//! or enrolled again.

/// VMs that azcmagent detects as Azure VMs.
mod azure_vm;
/// VMs and names that are already connected.
mod connected_before;
/// Copies of an enrolled VM.
mod copies;
/// Machines whose identity has expired.
mod expired;
/// Failures of `azcmagent connect`.
mod failures;
/// Output of `azcmagent show`.
mod show;
/// How the token is handed over.
mod token;

use serde_json::json;

use crate::assertions::{assert_no_secret_left, with_windows};
use crate::nexus::run::Run;
use crate::nexus::spec::{machine_id, Outcome, Playbook, Reply, VM_NAME};
use crate::nexus::vm::{Builder, Vm};

/// The usual configuration with more lines for azcmagent, and a window of this many seconds.
fn config(lines: &str, endpoint: u32) -> String {
    with_windows(&[("endpoint", &format!("{endpoint}s"))]).replace("agent:\n", &format!("agent:\n{lines}"))
}

/// A VM with azcmagent whose connect has these outcomes, with a window of this many seconds.
fn connecting(playbook: Playbook<Outcome>, endpoint: u32) -> Builder {
    Vm::new().installed().config(&config("", endpoint)).call("azcmagent connect", playbook)
}

fn connects(vm: &Vm) -> usize {
    vm.calls_of("azcmagent connect").len()
}

/// Asserts that the run ended with this fault, and that nothing was disconnected or deleted.
fn assert_ended(vm: &Vm, run: &Run, fault: &str, code: i32) {
    let outcome = if code == 75 { "waiting" } else { "failed" };
    run.assert_code(code).assert_last(outcome, Some(fault));
    let record = vm.record().expect("a record was written");
    let told = (&record["outcome"], &record["fault"], &record["exit_code"]);
    assert_eq!(told, (&outcome.into(), &fault.into(), &code.into()));
    assert_no_secret_left(vm, run);
    assert_nothing_undone(vm);
}

fn assert_nothing_undone(vm: &Vm) {
    assert!(vm.calls_of("azcmagent disconnect").is_empty());
    assert!(vm.observed().azure.iter().all(|seen| seen.method != "DELETE"));
}

/// Another machine group than the one that the configuration names.
fn elsewhere() -> String {
    machine_id(VM_NAME).replace("contoso-nexus-rg", "another-rg")
}

/// `azcmagent show` as before himds has read its state, this many times.
fn blank(times: u32) -> Playbook<Outcome> {
    let members = json!({
        "resourceId": "", "resourceName": "", "subscriptionId": "", "resourceGroup": "", "status": "Disconnected"
    });
    Playbook::new().times(times, Outcome::Patch(members))
}

fn azure_vm() -> Builder {
    let instance = Reply::json(200, &json!({"azEnvironment": "AzurePublicCloud", "vmId": "1"}));
    Vm::new().imds(|imds| imds.instance = Some(instance))
}

/// A VM whose connect always has this output and exit code.
fn saying(code: u8, words: &str) -> Builder {
    Vm::new()
        .installed()
        .config(&with_windows(&[("endpoint", "1s"), ("token", "1s"), ("access", "1s")]))
        .call("azcmagent connect", Playbook::new().forever(Outcome::exit(code, words)))
}
