//! Installing azcmagent from a package file, on the VM or by URL.

use super::{assert_not_installed, config, KEYRING, LIST};

use crate::assertions::assert_enrolled;
use crate::nexus::spec::{PACKAGE, PACKAGE_SHA256};
use crate::nexus::vm::{self, Vm};

fn package(source: &str, digest: &str) -> String {
    config(&["install: package", &format!("package: {{{source}, sha256: {digest}}}")], 2)
}

const FILE: &str = "file: /opt/azcmagent.deb";

const URL: &str = "url: \"https://packages.microsoft.com/debian/12/prod/pool/azcmagent_1.58_amd64.deb\"";

#[test]
fn package_file_with_the_right_digest_is_installed() {
    let vm = Vm::new().config(&package(FILE, PACKAGE_SHA256)).file("opt/azcmagent.deb", PACKAGE).start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert!(!vm.path(KEYRING).exists() && !vm.path(LIST).exists());
    assert_eq!(vm.read("opt/azcmagent.deb"), PACKAGE, "the user's own file stays");
}

#[test]
fn package_file_as_large_as_the_real_one_is_installed() {
    let vm = Vm::new().config(&package(FILE, PACKAGE_SHA256)).file("opt/azcmagent.deb", "").start();
    let file = std::fs::File::options().write(true).open(vm.path("opt/azcmagent.deb")).expect("it is there");
    file.set_len(85_000_000).expect("a hole in a file takes no space");
    let digest = "55c0811c239fb243912bdd655d61e2b4c317a4010eef6d80a9293cf040bdc8fb";
    vm.write(vm::CONFIG, &package(FILE, digest));
    assert_enrolled(&vm, &vm.run(&["enroll"]));
}

#[test]
fn package_file_with_another_digest_is_not_installed() {
    let vm = Vm::new().config(&package(FILE, PACKAGE_SHA256)).file("opt/azcmagent.deb", "cut off").start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.package-digest", 19);
    assert!(vm.calls_of("apt-get").is_empty());
    assert!(run.last().to_string().contains(PACKAGE_SHA256), "{}", run.text());
}

#[test]
fn package_file_that_is_missing_is_named() {
    let vm = Vm::new().config(&package(FILE, PACKAGE_SHA256)).start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.package-digest", 19);
    assert!(run.last().to_string().contains("/opt/azcmagent.deb"), "{}", run.text());
}

#[test]
fn package_by_url_comes_through_the_proxy_and_leaves_nothing_behind() {
    let vm = Vm::new().config(&package(URL, PACKAGE_SHA256)).start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let observed = vm.observed();
    assert!(observed
        .azure_at("packages.microsoft.com")
        .iter()
        .any(|seen| seen.target.ends_with("_amd64.deb")));
    assert!(observed.csn.iter().any(|seen| seen.target.starts_with("packages.microsoft.com:443")));
    let kept: Vec<String> = vm.tree().into_keys().filter(|path| path.ends_with(".deb")).collect();
    assert_eq!(kept, Vec::<String>::new(), "85 MB are not left on the disk");
}

#[test]
fn package_by_url_with_another_digest_is_not_installed() {
    let vm = Vm::new().config(&package(URL, &"0".repeat(64))).start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.package-digest", 19);
    assert!(vm.calls_of("apt-get").is_empty());
}

#[test]
fn package_by_url_that_the_proxy_refuses_names_the_host() {
    let vm = Vm::new().config(&package(URL, PACKAGE_SHA256)).csn(|csn| csn.additional.clear()).start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "egress.refused", 17);
    assert!(run.stdout.contains("packages.microsoft.com"), "{}", run.text());
}
