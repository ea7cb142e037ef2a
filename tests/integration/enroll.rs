//! The complete path from the configuration to one Arc machine; a second run changes nothing.

/// The target: identity, tenant, name, tags, as they arrive at the sidecar and in Azure.
mod target;

use std::collections::BTreeMap;

use crate::assertions::{assert_enrolled, CONDITIONS};
use crate::nexus::spec::{AGENT_VERSION, LOCATION, RESOURCE_GROUP, SUBSCRIPTION, TENANT, VM_NAME};
use crate::nexus::vm::{Vm, LOG, RECORD};

#[test]
fn a_fresh_vm_gets_azcmagent_and_is_enrolled() {
    let vm = Vm::new().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(vm.calls_of("apt-get install").len(), 1);
    assert!(vm
        .read("etc/apt/sources.list.d/packages-microsoft-prod.list")
        .contains("packages.microsoft.com"));
    let units = vm.system().units;
    assert_eq!(units["himdsd.service"].active, "active");
    let connects = vm.calls_of("azcmagent connect");
    assert_eq!(connects.len(), 1);
    let file = connects[0].config.as_ref().expect("a configuration file");
    assert_eq!((file.mode.as_str(), file.file_system.as_str()), ("600", "tmpfs"));
    let target = [
        ("subscription-id", SUBSCRIPTION),
        ("resource-group", RESOURCE_GROUP),
        ("location", LOCATION),
        ("resource-name", VM_NAME),
        ("tenant-id", TENANT),
        ("cloud", "AzureCloud"),
        ("correlation-id", run.last()["run_id"].as_str().unwrap_or_default()),
    ];
    for (name, value) in target {
        assert_eq!(file.content[name], value, "{name}");
    }
    let machine = &vm.observed().machines[VM_NAME];
    assert_eq!(
        (&machine["location"], &machine["properties"]["status"]),
        (&LOCATION.into(), &"Connected".into())
    );
    assert_eq!(vm.observed().token_requests().len(), 1);
    assert_eq!(run.events("token.acquired").len(), 1);
}

#[test]
fn installed_azcmagent_is_kept() {
    let vm = Vm::new().installed().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(vm.calls_of("apt-get").is_empty());
    assert!(!vm.path("etc/apt/sources.list.d/packages-microsoft-prod.list").exists());
    assert_eq!(vm.calls_of("azcmagent config set").len(), 1, "the proxy, once");
    let version = format!("azcmagent {AGENT_VERSION}");
    let holds = run.events("condition.holds");
    assert!(holds.iter().any(|line| line["message"].to_string().contains(&version)), "{}", run.text());
}

#[test]
fn every_condition_holds_in_order() {
    let vm = Vm::new().installed().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let mut names: Vec<String> = Vec::new();
    for line in run.events("condition.holds") {
        let name = line["condition"].as_str().unwrap_or_default().to_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    assert_eq!(names, CONDITIONS);
}

/// Everything on the VM but the log and the record of the last run.
fn state(vm: &Vm) -> BTreeMap<String, Vec<u8>> {
    let mut tree = vm.tree();
    tree.retain(|path, _| path != LOG && path != RECORD && path != "run/arc-enroll/lock");
    tree
}

#[test]
fn a_second_run_changes_nothing() {
    let vm = Vm::new().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let (before, calls, observed) = (state(&vm), vm.calls().len(), vm.observed());
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let after = state(&vm);
    let changed: Vec<&String> = after.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty() && before.len() == after.len(), "changed: {changed:?}");
    let calls: Vec<String> = vm.calls().drain(..).skip(calls).map(|call| call.argv.join(" ")).collect();
    let changes = |call: &&String| {
        ["connect", "config set", "install", "start", "restart", "enable", "daemon-reexec", "disconnect"]
            .iter()
            .any(|word| call.contains(word) && !call.starts_with("show "))
    };
    assert_eq!(calls.iter().filter(changes).collect::<Vec<_>>(), Vec::<&String>::new());
    // No request is sent to the sidecar, the proxy or Azure.
    let now = vm.observed();
    assert_eq!(now.imds.len(), observed.imds.len());
    assert_eq!(now.csn.len(), observed.csn.len());
    assert_eq!(now.tokens.len(), observed.tokens.len());
    assert!(
        run.events("repair.started").is_empty() && run.events("file.started").len() <= 1,
        "{}",
        run.text()
    );
}

#[test]
fn a_vm_that_was_enrolled_by_hand_only_gets_its_proxy_settings() {
    let vm = Vm::new().enrolled().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(vm.calls_of("azcmagent connect").is_empty());
    assert!(vm.observed().imds.is_empty());
    assert!(vm.read("etc/environment").contains("no_proxy="));
}
