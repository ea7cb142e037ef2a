//! Installing azcmagent from the package repository: key, lock, cut-off installations, pinned versions.

use super::{assert_not_installed, config, KEYRING, LIST};
use serde_json::Value;

use crate::assertions::{assert_enrolled, evidence};
use crate::nexus::spec::{Outcome, Playbook, Reply, System, Unit, AGENT_VERSION, SERVICES};
use crate::nexus::vm::{self, Vm};

fn version(vm: &Vm) -> String {
    let packages: Value = serde_json::from_str(&vm.read(".nexus/packages.json")).expect("it is JSON");
    packages["installed"]["azcmagent"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn install_never_is_a_manual_fault() {
    let vm = Vm::new().config(&config(&["install: never"], 3)).start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.absent-by-configuration", 19);
    assert!(vm.calls_of("apt-get").is_empty());
    assert!(run.stdout.contains("agent.install"), "{}", run.text());
}

#[test]
fn repository_is_set_up_with_its_checked_key() {
    let vm = Vm::new().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(vm.read(KEYRING).contains("BEGIN PGP PUBLIC KEY BLOCK"));
    let list = vm.read(LIST);
    let signed = "signed-by=/usr/share/keyrings/packages-microsoft-prod.asc";
    assert!(
        list.contains(signed) && list.contains("https://packages.microsoft.com/debian/12/prod bookworm main")
    );
    assert_eq!((vm.mode(KEYRING), vm.mode(LIST)), (0o644, 0o644));
    let calls: Vec<String> = vm.calls_of("apt-get").into_iter().map(|call| call.call).collect();
    assert_eq!(calls, ["apt-get update", "apt-get install"]);
    let update = &vm.calls_of("apt-get update")[0];
    assert!(update.argv.iter().any(|word| word.ends_with("packages-microsoft-prod.list")), "{update:?}");
    assert_eq!(update.env["https_proxy"], "http://169.254.0.11:3128");
    assert_eq!(version(&vm), AGENT_VERSION);
}

#[test]
fn repository_with_another_key_is_not_trusted() {
    let other = "repository_key: [0123456789ABCDEF0123456789ABCDEF01234567]";
    let own = vm::config().lines().find(|line| line.contains("repository_key")).map(str::to_owned);
    let text = vm::config().replace(own.expect("a key").trim(), other);
    let vm = Vm::new().config(&text).start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.repository-key", 19);
    assert!(!vm.path(KEYRING).exists() && !vm.path(LIST).exists());
    assert!(vm.calls_of("apt-get").is_empty());
}

#[test]
fn invalid_key_is_not_trusted() {
    let vm = Vm::new()
        .azure(|azure| {
            // The egress check looks at the same host first.
            let page = Reply::text(200, "<html>sign in to the network</html>").act();
            azure.routes.insert("packages".into(), Playbook::new().forever(page));
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.repository-key", 19);
    assert!(!vm.path(KEYRING).exists() && !vm.path(LIST).exists());
}

#[test]
fn unknown_distribution_is_named() {
    let vm = Vm::new().os("gentoo", "2.15", "").start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.distribution-unsupported", 19);
    assert!(run.stdout.contains("gentoo"), "{}", run.text());
}

#[test]
fn package_manager_lock_is_retried() {
    let vm = Vm::new()
        .call("apt-get update", Playbook::new().once(Outcome::apt_locked()))
        .call("apt-get install", Playbook::new().once(Outcome::apt_locked()))
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let waited = run.events("condition.fails").iter().any(|line| {
        line["fault"] == "agent.package-lock"
            && line["evidence"].as_str().is_some_and(|text| text.contains("lock"))
    });
    assert!(waited, "{}", run.text());
}

#[test]
fn package_manager_lock_ends_with_the_window() {
    let vm = Vm::new()
        .config(&config(&[], 3))
        .call("apt-get update", Playbook::new().forever(Outcome::apt_locked()))
        .start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.package-lock", 75);
    assert!(vm.calls_of("apt-get update").len() > 1);
    let again = vm.run(&["enroll"]);
    assert_not_installed(&vm, &again, "agent.package-lock", 75);
}

#[test]
fn repository_that_is_briefly_down_is_retried() {
    let down = Reply::text(503, "down").act();
    let vm = Vm::new()
        .azure(|azure| {
            azure.routes.insert("packages".into(), Playbook::new().times(3, down));
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "agent.source-unreachable").contains("503"));
}

#[test]
fn repository_that_stays_down_ends_with_a_retryable_fault() {
    let text = "Err:1 https://packages.microsoft.com/debian/12/prod bookworm InRelease\n  503  Service Unavailable\n\
                E: Failed to fetch https://packages.microsoft.com/debian/12/prod/dists/bookworm/InRelease  503  \
                Service Unavailable\nE: Some index files failed to download.\n";
    let vm = Vm::new()
        .config(&config(&[], 2))
        .call("apt-get update", Playbook::new().forever(Outcome::exit(100, text)))
        .start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.source-unreachable", 75);
    assert!(vm.calls_of("apt-get install").is_empty());
}

#[test]
fn interrupted_dpkg_is_finished_first() {
    let text =
        "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n";
    let vm = Vm::new().call("apt-get install", Playbook::new().once(Outcome::exit(100, text))).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let configured = vm.calls_of("dpkg --configure");
    assert_eq!(configured.len(), 1, "{}", run.text());
    assert!(configured[0].env.contains_key("DEBIAN_FRONTEND"));
    assert_eq!(vm.calls_of("apt-get install").len(), 2);
}

#[test]
fn dpkg_repair_is_bounded() {
    let text =
        "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n";
    let vm = Vm::new()
        .config(&config(&[], 2))
        .call("apt-get install", Playbook::new().forever(Outcome::exit(100, text)))
        .start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.package-manager-interrupted", 75);
    assert_eq!(vm.calls_of("dpkg --configure").len(), 1, "{}", run.text());
}

/// A VM on which the power was cut while dpkg had azcmagent in this state.
fn cut_off(state: &str) -> Vm {
    let seen = Playbook::new().once(Outcome::exit(0, state));
    Vm::new().installed().call("dpkg-query", seen).system(stop_services).start()
}

fn stop_services(system: &mut System) {
    for name in SERVICES {
        system.units.insert(name.to_owned(), Unit::stopped());
    }
}

#[test]
fn interrupted_installation_is_finished_before_services_start() {
    for state in ["unpacked", "half-configured", "triggers-pending"] {
        let vm = cut_off(state);
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        assert_eq!(vm.calls_of("dpkg --configure").len(), 1, "{state}: {}", run.text());
        let first = run.events("condition.fails").into_iter().find(|line| line["condition"] == "agent");
        let first = first.expect("a fault of the agent");
        assert_eq!(first["fault"], "agent.package-manager-interrupted", "{}", run.text());
        assert_eq!(first["evidence"], format!("dpkg has azcmagent {state}"));
        assert!(vm.calls_of("apt-get install").is_empty(), "{}", run.text());
    }
}

#[test]
fn half_installed_package_is_installed_again() {
    let vm = cut_off("half-installed");
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(vm.calls_of("apt-get install").len(), 1, "{}", run.text());
    let met = run.events("condition.fails");
    assert!(met.iter().any(|line| line["evidence"] == "dpkg has it half-installed"), "{}", run.text());
}

#[test]
fn pinned_version_is_installed() {
    let vm = Vm::new().config(&config(&["version: \"1.57\""], 20)).start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert_eq!(version(&vm), "1.57.03160.512");
}

#[test]
fn pinned_version_that_does_not_exist_is_named() {
    let vm = Vm::new().config(&config(&["version: \"9.99\""], 20)).start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.version-unavailable", 19);
    assert!(run.last().to_string().contains("9.99"), "{}", run.text());
}

#[test]
fn missing_dependency_refreshes_all_repositories_once() {
    let text = "The following packages have unmet dependencies:\n azcmagent : Depends: libxyz but it is not \
                installable\nE: Unable to correct problems, you have held broken packages.\n";
    let vm = Vm::new().call("apt-get install", Playbook::new().once(Outcome::exit(100, text))).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let calls: Vec<String> = vm.calls_of("apt-get").into_iter().map(|call| call.call).collect();
    assert_eq!(calls, ["apt-get update", "apt-get install", "apt-get update", "apt-get install"]);
}
