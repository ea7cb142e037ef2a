//! Installing azcmagent by each method, its services, its proxy.

/// By Microsoft's script.
mod install_script;
/// The keyring of the package repository.
mod keyring;
/// From a package file.
mod package_file;
/// Its `proxy.url`.
mod proxy_url;
/// From the package repository.
mod repository;
/// Its services.
mod services;

use crate::assertions::{assert_stopped, with_windows};
use crate::nexus::run::Run;
use crate::nexus::vm::Vm;

/// The usual configuration with more lines for azcmagent, and a window of this many seconds.
fn config(lines: &[&str], endpoint: u32) -> String {
    let agent = lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    with_windows(&[("endpoint", &format!("{endpoint}s"))]).replace("agent:\n", &format!("agent:\n{agent}"))
}

fn is_installed(vm: &Vm) -> bool {
    vm.path("opt/azcmagent/bin/himds").exists()
}

/// Like [`assert_stopped`], without an installed azcmagent.
fn assert_not_installed(vm: &Vm, run: &Run, fault: &str, code: i32) {
    assert_stopped(vm, run, code, fault);
    assert!(!is_installed(vm), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty(), "{}", run.text());
}

const KEYRING: &str = "usr/share/keyrings/packages-microsoft-prod.asc";
const LIST: &str = "etc/apt/sources.list.d/packages-microsoft-prod.list";
const WORK: &str = "var/lib/arc-enroll/install";
