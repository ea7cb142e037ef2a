//! The package managers, the repository and the install script.

use super::{azure, ca, stand_in, PROXY};

use crate::nexus::spec::{Outcome, Playbook, PACKAGE_SHA256};
use crate::nexus::vm::Vm;

/// The list that names the simulated repository, and the key it is signed with.
fn add_repository(vm: &Vm) {
    let (status, body) = azure(vm, "https://packages.microsoft.com/keys/microsoft.asc", None, &[]);
    assert_eq!(status, "200");
    vm.write("usr/share/keyrings/packages-microsoft-prod.asc", body.as_str().expect("a text"));
    vm.write(
        "etc/apt/sources.list.d/packages-microsoft-prod.list",
        "deb [arch=amd64 signed-by=/usr/share/keyrings/packages-microsoft-prod.asc] \
         https://packages.microsoft.com/debian/12/prod bookworm main\n",
    );
}

#[test]
fn package_manager_installs_the_stand_in() {
    let vm = Vm::new().call("apt-get update", Playbook::new().once(Outcome::apt_locked())).start();
    let (code, text) = stand_in(&vm, &["apt-get", "install", "-y", "azcmagent"]);
    assert!(code == 100 && text.contains("Unable to locate package"), "{text}");
    add_repository(&vm);
    let (code, text) = stand_in(&vm, &["apt-get", "update"]);
    assert!(code == 100 && text.contains("Could not get lock"), "{text}");
    assert_eq!(stand_in(&vm, &["apt-get", "update"]).0, 0);
    assert_eq!(stand_in(&vm, &["dpkg-query", "-W", "-f", "${Version}", "azcmagent"]).0, 1);
    assert_eq!(stand_in(&vm, &["apt-get", "install", "-y", "azcmagent=1.57*"]).0, 0);
    let (_, version) = stand_in(&vm, &["dpkg-query", "-W", "-f", "${Version}", "azcmagent"]);
    assert_eq!(version, "1.57.03160.512");
    assert_eq!(stand_in(&vm, &["azcmagent", "version"]).1, "azcmagent version  1.57.03160.512\n");
    let (_, units) =
        stand_in(&vm, &["systemctl", "show", "-p", "Id,ActiveState", "himdsd.service", "no.service"]);
    assert_eq!(units, "Id=himdsd.service\nActiveState=active\n\nId=no.service\nActiveState=inactive\n");
}

#[test]
fn package_manager_reports_success_without_a_download() {
    let vm = Vm::new().csn(|csn| csn.additional.clear()).start();
    vm.write(
        "etc/apt/sources.list.d/packages-microsoft-prod.list",
        "deb https://packages.microsoft.com/debian/12/prod bookworm main\n",
    );
    let (code, text) = stand_in(&vm, &["apt-get", "update"]);
    assert!(code == 0 && text.contains("W: Failed to fetch"), "{text}");
    let (code, _) = stand_in(&vm, &["apt-get", "update", "-o", "APT::Update::Error-Mode=any"]);
    assert_eq!(code, 100);
}

#[test]
fn package_file_is_served_and_installed() {
    let vm = Vm::new().start();
    let url = "https://packages.microsoft.com/debian/12/prod/pool/main/a/azcmagent/azcmagent_1.58_amd64.deb";
    let file = vm.root.join("tmp/azcmagent.deb");
    assert_eq!(azure(&vm, url, None, &["-o", &file.to_string_lossy()]).0, "200");
    let digest = vm.command("sha256sum").arg(&file).output().expect("sha256sum runs");
    assert!(String::from_utf8_lossy(&digest.stdout).starts_with(PACKAGE_SHA256));
    assert_eq!(stand_in(&vm, &["apt-get", "install", "-y", &file.to_string_lossy()]).0, 0);
    assert_eq!(stand_in(&vm, &["azcmagent", "version"]).0, 0);
}

#[test]
fn other_package_managers_install_it_too() {
    let repository = "[packages-microsoft-prod]\nbaseurl=https://packages.microsoft.com/rhel/9/prod/\n";
    let vm = Vm::new().os("rhel", "9.4", "").file("etc/yum.repos.d/microsoft.repo", repository).start();
    assert_eq!(stand_in(&vm, &["dnf", "-y", "install", "azcmagent-1.57.*"]).0, 0);
    assert_eq!(stand_in(&vm, &["azcmagent", "version"]).1, "azcmagent version  1.57.03160.512\n");
    let vm = Vm::new().os("sles", "15.6", "").file("etc/zypp/repos.d/microsoft.repo", repository).start();
    assert_eq!(stand_in(&vm, &["zypper", "--non-interactive", "install", "azcmagent"]).0, 104);
    assert_eq!(stand_in(&vm, &["zypper", "--non-interactive", "refresh"]).0, 0);
    assert_eq!(stand_in(&vm, &["zypper", "--non-interactive", "install", "azcmagent"]).0, 0);
    assert_eq!(stand_in(&vm, &["azcmagent", "version"]).0, 0);
}

#[test]
fn install_script_behaves_like_the_official_one() {
    for (refused, status, words) in [(false, 0, "success"), (true, 1, "AZCM0143")] {
        let vm = Vm::new().csn(|csn| csn.additional.retain(|_| !refused)).start();
        let (code, script) = azure(&vm, "https://aka.ms/azcmagent", None, &["-L"]);
        assert_eq!(code, "200");
        vm.write("tmp/install.sh", script.as_str().expect("a script"));
        let mut command = vm.command("bash");
        command
            .arg(vm.root.join("tmp/install.sh"))
            .args(["--proxy", PROXY, "--output"])
            .arg(vm.root.join("tmp/out"));
        let output = command.env("SSL_CERT_FILE", ca(&vm)).output().expect("bash runs");
        assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(vm.read("tmp/out").contains(words), "{}", vm.read("tmp/out"));
    }
}
