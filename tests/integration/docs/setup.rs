//! The README's two commands on machines with missing tools: `tests/setup.sh` with stand-ins for the
//! programs that it calls. `tests/fresh_machine/run` tries the same on real machines.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{readme, repository, text};

const NEW_RUST: &str = "echo rust 1.85.0";
const OLD_RUST: &str = "echo rust 1.75.0";
/// Says which packages there are; the versions are those of the releases.
const DEBIAN_12: &str = "case $2 in cargo) v=0.66.0+ds1-1 ;; cargo-web) v=1.85.0+dfsg3-1~deb12u3 ;; esac
printf '%s:\n  Candidate: %s\n' $2 $v";
const DEBIAN_13: &str = "case $2 in cargo) v=1.85.0+dfsg3-1 ;; *) v='(none)' ;; esac
printf '%s:\n  Candidate: %s\n' $2 $v";
const UBUNTU_24_04: &str = "case $2 in cargo) v=1.75.0+dfsg0ubuntu1-0ubuntu7 ;; *) v='(none)' ;; esac
printf '%s:\n  Candidate: %s\n' $2 $v";
const ROOT: &str = "echo 0";
const USER: &str = "echo 1000";

/// A machine with the given programs and basic Linux tools.
struct Machine(TempDir);

impl Machine {
    fn new(programs: &[(&str, &str)]) -> Self {
        let machine = Self(TempDir::new().expect("a folder can be made"));
        for folder in ["bin", "packages"] {
            fs::create_dir(machine.0.path().join(folder)).expect("a folder can be made");
        }
        for name in ["cut", "env", "grep", "sed", "sort"] {
            symlink(Path::new("/usr/bin").join(name), machine.0.path().join("bin").join(name))
                .expect("a link");
        }
        for (name, script) in programs {
            machine.put("bin", name, script);
        }
        machine
    }

    /// A Debian whose apt-get records its arguments and installs all of `packages`.
    fn debian(cache: &str, id: &str, programs: &[(&str, &str)]) -> Self {
        let machine = Self::new(programs);
        let folder = machine.0.path().display().to_string();
        let apt_get = format!(
            "echo \"$*\" >> {folder}/apt-get\ncase \"$*\" in *' install '*) \
             for p in {folder}/packages/*; do /bin/cp \"$p\" {folder}/bin; done ;; esac"
        );
        machine.put("bin", "apt-get", &apt_get);
        machine.put("bin", "apt-cache", cache);
        machine.put("bin", "id", id);
        if !programs.iter().any(|(name, _)| *name == "dpkg-query") {
            machine.put("bin", "dpkg-query", "exit 1");
        }
        machine
    }

    fn put(&self, folder: &str, name: &str, script: &str) {
        let path = self.0.path().join(folder).join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a program can be written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it can be executed");
    }

    /// The exit code and output of checking for these needs.
    fn set_up(&self, needs: &str) -> (i32, String) {
        let script = format!("set -euo pipefail; . tests/setup.sh; set_up {needs}");
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &script, "tests/demo"]).current_dir(repository()).env_clear();
        command.env("PATH", self.0.path().join("bin")).env("HOME", self.0.path());
        let output = command.output().expect("bash runs");
        assert_eq!(output.stdout, b"", "what is said goes to standard error");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        (output.status.code().expect("it ends by itself"), said)
    }

    /// The packages that apt-get was called with.
    fn installed(&self) -> Option<String> {
        let told = fs::read_to_string(self.0.path().join("apt-get")).unwrap_or_default();
        let line = told.lines().find(|line| line.contains(" install "))?;
        Some(line.split("Use-Pty=0 ").nth(1).expect("packages").to_owned())
    }
}

#[test]
fn with_everything_there_nothing_is_said_or_installed() {
    let here = [("cargo", NEW_RUST), ("rustc", NEW_RUST), ("cc", "exit 0"), ("curl", ""), ("python3", "")];
    let machine = Machine::debian(DEBIAN_13, ROOT, &here);
    assert_eq!(machine.set_up("rust c-compiler curl python-venv"), (0, String::new()));
    assert_eq!(machine.installed(), None);
}

#[test]
fn rustup_s_cargo_is_found_where_the_path_lacks_it() {
    let machine = Machine::new(&[]);
    fs::create_dir_all(machine.0.path().join(".cargo/bin")).expect("a folder");
    machine.put(".cargo/bin", "cargo", NEW_RUST);
    machine.put(".cargo/bin", "rustc", NEW_RUST);
    assert_eq!(machine.set_up("rust"), (0, String::new()));
}

#[test]
fn debian_s_own_rust_is_installed_where_it_is_new_enough() {
    for (cache, package) in [(DEBIAN_13, "cargo"), (DEBIAN_12, "cargo-web")] {
        let machine = Machine::debian(cache, ROOT, &[("python3", "exit 1")]);
        for name in ["cargo", "rustc"] {
            machine.put("packages", name, NEW_RUST);
        }
        for name in ["cc", "python3", "tinyproxy"] {
            machine.put("packages", name, "exit 0");
        }
        let (code, said) = machine.set_up("rust c-compiler python-venv tinyproxy");
        assert_eq!(code, 0, "{said}");
        let packages = format!("{package} gcc libc6-dev python3-venv tinyproxy-bin");
        assert_eq!(machine.installed(), Some(packages.clone()));
        assert!(
            said.contains("demo: missing on this machine: rust c-compiler python-venv tinyproxy\n"),
            "{said}"
        );
        assert!(said.contains(&format!("demo: installing {packages}\n")), "{said}");
    }
}

#[test]
fn a_user_installs_by_sudo() {
    let machine = Machine::debian(DEBIAN_13, USER, &[("sudo", "SUDO=yes exec \"$@\"")]);
    machine.put("packages", "curl", "");
    let (code, said) = machine.set_up("curl");
    assert_eq!((code, machine.installed().as_deref()), (0, Some("curl")), "{said}");
}

#[test]
fn without_root_and_sudo_the_command_is_printed() {
    let machine = Machine::debian(DEBIAN_12, USER, &[]);
    let (code, said) = machine.set_up("rust c-compiler curl");
    assert_eq!((code, machine.installed()), (1, None), "{said}");
    let command = "apt-get update && apt-get install --no-install-recommends cargo-web gcc libc6-dev curl\n";
    assert!(said.contains(command), "{said}");
}

#[test]
fn where_the_distribution_s_rust_is_too_old_rustup_is_named() {
    let old = [("cargo", OLD_RUST), ("rustc", OLD_RUST)];
    let machine = Machine::debian(UBUNTU_24_04, ROOT, &old);
    machine.put("packages", "curl", "");
    let (code, said) = machine.set_up("rust curl");
    assert_eq!((code, machine.installed().as_deref()), (1, Some("curl")), "{said}");
    assert!(said.contains("Rust 1.85 or later is needed; here is: 1.75.0\n"), "{said}");
    assert!(said.contains("curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh\n"), "{said}");
    machine.put("bin", "rustup", "");
    assert!(machine.set_up("rust").1.contains("rustup update stable && rustup default stable\n"));
}

/// `cargo-web` would remove the package `cargo`, which the user installed.
#[test]
fn an_installed_package_of_rust_is_not_replaced() {
    let old = [
        ("cargo", OLD_RUST),
        ("rustc", OLD_RUST),
        ("dpkg-query", "echo not-installed; echo installed; exit 1"),
    ];
    let machine = Machine::debian(DEBIAN_12, ROOT, &old);
    let (code, said) = machine.set_up("rust");
    assert_eq!((code, machine.installed()), (1, None), "{said}");
    assert!(said.contains("apt-get install --no-install-recommends cargo-web\n"), "{said}");
    assert!(said.contains("cargo-web replaces the packages of Rust that are installed\n"), "{said}");
    assert!(said.contains("https://sh.rustup.rs"), "{said}");
}

#[test]
fn other_distributions_are_told_the_names_of_their_packages() {
    for (manager, packages) in [
        ("dnf", "cargo gcc glibc-devel iproute procps-ng python3"),
        ("zypper", "cargo gcc glibc-devel iproute2 procps python3"),
    ] {
        let machine = Machine::new(&[(manager, "exit 9")]);
        let (code, said) = machine.set_up("rust c-compiler ip pgrep python-venv");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&format!("as root: {manager} install {packages}\n")), "{said}");
    }
    let (code, said) = Machine::new(&[]).set_up("rust c-compiler");
    assert_eq!(code, 1);
    assert!(said.contains("still missing: rust c-compiler\n"), "{said}");
}

#[test]
fn the_readme_names_the_needs_of_its_commands() {
    let readme = readme();
    assert!(readme.contains(&format!("Rust {} or later", rust_version())));
    for (script, needs) in [
        ("tests/demo", "rust c-compiler certificates curl"),
        ("tests/run", "rust c-compiler certificates curl ip pgrep python-venv systemd-analyze tinyproxy"),
    ] {
        assert!(text(script).contains(&format!("\nset_up {needs}\n")), "{script}");
    }
    for need in ["a C compiler", "curl", " ip,", "pgrep", "Python's venv", "systemd-analyze", "tinyproxy"] {
        assert!(readme.contains(need), "the README does not name {need}");
    }
}

/// Debian 13's cargo rejects the lock file because of one development dependency that needs a newer compiler.
#[test]
fn every_locked_package_builds_with_the_oldest_rust() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version=1", "--locked", "--offline"]).current_dir(repository());
    let output = cargo.arg("--filter-platform=x86_64-unknown-linux-gnu").output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let number = |part: &str| part.parse::<u32>().expect("a number");
    let version = |text: &str| text.split('.').map(number).collect::<Vec<_>>();
    let oldest = version(&rust_version());
    let wanted =
        packages.iter().filter_map(|package| Some((package, version(package["rust_version"].as_str()?))));
    let newer: Vec<String> = wanted
        .filter(|(_, wanted)| wanted.iter().take(2).gt(oldest.iter().take(2)))
        .map(|(package, _)| format!("{} {}", package["name"], package["rust_version"]))
        .collect();
    assert!(newer.is_empty() && packages.len() > 50, "these ask for a newer Rust: {newer:?}");
}

fn rust_version() -> String {
    let manifest = text("Cargo.toml");
    let version = manifest.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next());
    version.expect("a version").to_owned()
}
