//! The timer that runs `enroll` again: when it is installed, and as the configuration sets it; and runs beside another
//! one.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::assertions::{assert_enrolled, assert_stopped, waiting, with_windows};
use crate::file_systems::read_only;
use crate::nexus::run::Run;
use crate::nexus::spec::{ImdsPlan, Outcome, Playbook, PortState, RESOURCE_GROUP, SUBSCRIPTION};
use crate::nexus::vm::{self, Vm};
use nix::sys::signal::Signal;

const SERVICE: &str = "etc/systemd/system/arc-enroll.service";
const TIMER: &str = "etc/systemd/system/arc-enroll.timer";

/// Both units as packages ship them.
fn shipped(name: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    std::fs::read_to_string(folder.join(name)).expect("a unit")
}

/// The configuration with its timer's keys.
fn repair(keys: &str) -> String {
    format!("{}repair: {{{keys}}}\n", vm::config())
}

/// The value of a key; the last one is used.
fn value(text: &str, key: &str) -> String {
    let start = format!("{key}=");
    text.lines().rev().find_map(|line| line.strip_prefix(&start)).unwrap_or_default().to_owned()
}

/// The calls of systemctl that change something about the timer.
fn changes(vm: &Vm) -> Vec<String> {
    let calls = vm.calls_of("systemctl").into_iter().map(|call| call.argv.join(" "));
    calls
        .filter(|call| call == "daemon-reload" || call.contains("arc-enroll") && !call.starts_with("show"))
        .collect()
}

fn assert_in_place(vm: &Vm) {
    let unit = &vm.system().units["arc-enroll.timer"];
    assert_eq!(
        (unit.active.as_str(), unit.sub.as_str(), unit.file.as_str()),
        ("active", "waiting", "enabled")
    );
    assert_eq!(vm.system().units["arc-enroll.service"].load, "loaded");
}

fn position(run: &Run, event: &str) -> usize {
    let found = run.lines.iter().position(|line| line["event"] == event);
    found.unwrap_or_else(|| panic!("no {event}\n{}", run.text()))
}

#[test]
fn timer_is_installed_before_any_wait() {
    let vm = Vm::new().imds(|imds| imds.port_state = PortState::Closed).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    assert_in_place(&vm);
    assert_eq!(
        changes(&vm),
        ["daemon-reload", "enable arc-enroll.timer", "start --no-block arc-enroll.timer"]
    );
    vm.set_imds(ImdsPlan::default());
    let run = going.finish();
    assert_enrolled(&vm, &run);
    assert_eq!(run.events("timer.installed").len(), 1, "{}", run.text());
    assert!(position(&run, "timer.installed") < position(&run, "wait.started"), "{}", run.text());
    assert_eq!((vm.mode(SERVICE), vm.mode(TIMER)), (0o644, 0o644));
    // The path of the program from user-data; the rest is as in the packages, except for this test's waits.
    let service =
        shipped("arc-enroll.service").replace("=/usr/bin/", "=/usr/local/bin/").replace("=1200s", "=360s");
    assert_eq!(vm.read(SERVICE), service);
    assert_eq!(vm.read(TIMER), shipped("arc-enroll.timer"));
}

#[test]
fn the_second_run_queries_systemd_once_and_changes_nothing() {
    let vm = Vm::new().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let (service, timer, calls) = (vm.read(SERVICE), vm.read(TIMER), vm.calls().len());
    let before = changes(&vm).len();
    let run = vm.run(&["enroll", "--if-idle"]);
    assert_enrolled(&vm, &run);
    assert_eq!((vm.read(SERVICE), vm.read(TIMER)), (service, timer));
    assert_eq!(changes(&vm).len(), before);
    let about = vm.calls().into_iter().skip(calls).filter(|call| call.argv.join(" ").contains("arc-enroll."));
    assert_eq!(about.map(|call| call.call).collect::<Vec<_>>(), ["systemctl show arc-enroll.timer"]);
    assert!(run.events("timer.installed").is_empty() && run.events("timer.not-installed").is_empty());
}

#[test]
fn intervals_are_those_of_the_configuration() {
    for (every, expected) in
        [("30s", ["30s", "30s", "3s"]), ("10m", ["120s", "600s", "60s"]), ("1d", ["120s", "86400s", "300s"])]
    {
        let vm = Vm::new().enrolled().config(&repair(&format!("every: {every}"))).start();
        assert_enrolled(&vm, &vm.run(&["enroll"]));
        let timer = vm.read(TIMER);
        let keys = ["OnBootSec", "OnUnitInactiveSec", "RandomizedDelaySec"];
        assert_eq!(keys.map(|key| value(&timer, key)), expected, "{every}");
    }
}

#[test]
fn drift_of_the_units_is_repaired() {
    let vm = Vm::new().enrolled().start();
    vm.run(&["enroll"]).assert_code(0);
    let (service, timer) = (vm.read(SERVICE), vm.read(TIMER));
    let edited = timer.replace("3600s", "30d");
    let repaired = |name: &str, expected: &str| {
        let before = changes(&vm).len();
        let run = vm.run(&["enroll"]);
        run.assert_code(0).assert_last("enrolled", None);
        assert_eq!(changes(&vm).get(before..), Some(&[expected.to_owned()][..]), "{name}");
        assert_eq!((vm.read(SERVICE), vm.read(TIMER)), (service.clone(), timer.clone()), "{name}");
        assert_in_place(&vm);
        assert_eq!(run.events("timer.installed").len(), 1, "{name}\n{}", run.text());
    };
    vm.write(TIMER, &edited);
    repaired("edited", "daemon-reload");
    std::fs::remove_file(vm.path(SERVICE)).expect("it is there");
    repaired("removed", "daemon-reload");
    systemctl(&vm, &["disable", "arc-enroll.timer"]);
    repaired("disabled", "enable arc-enroll.timer");
    systemctl(&vm, &["stop", "arc-enroll.timer"]);
    repaired("stopped", "start --no-block arc-enroll.timer");
    // As left by a run that was killed between writing the file and the daemon-reload.
    vm.write(TIMER, &edited);
    systemctl(&vm, &["daemon-reload"]);
    vm.write(TIMER, &timer);
    repaired("not read", "daemon-reload");
}

/// As an administrator would.
fn systemctl(vm: &Vm, arguments: &[&str]) {
    let status = vm.command("systemctl").args(arguments).status().expect("systemctl runs");
    assert!(status.success(), "{arguments:?}");
}

#[test]
fn timer_is_removed_when_disabled() {
    let vm = Vm::new().enrolled().start();
    vm.run(&["enroll"]).assert_code(0);
    vm.write(vm::CONFIG, &repair("timer: false"));
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(run.events("timer.removed").len(), 1, "{}", run.text());
    assert!(!vm.path(SERVICE).exists() && !vm.path(TIMER).exists());
    assert!(vm.system().units.keys().all(|name| !name.starts_with("arc-enroll")), "{:?}", vm.system().units);
    assert!(vm.path("etc/systemd/system/timers.target.wants/arc-enroll.timer").symlink_metadata().is_err());
    // The service is not stopped: it may be the present run.
    assert!(vm.calls().iter().all(|call| call.call != "systemctl stop arc-enroll.service"));
    assert_eq!(changes(&vm).split_off(3), ["stop arc-enroll.timer", "daemon-reload"]);
    let calls = vm.calls_of("systemctl").len();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(run.events("timer.removed").is_empty());
    let about = vm
        .calls_of("systemctl")
        .into_iter()
        .skip(calls)
        .filter(|call| call.argv.join(" ").contains("arc-enroll"));
    assert_eq!(about.count(), 0);
}

#[test]
fn options_of_a_run_are_passed_to_the_timer() {
    let vm = Vm::new()
        .enrolled()
        .config("repair: {every: 2h}\n")
        .file("etc/arc-enroll/my config.yaml", &vm::config())
        .start();
    let group = RESOURCE_GROUP.to_owned();
    let arguments = [
        "enroll",
        "--subscription-id",
        SUBSCRIPTION,
        "--tags",
        "A='50% of $HOME',B=\"x\\y\"",
        "--location",
        "eastus",
    ];
    let run = vm.agent(&arguments).env("RESOURCE_GROUP", &group).env("TENANT_ID", "").run();
    assert_enrolled(&vm, &run);
    assert_eq!(
        value(&vm.read(SERVICE), "ExecStart"),
        format!(
            "/usr/local/bin/arc-enroll enroll --if-idle --subscription-id {SUBSCRIPTION} --resource-group {group} \
             --location eastus --tags \"A='50%% of $$HOME',B=\\\"x\\\\y\\\"\""
        )
    );
    assert_eq!(value(&vm.read(TIMER), "OnUnitInactiveSec"), "7200s");
    verify(&vm);
    let identity = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i");
    let run =
        vm.agent(&["enroll", "--config", "/etc/arc-enroll/my config.yaml"]).env("UAMI_ID", &identity).run();
    assert_enrolled(&vm, &run);
    let service = vm.read(SERVICE);
    assert_eq!(
        value(&service, "ExecStart"),
        "/usr/local/bin/arc-enroll enroll --if-idle --config \"/etc/arc-enroll/my config.yaml\""
    );
    assert_eq!(value(&service, "Environment"), format!("UAMI_ID={identity}"));
    verify(&vm);
}

/// Verifies the units with the real systemd, with the program at its path.
fn verify(vm: &Vm) {
    let folder = tempfile::tempdir().expect("a folder");
    for path in [SERVICE, TIMER] {
        let text = vm.read(path).replace("/usr/local/bin/arc-enroll", "/bin/true");
        std::fs::write(folder.path().join(path.rsplit('/').next().unwrap_or(path)), text).expect("a unit");
    }
    let units = ["arc-enroll.service", "arc-enroll.timer"].map(|name| folder.path().join(name));
    match Command::new("systemd-analyze").arg("verify").args(units).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        Err(_) if std::env::var_os("CI").is_none() => eprintln!("SKIPPED: there is no systemd-analyze here"),
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

#[test]
fn units_pass_systemd_analyze() {
    let vm = Vm::new().enrolled().config(&repair("every: 45m")).start();
    vm.run(&["enroll"]).assert_code(0);
    verify(&vm);
}

#[test]
fn only_differences_to_packaged_units_are_written() {
    let packaged = |name: &str| format!("usr/lib/systemd/system/{name}");
    let names = ["arc-enroll.service", "arc-enroll.timer"];
    let builder = names.iter().fold(Vm::new().enrolled(), |vm, name| {
        vm.file(
            &packaged(name),
            &shipped(name).replace("/usr/bin/", "/usr/local/bin/").replace("=1200s", "=360s"),
        )
    });
    let vm = builder.start();
    vm.run(&["enroll"]).assert_code(0);
    assert_in_place(&vm);
    let ours: Vec<String> =
        vm.tree().into_keys().filter(|path| path.starts_with("etc/systemd/system/")).collect();
    assert_eq!(ours, Vec::<String>::new(), "the package's units say what is wanted");
    vm.write(vm::CONFIG, &repair("every: 20m"));
    vm.run(&["enroll"]).assert_code(0);
    let drop_in = "etc/systemd/system/arc-enroll.timer.d/50-arc-enroll.conf";
    let text = vm.read(drop_in);
    assert!(
        text.ends_with(
            "[Timer]\nOnBootSec=\nOnBootSec=120s\nOnUnitInactiveSec=1200s\nRandomizedDelaySec=120s\n"
        ),
        "{text}"
    );
    assert!(!vm.path(TIMER).exists() && !vm.path(SERVICE).exists());
    vm.write(vm::CONFIG, &vm::config());
    vm.run(&["enroll"]).assert_code(0);
    assert!(!vm.path(drop_in).exists());
    vm.write(vm::CONFIG, &repair("every: 20m, timer: false"));
    vm.run(&["enroll"]).assert_code(0);
    let unit = &vm.system().units["arc-enroll.timer"];
    assert_eq!((unit.active.as_str(), unit.file.as_str()), ("inactive", "disabled"));
    assert!(vm.path(&packaged("arc-enroll.timer")).exists(), "what the package brought is the package's");
}

fn not_installed(run: &Run) -> String {
    let warnings = run.events("timer.not-installed");
    assert_eq!(warnings.len(), 1, "{}", run.text());
    assert_eq!(warnings[0]["level"], "warn");
    let reason = warnings[0]["reason"].as_str().unwrap_or_default().to_owned();
    let shown: String = run.stdout.split_whitespace().collect();
    assert!(shown.contains(&reason.split_whitespace().collect::<String>()), "{}", run.text());
    reason
}

#[test]
fn a_masked_timer_stays_masked() {
    let vm = Vm::new().enrolled().start();
    std::fs::create_dir_all(vm.path("etc/systemd/system")).expect("a folder");
    symlink("/dev/null", vm.path(TIMER)).expect("a link");
    systemctl(&vm, &["daemon-reload"]);
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(not_installed(&run).contains("systemctl unmask arc-enroll.timer"));
    assert_eq!(std::fs::read_link(vm.path(TIMER)).expect("a link"), std::path::Path::new("/dev/null"));
    assert!(vm.calls_of("systemctl enable arc-enroll.timer").is_empty());
    let vm = Vm::new().enrolled().start();
    std::fs::create_dir_all(vm.path("etc/systemd/system")).expect("a folder");
    symlink("/dev/null", vm.path(TIMER)).expect("a link");
    // As `systemctl mask` leaves it without a daemon-reload.
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(not_installed(&run).contains("is masked"));
    assert!(vm.path(TIMER).symlink_metadata().expect("a link").is_symlink());
    let status = vm.run(&["status"]);
    assert!(status.stdout.contains("no timer"), "{}", status.text());
}

#[test]
fn units_that_cannot_be_written_are_a_warning() {
    let vm = Vm::new().enrolled().config(&format!("{}proxy: {{persist: false}}\n", vm::config())).start();
    read_only(&vm, "etc");
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let reason = not_installed(&run);
    assert!(reason.contains(SERVICE) && reason.contains("Read-only file system"), "{reason}");
}

#[test]
fn a_systemd_that_refuses_is_a_warning() {
    let refusal = Outcome::Exit {
        code: 1,
        stdout: String::new(),
        stderr: "Failed to enable unit: Access denied\n".into(),
    };
    let vm = Vm::new().call("systemctl enable arc-enroll.timer", Playbook::new().once(refusal)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(
        not_installed(&run),
        "systemctl enable arc-enroll.timer: Failed to enable unit: Access denied"
    );
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_in_place(&vm);
}

#[test]
fn a_temporary_configuration_installs_no_timer() {
    let vm = Vm::new().enrolled().file("tmp/nexus.yaml", &vm::config()).start();
    let run = vm.run(&["enroll", "--config", "/tmp/nexus.yaml"]);
    assert_enrolled(&vm, &run);
    let reason = not_installed(&run);
    assert!(reason.contains("/tmp/nexus.yaml") && reason.contains("/etc/arc-enroll/config.yaml"), "{reason}");
    assert!(!vm.path(TIMER).exists());
}

#[test]
fn last_line_has_the_next_timer_run() {
    let config = with_windows(&[("endpoint", "1s")]);
    let closed = || Vm::new().csn(|csn| csn.port_state = PortState::Closed);
    let vm = closed().config(&config).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "proxy.refused");
    let next = run.last()["next"].as_str().unwrap_or_default().to_owned();
    assert!(
        next.starts_with("not finished: the timer continues, at 2") && next.contains("Z at the latest"),
        "{next}"
    );
    let vm = closed().config(&format!("{config}repair: {{timer: false}}\n")).start();
    let run = vm.run(&["enroll"]);
    let next = run.last()["next"].as_str().unwrap_or_default().to_owned();
    assert!(next.starts_with("not finished: run `arc-enroll enroll` again"), "{next}");
}

#[test]
fn if_idle_ends_at_once_beside_another_run() {
    let vm = waiting().start();
    let mut first = vm.agent(&["enroll"]).spawn();
    first.wait_for_event("wait.started");
    let before = vm.calls().len();
    let second = vm.run(&["enroll", "--if-idle"]);
    second.assert_code(75).assert_last("waiting", Some("host.busy"));
    assert_eq!(second.last()["exit_code"], 75);
    assert!(vm.record().is_none(), "the record belongs to the run that is at work");
    assert!(second.stdout.contains("NOT NOW: Another run of arc-enroll is at work"), "{}", second.text());
    assert!(second.events("wait.started").is_empty() && vm.calls().len() == before, "{}", second.text());
    vm.set_imds(ImdsPlan::default());
    let first = first.finish();
    assert_enrolled(&vm, &first);
    assert_eq!(vm.record().expect("a record")["run_id"], first.last()["run_id"]);
    vm.run(&["enroll", "--if-idle"]).assert_code(0).assert_last("enrolled", None);
}

#[test]
fn sigterm_while_waiting_for_another_run_keeps_its_record() {
    let vm = waiting().start();
    let mut first = vm.agent(&["enroll"]).spawn();
    first.wait_for_event("wait.started");
    let mut second = vm.agent(&["enroll"]).spawn();
    second.wait_until("the second run waits", |vm| vm.log().iter().any(|line| line["fault"] == "host.busy"));
    second.signal(Signal::SIGTERM);
    second.finish().assert_code(75).assert_last("waiting", Some("run.interrupted"));
    assert!(vm.record().is_none());
    first.signal(Signal::SIGTERM);
    first.finish().assert_code(75);
    assert!(vm.record().is_some());
}

/// A first boot that ends with its window, and the timer's run an hour later.
#[test]
fn a_late_role_is_found_by_the_timer_run() {
    let config = with_windows(&[("access", "1s")]);
    let vm = Vm::new()
        .config(&config)
        .file("etc/machine-id", "00000000000000000000000000000000\n")
        .azure(|azure| azure.access.never = true)
        .start();
    let run = vm.first_boot(&["enroll"]);
    assert_eq!(run.code, Some(75), "{}", run.text());
    vm.set_azure(Default::default());
    let command = value(&vm.read(SERVICE), "ExecStart");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let run = vm.run(&words);
    assert_enrolled(&vm, &run);
    assert!(run.events("start.delayed").is_empty());
}

#[test]
fn the_timer_run_logs_one_line_unless_it_fails() {
    let vm = Vm::new().enrolled().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let before = vm.tree();
    let run = vm.run(&["enroll", "--if-idle"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert_eq!(run.lines.len(), 1, "{}", run.text());
    assert_eq!(changed(&before, &vm.tree()), ["run/arc-enroll/lock", vm::RECORD, vm::LOG]);
    vm.write("etc/environment", "");
    let run = vm.run(&["enroll", "--if-idle"]);
    run.assert_code(0).assert_last("enrolled", None);
    assert_eq!(run.events("run.started").len(), 1, "{}", run.text());
    assert_eq!(run.events("repair.helped").len(), 1, "{}", run.text());
}

/// The files that differ.
fn changed(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
