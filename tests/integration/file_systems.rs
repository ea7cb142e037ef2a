//! File systems mounted over a folder of the VM, in its mount namespace.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::nexus::vm::Vm;

fn mount(vm: &Vm, arguments: &[&str], folder: &Path) {
    let mut command: Command = vm.command("mount");
    let status = command.args(arguments).arg(folder).status().expect("mount runs");
    assert!(status.success(), "mount {arguments:?} {}", folder.display());
}

/// Makes a folder read-only.
pub fn read_only(vm: &Vm, folder: &str) {
    let path = vm.root.join(folder);
    let source = path.to_string_lossy().into_owned();
    mount(vm, &["--bind", &source], &path);
    mount(vm, &["-o", "remount,ro,bind"], &path);
}

/// Replaces a folder by a file system of one MiB with the same content.
pub fn small(vm: &Vm, folder: &str) {
    let before = vm.tree();
    mount(vm, &["-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs"], &vm.root.join(folder));
    for (path, content) in before.iter().filter(|(path, _)| path.starts_with(&format!("{folder}/"))) {
        let path = vm.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("there is space still");
    }
}

/// Leaves no space in it.
pub fn fill(vm: &Vm, folder: &str) {
    let mut file = fs::File::create(vm.path(&format!("{folder}/filler"))).expect("a file");
    for size in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

/// Hides a program of the machine that runs the test.
pub fn without(vm: &Vm, program: &str) {
    for folder in ["/usr/local/bin", "/usr/bin", "/bin"] {
        let path = Path::new(folder).join(program);
        if path.exists() {
            mount(vm, &["--bind", "/dev/null"], &path);
        }
    }
}
