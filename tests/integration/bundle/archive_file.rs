//! The archive as a file: where it is written, and what is left when that fails.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use serde_json::{json, Value};

use super::{archive_of, Unpacked};
use crate::nexus::vm::{agent_program, Vm};

#[test]
fn folder_of_the_archive_is_made_where_it_is_missing() {
    let vm = Vm::new().enrolled().start();
    fs::remove_dir(vm.path("var/tmp")).expect("an empty folder");
    let archive = archive_of(&vm, &vm.run(&["bundle"]));
    assert!(archive.files.contains_key("doctor.json"));
    let run = vm.run(&["bundle", "/no/such/folder/x.tar.gz"]);
    run.assert_code(1);
    assert!(run.stderr.contains("Name another FILE"), "{}", run.text());
}

#[test]
fn archive_goes_to_standard_output() {
    let vm = Vm::new().enrolled().start();
    let before = vm.tree();
    let mut command = vm.inside(&agent_program());
    let output =
        command.args(["bundle", "-", "--output", "json", "--root"]).arg(&vm.root).output().expect("it runs");
    let told: Value = serde_json::from_slice(&output.stderr).expect("it is JSON");
    assert!(output.status.success());
    assert_eq!((&told["file"], &told["bytes"]), (&json!("-"), &json!(output.stdout.len())));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&output.stdout).expect("it can be written");
    Unpacked::of(file.path()).assert_reported();
    assert!(before == vm.tree(), "nothing is left on the VM");

    // A terminal is refused, and a full disk is a failure.
    let run = vm.agent(&["bundle", "-"]).mode(crate::nexus::run::Mode::Terminal).run();
    run.assert_code(1);
    assert!(run.stdout.contains("redirect it"), "{}", run.text());
    let full = fs::File::options().write(true).open("/dev/full").expect("it is there");
    let mut command = vm.inside(&agent_program());
    command.args(["bundle", "-", "--root"]).arg(&vm.root).stdout(full).stderr(Stdio::piped());
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
}

/// A wrapped text on one line.
fn unfolded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<&str>>().join(" ")
}

/// Puts a full file system of a few pages over a folder of the VM.
fn fill(vm: &Vm, folder: &str) {
    let folder = vm.root.join(folder);
    let script = format!(
        "mount -t tmpfs -o size=16k tmpfs {0} && ! cat /dev/zero 2>/dev/null >{0}/rest",
        folder.display()
    );
    let output = vm.inside("/bin/sh".as_ref()).args(["-c", &script]).output().expect("sh runs");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn failed_write_leaves_nothing_and_suggests_an_alternative() {
    let vm = Vm::new().enrolled().file("etc/fifo/x", "").start();
    fill(&vm, "var/tmp");
    let run = vm.run(&["bundle"]);
    run.assert_code(1);
    let words = unfolded(&run.stderr);
    assert!(
        words.contains("No space left on device") && words.contains("Name another FILE"),
        "{}",
        run.text()
    );
    let left: Vec<_> =
        fs::read_dir(vm.path("var/tmp")).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["rest"]);
    assert!(
        run.stderr.lines().all(|line| line.chars().count() <= 80 || line.contains("/var/tmp/")),
        "{}",
        run.stderr
    );
    let run = vm.run(&["bundle", "/no/such/folder/x.tar.gz"]);
    run.assert_code(1);
    assert!(unfolded(&run.stderr).contains("No such file or directory"), "{}", run.text());
    // Anything but a regular file is not replaced, and a link is not followed.
    symlink("hostname", vm.path("etc/link")).expect("a link");
    let before = vm.tree();
    let run = vm.run(&["bundle", "/etc/link"]);
    run.assert_code(1);
    assert!(unfolded(&run.stderr).contains("not a regular file"), "{}", run.text());
    assert!(before == vm.tree());
    // An earlier archive is replaced, including its permissions.
    vm.write("etc/old.tar.gz", "old");
    vm.run(&["bundle", "/etc/old.tar.gz"]).assert_code(0);
    assert_eq!(vm.mode("etc/old.tar.gz"), 0o600);
    Unpacked::of(&vm.path("etc/old.tar.gz")).assert_reported();
}

#[test]
fn a_signal_leaves_no_archive() {
    let vm = Vm::new()
        .enrolled()
        .file_with_mode("usr/bin/journalctl", 0o755, "#!/bin/sh\nexec sleep 600\n")
        .start();
    // journalctl hangs for longer than the test's limit: only the signal can end this run.
    let mut going = vm.agent(&["bundle"]).spawn();
    going.wait_until("a command runs", |vm| !vm.calls_of("azcmagent version").is_empty());
    going.signal(nix::sys::signal::Signal::SIGTERM);
    let run = going.finish();
    run.assert_code(1);
    assert!(run.stderr.contains("stopped by a signal"), "{}", run.text());
    assert_eq!(fs::read_dir(vm.path("var/tmp")).expect("a folder").count(), 0);
}
