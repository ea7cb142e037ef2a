//! The host: rights, systemd, a read-only /etc, another active run.

use nix::sys::signal::Signal;

use crate::assertions::{assert_enrolled, assert_stopped, evidence, through, waiting, with_windows};
use crate::file_systems::read_only;
use crate::nexus::spec::ImdsPlan;
use crate::nexus::vm::Vm;

#[test]
fn another_active_run_is_waited_for_and_named() {
    let vm = waiting().start();
    let mut first = vm.agent(&["enroll"]).spawn();
    first.wait_for_event("wait.started");
    vm.write("etc/arc-enroll/config.yaml", &with_windows(&[("endpoint", "2s")]));
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
fn a_run_continues_after_the_other_one_ends() {
    let vm = waiting().start();
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
fn without_root_nothing_is_changed() {
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
    // The machine that runs the test may have systemd, which the agent would find.
    let hide = "for f in /usr/bin/systemctl /bin/systemctl; do \
                if [ -e $f ]; then mount --bind /dev/null $f; fi; done; exec \"$@\"";
    let run = through(&vm, "unshare", &["--mount", "--", "/bin/sh", "-c", hide, "sh"]);
    run.assert_code(3).assert_last("failed", Some("host.no-systemd"));
    assert!(vm.read("etc/environment").is_empty(), "{}", vm.read("etc/environment"));
    assert!(vm.observed().imds.is_empty());
    assert!(vm.calls().is_empty());
}

#[test]
fn read_only_etc_is_a_clear_fault_and_changes_nothing() {
    let vm = Vm::new().start();
    read_only(&vm, "etc");
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
