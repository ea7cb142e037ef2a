//! What is too much, what may not be read, and where nothing can be written.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::process::{Command, Stdio};

use serde_json::{json, Value};

use super::{archive_of, Unpacked};
use crate::nexus::vm::{agent_program, Vm, CONFIG, LOG};

const MIB: usize = 1 << 20;

/// So many bytes of numbered lines.
fn lines(bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(&format!("line {} of a long log, and then some more words\n", text.len()));
    }
    text
}

#[test]
fn of_a_long_log_the_end_is_kept_and_the_manifest_says_so() {
    let long = lines(3 * MIB) + "the last line\n";
    // A secret where the log is cut: whatever of it is read goes.
    let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n".repeat(1500);
    let cut =
        format!("{}-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n{}", lines(MIB), lines(MIB));
    let vm = Vm::new()
        .enrolled()
        .file("var/log/cloud-init.log", &long)
        .file("var/opt/azcmagent/log/himds.log", &cut)
        .file_with_mode("usr/bin/journalctl", 0o755, "#!/bin/sh\nseq 400000\necho the newest\n")
        .start();
    let run = vm.run(&["bundle"]);
    let archive = archive_of(&vm, &run);
    archive.assert_told();
    let kept = archive.text("cloud-init/cloud-init.log");
    assert!(kept.len() <= MIB && kept.len() > MIB - 200, "{}", kept.len());
    assert!(long.ends_with(&kept) && kept.starts_with("line "), "{}", &kept[..80]);
    assert_eq!(archive.entry("cloud-init/cloud-init.log")["truncated"], true);
    assert_eq!(archive.entry("vm/os-release")["truncated"], false);
    let kept = archive.text("azcmagent/log/himds.log");
    assert!(!kept.contains("MIIEvQ") && !kept.contains("BAQC7VJ"), "{}", &kept[..200]);
    let kept = archive.text("journal/gcad.txt");
    assert!(kept.len() <= MIB && kept.ends_with("\n400000\nthe newest\n"), "{}", kept.len());
    assert_eq!(archive.entry("journal/gcad.txt")["truncated"], true);
    assert!(run.stdout.contains("without their beginning"), "{}", run.stdout);
}

#[test]
fn the_whole_has_a_limit_too() {
    let mut builder = Vm::new().enrolled();
    for index in 0..35 {
        builder = builder.file(&format!("var/opt/azcmagent/log/{index:02}.log"), &lines(MIB));
    }
    let vm = builder.start();
    let archive = archive_of(&vm, &vm.run(&["bundle"]));
    let whole: usize =
        archive.files.iter().filter(|(name, _)| *name != "manifest.json").map(|(_, text)| text.len()).sum();
    assert!(whole <= 16 * MIB && whole > 15 * MIB, "{whole}");
    let missing = archive.manifest()["missing"].to_string();
    assert!(missing.contains("only the 30 newest") && missing.contains("as large as it may be"), "{missing}");
    // What is asked for first is there.
    assert!(archive.files.contains_key("doctor.json") && archive.files.contains_key("identity.json"));
}

#[test]
fn only_regular_files_of_a_folder_of_logs_are_taken() {
    let vm = Vm::new()
        .enrolled()
        .file("secret/shadow", "root:x:1\n")
        .file("var/opt/azcmagent/log/a.log", "a\n")
        .start();
    let log = vm.path("var/opt/azcmagent/log");
    symlink(vm.root.join("secret/shadow"), log.join("link.log")).expect("a link");
    nix::unistd::mkfifo(&log.join("pipe.log"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    fs::create_dir(log.join("folder.log")).expect("a folder");
    fs::write(log.join("packed.log"), b"\x1f\x8b\x08rest").expect("a file");
    let archive = archive_of(&vm, &vm.run(&["bundle"]));
    let taken: Vec<&String> =
        archive.files.keys().filter(|name| name.starts_with("azcmagent/log/")).collect();
    assert_eq!(taken, ["azcmagent/log/a.log"]);
    assert_eq!(archive.why("azcmagent/log/packed.log"), "it is no text");
    assert!(archive.files.values().all(|content| !String::from_utf8_lossy(content).contains("root:x:1")));
}

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
    Unpacked::of(file.path()).assert_told();
    assert!(before == vm.tree(), "nothing is left on the VM");

    // A terminal is no place for it, and a full disk behind it is no success.
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

/// A text that was broken into lines, on one.
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
fn where_it_cannot_be_written_nothing_is_left_and_the_way_out_is_said() {
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
    // What is no regular file stays what it is, and a link is not followed.
    symlink("hostname", vm.path("etc/link")).expect("a link");
    let before = vm.tree();
    let run = vm.run(&["bundle", "/etc/link"]);
    run.assert_code(1);
    assert!(unfolded(&run.stderr).contains("no regular file"), "{}", run.text());
    assert!(before == vm.tree());
    // An archive of an earlier time gives way, and its readers with it.
    vm.write("etc/old.tar.gz", "old");
    vm.run(&["bundle", "/etc/old.tar.gz"]).assert_code(0);
    assert_eq!(vm.mode("etc/old.tar.gz"), 0o600);
    Unpacked::of(&vm.path("etc/old.tar.gz")).assert_told();
}

#[test]
fn told_to_stop_it_leaves_nothing() {
    let vm = Vm::new()
        .enrolled()
        .file_with_mode("usr/bin/journalctl", 0o755, "#!/bin/sh\nexec sleep 77.7\n")
        .start();
    let mut going = vm.agent(&["bundle"]).spawn();
    going.wait_until("a command runs", |vm| !vm.calls_of("azcmagent version").is_empty());
    going.signal(nix::sys::signal::Signal::SIGTERM);
    let run = going.finish();
    run.assert_code(1);
    assert!(run.stderr.contains("told to stop") && run.elapsed.as_secs() < 10, "{}", run.text());
    assert_eq!(fs::read_dir(vm.path("var/tmp")).expect("a folder").count(), 0);
}

#[test]
fn without_root_it_has_what_everybody_may_read() {
    let vm = Vm::new().enrolled().file("var/log/cloud-init.log", "for all\n").start();
    for (path, mode) in [("", 0o777), ("var/tmp", 0o777), (LOG, 0), (CONFIG, 0)] {
        fs::set_permissions(vm.path(path), fs::Permissions::from_mode(mode)).expect("a mode");
    }
    // Outside of the VM's namespaces, which know no other user: what counts here is who may read what.
    let copies = tempfile::tempdir().expect("a folder");
    for folder in [vm.folder(), copies.path()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let agent = copies.path().join("arc-enroll");
    // By another program: a child that is started elsewhere meanwhile would keep our own copy open for writing.
    let copied = Command::new("cp").arg(agent_program()).arg(&agent).status().expect("cp runs");
    assert!(copied.success());
    let mut command = if nix::unistd::geteuid().is_root() {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&agent);
        setpriv
    } else {
        Command::new(&agent)
    };
    let output = command.args(["bundle", "--root"]).arg(&vm.root).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let made = fs::read_dir(vm.root.join("var/tmp")).expect("a folder").flatten().next().expect("an archive");
    let archive = Unpacked::of(&made.path());
    assert_eq!(archive.text("cloud-init/cloud-init.log"), "for all\n");
    assert_eq!(archive.why("cloud-init/cloud-init-output.log"), "permission denied");
    assert_eq!(archive.why("configuration/config.yaml"), "permission denied");
    assert_eq!(archive.manifest()["as_root"], false);
    assert!(archive.text("configuration/problems.txt").contains("ermission denied"));
}
