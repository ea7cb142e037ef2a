//! Failure playbooks of azcmagent's package: installing it in each of the ways, its services, its proxy.

use serde_json::Value;

use crate::assertions::{assert_enrolled, assert_stopped, evidence, patient};
use crate::nexus::run::Run;
use crate::nexus::spec::{
    HttpAct, Outcome, Playbook, Reply, System, Unit, AGENT_VERSION, PACKAGE, PACKAGE_SHA256, SERVICES,
};
use crate::nexus::vm::{self, Vm};

const KEYRING: &str = "usr/share/keyrings/packages-microsoft-prod.asc";
const LIST: &str = "etc/apt/sources.list.d/packages-microsoft-prod.list";
const WORK: &str = "var/lib/arc-enroll/install";

/// The usual configuration with more lines for azcmagent, and this many seconds of patience.
fn config(lines: &[&str], endpoint: u32) -> String {
    let agent = lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    patient(&[("endpoint", &format!("{endpoint}s"))]).replace("agent:\n", &format!("agent:\n{agent}"))
}

fn is_installed(vm: &Vm) -> bool {
    vm.path("opt/azcmagent/bin/himds").exists()
}

/// As [`assert_stopped`], before azcmagent was there.
fn assert_not_installed(vm: &Vm, run: &Run, fault: &str, code: i32) {
    assert_stopped(vm, run, code, fault);
    assert!(!is_installed(vm), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty(), "{}", run.text());
}

fn script(text: &str) -> HttpAct {
    Reply::text(200, text).act()
}

fn version(vm: &Vm) -> String {
    let packages: Value = serde_json::from_str(&vm.read(".nexus/packages.json")).expect("it is JSON");
    packages["installed"]["azcmagent"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_is_not_to_be_installed_is_left_to_a_person() {
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
fn key_that_is_no_key_is_not_trusted() {
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
fn lock_of_the_package_manager_is_waited_for() {
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
fn lock_that_is_never_released_ends_the_wait() {
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
fn repository_that_is_down_for_a_moment_is_waited_for() {
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
fn repository_that_stays_down_is_not_yet_over() {
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
fn dpkg_that_cannot_be_finished_is_tried_a_bounded_number_of_times() {
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
fn installation_that_a_power_cut_ended_is_finished_before_the_services_are_started() {
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
fn half_installed_package_is_installed_anew() {
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
fn missing_dependency_is_looked_for_everywhere_once() {
    let text = "The following packages have unmet dependencies:\n azcmagent : Depends: libxyz but it is not \
                installable\nE: Unable to correct problems, you have held broken packages.\n";
    let vm = Vm::new().call("apt-get install", Playbook::new().once(Outcome::exit(100, text))).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let calls: Vec<String> = vm.calls_of("apt-get").into_iter().map(|call| call.call).collect();
    assert_eq!(calls, ["apt-get update", "apt-get install", "apt-get update", "apt-get install"]);
}

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

#[test]
fn official_script_installs() {
    let vm = Vm::new().config(&config(&["install: script"], 20)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let asked = vm.observed();
    assert!(asked.azure_at("gbl.his.arc.azure.com").iter().any(|seen| seen.target == "/azcmagent-linux"));
    let left: Vec<String> =
        vm.tree().into_keys().filter(|path| path.starts_with(WORK) && !path.ends_with("bin/sudo")).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// A VM that is served this text as the installation script.
fn with_script(text: &str) -> Vm {
    let act = script(text);
    Vm::new()
        .config(&config(&["install: script"], 2))
        .azure(|azure| {
            azure.routes.insert("script".into(), Playbook::new().forever(act));
        })
        .start()
}

#[test]
fn script_that_reports_success_and_installs_nothing_is_not_believed() {
    let vm = with_script("#!/bin/bash\necho Latest version of azcmagent is installed.\nexit 0\n");
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.install-failed", 75);
}

#[test]
fn script_that_takes_the_vm_for_an_azure_vm_is_understood_without_json() {
    let vm = with_script(
        "#!/bin/bash\nwhile [ $# -gt 0 ]; do [ \"$1\" = --output ] && out=\"$2\"; shift; done\n\
         printf '{ \"status\": \"failed\", \"error\": { \"code\": \"AZCM0141\", \"message\": \"cannot \"install\" }' >\"$out\"\n\
         exit 1\n",
    );
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.azure-vm", 19);
    assert!(!vm.path(&format!("{WORK}/result.json")).exists());
}

#[test]
fn page_served_in_place_of_the_script_is_not_run() {
    let vm = with_script("<!DOCTYPE html><html><body>$(touch /tmp/pwned)</body></html>\n");
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.source-unreachable", 75);
    assert!(run.last().to_string().contains("no script"), "{}", run.text());
}

#[test]
fn script_runs_on_a_vm_without_sudo() {
    if ["/usr/bin/sudo", "/bin/sudo", "/usr/local/bin/sudo"]
        .iter()
        .any(|path| std::path::Path::new(path).exists())
    {
        eprintln!("not tried: this machine has sudo, and the simulated VM sees it");
        return;
    }
    let text = "#!/bin/bash\nroot=\"${0%/var/lib/*}\"\nexport root\n\
        sudo -E sh -c 'echo \"deb [arch=amd64] https://packages.microsoft.com/debian/12/prod bookworm main\" \
        >\"$root/etc/apt/sources.list.d/packages-microsoft-prod.list\"' || exit 1\n\
        sudo -E \"$root/usr/bin/apt-get\" update && sudo -E \"$root/usr/bin/apt-get\" install -y azcmagent\n";
    let vm = with_script(text);
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert!(!vm.path("usr/bin/sudo").exists(), "what stands in for sudo is the script's alone");
}

/// azcmagent is there, with its services in this state.
fn with_services(unit: &Unit) -> vm::Builder {
    Vm::new().installed().system(|system| {
        for name in SERVICES {
            system.units.insert(name.to_owned(), unit.clone());
        }
    })
}

#[test]
fn stopped_services_are_started() {
    for unit in [Unit::stopped(), Unit::failed()] {
        let vm = with_services(&unit).start();
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        let units = vm.system().units;
        assert!(SERVICES.iter().all(|name| units[*name].active == "active"), "{units:?}");
        assert_eq!(vm.calls_of("systemctl start himdsd.service").len(), 1);
    }
}

#[test]
fn service_that_does_not_start_is_waited_for_and_named() {
    let failed = Outcome::exit(1, "Job for himdsd.service failed because the control process exited.\n");
    let vm = with_services(&Unit::failed())
        .config(&config(&[], 2))
        .call("systemctl start himdsd.service", Playbook::new().forever(failed))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "agent.service-down");
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn masked_service_is_a_persons_decision() {
    let masked = Unit { load: "masked".into(), file: "masked".into(), ..Unit::stopped() };
    let vm = with_services(&masked).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 19, "agent.service-masked");
    for verb in ["start", "restart", "unmask", "enable"] {
        let calls = vm.calls_of(&format!("systemctl {verb}"));
        assert!(calls.iter().all(|call| call.call.ends_with(" arc-enroll.timer")), "{calls:?}");
    }
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn proxy_of_azcmagent_is_set_once() {
    let old = "{\"proxy.url\": \"http://proxy.old.example:8080\"}";
    let vm = Vm::new().installed().file("var/opt/azcmagent/localconfig.json", old).start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let again = vm.run(&["enroll"]);
    again.assert_code(0).assert_last("enrolled", None);
    let set = vm.calls_of("azcmagent config set");
    assert_eq!(set.len(), 1);
    assert_eq!(set[0].argv, ["config", "set", "proxy.url", "http://169.254.0.11:3128"]);
    assert!(vm.read("var/opt/azcmagent/localconfig.json").contains("http://169.254.0.11:3128"));
}

#[test]
fn proxy_that_azcmagent_takes_and_does_not_show_is_set_once_and_told() {
    let vm = Vm::new()
        .installed()
        .config(&config(&[], 2))
        .call("azcmagent config set", Playbook::new().forever(Outcome::exit(0, "Config property set\n")))
        .start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert_eq!(vm.calls_of("azcmagent config set").len(), 1, "{}", run.text());
    assert!(!run.events("agent.proxy-unconfirmed").is_empty(), "{}", run.text());
}

#[test]
fn proxy_that_azcmagent_keeps_at_another_value_is_a_bounded_try() {
    let other = "http://10.0.0.1:3128\n";
    let vm = Vm::new()
        .installed()
        .config(&config(&[], 2))
        .call("azcmagent config get", Playbook::new().forever(Outcome::exit(0, other)))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 19, "agent.proxy-differs");
    assert!(vm.calls_of("azcmagent config set").len() <= 3, "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}
