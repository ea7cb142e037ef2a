//! Which files are read, and what an ordinary user gets.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::process::Command;

use super::{archive_of, Unpacked};
use crate::nexus::vm::{agent_program, Vm, CONFIG, LOG};

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
    assert_eq!(archive.why("azcmagent/log/packed.log"), "it is not text");
    assert!(archive.files.values().all(|content| !String::from_utf8_lossy(content).contains("root:x:1")));
}

#[test]
fn bundle_without_root_has_world_readable_files() {
    let vm = Vm::new().enrolled().file("var/log/cloud-init.log", "for all\n").start();
    for (path, mode) in [("", 0o777), ("var/tmp", 0o777), (LOG, 0), (CONFIG, 0)] {
        fs::set_permissions(vm.path(path), fs::Permissions::from_mode(mode)).expect("a mode");
    }
    // Outside the VM's user namespace, which has no second user: the test is about read permissions.
    let copies = tempfile::tempdir().expect("a folder");
    for folder in [vm.folder(), copies.path()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let agent = copies.path().join("arc-enroll");
    // By another program: a child started concurrently by this process would keep the file open for writing.
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
