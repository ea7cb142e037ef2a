//! Faults of the machine itself and of the run.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{faults, Meet, Met};
use crate::assertions::{assert_enrolled, evidence, waiting, with_windows};
use crate::file_systems::{fill, read_only, small};
use crate::nexus::run::Run;
use crate::nexus::spec::Reply;
use crate::nexus::vm::{agent_program, config, Builder, Vm, LOG};

faults! {
    configuration_invalid "configuration.invalid" => assert_configuration_invalid;

    not_root "host.not-root" => Met::by_enroll(Vm::new().installed())
        .run_by(as_an_ordinary_user)
        .exit(3)
        .seen("not running as root")
        .remedy("sudo arc-enroll enroll");

    no_systemd "host.no-systemd" => Met::by_doctor(Vm::new().system(|system| system.state = "offline".into()))
        .exit(3)
        .seen("offline")
        .remedy("https://learn.microsoft.com/azure/azure-arc/servers/prerequisites");

    busy "host.busy" => Met::by_enroll(waiting())
        .run_by(second_run)
        .exit(11)
        .seen("(process ")
        .remedy("tail -f /var/log/cloud-init-output.log")
        .remedy("kill ");

    disk_full "host.disk-full" => Met::by_enroll(with_short_windows().installed())
        .prepared(|vm| {
            small(vm, "etc");
            fill(vm, "etc");
        })
        .exit(11)
        .seen("/etc/environment: No space left on device")
        .seen("; 0 MiB free")
        .remedy("df -h /")
        .remedy("/root/etc/environment");

    not_writable "host.not-writable" => Met::by_enroll(with_short_windows().installed())
        .prepared(|vm| read_only(vm, "etc"))
        .exit(11)
        .seen("/etc/environment: Read-only file system")
        .remedy("findmnt -T /")
        .remedy("/root/etc/environment");

    interrupted "run.interrupted" => Met::by_enroll(waiting())
        .run_by(|vm| {
            let mut going = vm.agent(&["enroll"]).spawn();
            going.wait_for_event("wait.started");
            going.signal(Signal::SIGTERM);
            going.finish()
        })
        .exit(75)
        .seen("by SIGTERM")
        .remedy("arc-enroll enroll");

    proxy_settings_missing "proxy-environment.incomplete" => Met::by_doctor(Vm::new().installed())
        .exit(12)
        .seen("/etc/environment (logins and cron, through pam_env)")
        .remedy("eval \"$(arc-enroll env)\"");

    proxy_settings_contradictory "proxy-environment.contradictory" =>
        Met::by_doctor(Vm::new().installed().file("etc/environment", CONTRADICTORY))
            .exit(12)
            .seen("/etc/environment (logins and cron, through pam_env): ")
            .seen("https_proxy is http://***@proxy.example:8080")
            .remedy("proxy.url in /etc/arc-enroll/config.yaml");

    no_proxy_incomplete "proxy-environment.no-proxy-incomplete" => Met::by_doctor(Vm::new().installed())
        .prepared(|vm| {
            vm.run(&["enroll"]).assert_code(0);
            let right = vm.read("etc/environment");
            vm.write("etc/environment", &right.replace(",169.254.169.254", ""));
        })
        .exit(12)
        .seen("not yet right: /etc/environment (logins and cron, through pam_env): NO_PROXY lacks 169.254.169.254, no_proxy lacks 169.254.169.254")
        .remedy("grep -ri no_proxy /etc/environment");

    clock_skewed "clock.skewed" => Met::by_doctor(quiet().imds(|imds| imds.clock_offset_s = 600))
        .exit(14)
        .seen("about 600 s behind the sidecar's")
        .remedy("curl -sI --noproxy '*' http://169.254.169.254/healthz");
}

const CONTRADICTORY: &str =
    "HTTPS_PROXY=http://169.254.0.11:3128\nhttps_proxy=http://user:word@proxy.example:8080\n";

/// An enrolled VM without persisted proxy settings, so that only the tested fault is present.
pub fn quiet() -> Builder {
    Vm::new().enrolled().config(&(config() + "proxy:\n  persist: false\n"))
}

/// A fresh VM with short windows.
pub fn with_short_windows() -> Builder {
    Vm::new().config(&with_windows(&[("endpoint", "1s"), ("token", "1s"), ("access", "1s")]))
}

fn second_run(vm: &Vm) -> Run {
    let mut first = vm.agent(&["enroll"]).spawn();
    first.wait_for_event("wait.started");
    vm.write("etc/arc-enroll/config.yaml", &with_windows(&[("endpoint", "1s")]));
    let second = vm.run(&["enroll"]);
    first.signal(Signal::SIGTERM);
    first.finish();
    // The first run's record is written last.
    let last = second
        .lines
        .iter()
        .rev()
        .find(|line| line["event"] == "run.finished" && line["fault"] == "host.busy");
    assert!(last.is_some(), "{}", second.text());
    std::fs::remove_file(vm.path(crate::nexus::vm::RECORD)).expect("a record");
    second
}

fn as_an_ordinary_user(vm: &Vm) -> Run {
    let mut command: Command = vm.command("unshare");
    command.args(["--user", "--map-user=1000", "--"]).arg(agent_program());
    let output = command.args(["enroll", "--root"]).arg(&vm.root).output().expect("the agent runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run {
        code: output.status.code(),
        signal: None,
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        elapsed: Duration::ZERO,
        lines: vm.log(),
        log: vm.read(LOG),
    }
}

fn assert_configuration_invalid(code: &str) {
    let vm = Vm::new().config(&config().replace("location: eastus", "location: East US")).start();
    let before = vm.tree();
    let run = vm.run(&["enroll"]);
    run.assert_code(2).assert_last("failed", Some(code));
    let message = run.last()["message"].as_str().unwrap_or_default();
    assert!(message.contains("config.yaml:4: azure.location: "), "{message}");
    for step in ["arc-enroll validate\n", "Correct /etc/arc-enroll/config.yaml\n", "arc-enroll enroll\n"] {
        assert!(run.stderr.contains(step), "{}", run.text());
    }
    let mut after = vm.tree();
    after.insert(LOG.to_owned(), before[LOG].clone());
    assert!(after == before, "a file was changed");
}

#[test]
fn a_full_disk_leaves_no_half_written_file() {
    let vm = with_short_windows().installed().start();
    small(&vm, "etc");
    fill(&vm, "etc");
    let before = vm.tree();
    vm.run(&["enroll"]).assert_code(11);
    let own = |path: &String| path.starts_with("var/") || path.starts_with("run/");
    let files = |tree: std::collections::BTreeMap<String, Vec<u8>>| {
        tree.into_iter().filter(|(path, _)| !own(path)).collect::<std::collections::BTreeMap<_, _>>()
    };
    let (before, after) = (files(before), files(vm.tree()));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(before == after, "a file was changed");
}

#[test]
fn without_space_for_the_record_a_run_stops() {
    let vm = with_short_windows().installed().start();
    small(&vm, "var");
    fill(&vm, "var");
    let run = vm.run(&["enroll"]);
    run.assert_code(11);
    assert!(run.stdout.contains("host.disk-full") && run.stdout.contains("0 MiB free"), "{}", run.text());
    assert!(run.stdout.contains("df -h /"), "{}", run.text());
    assert!(vm.record().is_none() && vm.read("etc/environment").is_empty());
    let run = vm.run(&["doctor"]);
    run.assert_code(11);
    assert!(run.stdout.contains("host.disk-full"), "{}", run.text());
}

#[test]
fn disk_space_is_checked_before_the_download() {
    let vm = with_short_windows().start();
    small(&vm, "var");
    let run = vm.run(&["enroll"]);
    run.assert_code(11).assert_last("failed", Some("host.disk-full"));
    assert!(evidence(&run, "host.disk-full").contains("/var/opt: "), "{}", run.text());
    assert!(vm.observed().csn.is_empty() && vm.calls_of("apt-get").is_empty());
}

#[test]
fn doctor_reports_a_read_only_etc() {
    let vm = Vm::new().installed().start();
    read_only(&vm, "etc");
    let run = vm.run(&["doctor"]);
    run.assert_code(11);
    assert!(run.stdout.contains("host.not-writable") && run.stdout.contains("findmnt -T"), "{}", run.text());
}

#[test]
fn another_proxy_is_replaced_and_kept_as_a_comment() {
    let vm = Vm::new().installed().file("etc/environment", CONTRADICTORY).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "proxy-environment.contradictory").contains("https_proxy is"), "{}", run.text());
    assert!(!run.text().contains("word@"), "{}", run.text());
    let text = vm.read("etc/environment");
    assert!(
        text.contains("# Replaced by arc-enroll: https_proxy=http://user:word@proxy.example:8080\n"),
        "{text}"
    );
    assert!(text.contains("\nhttps_proxy=http://169.254.0.11:3128\n"), "{text}");
}

#[test]
fn another_proxy_in_the_running_systemd_is_removed() {
    let vm = Vm::new()
        .installed()
        .file("etc/systemd/system.conf", "[Manager]\n")
        .system(|system| {
            system.environment.insert("LANG".into(), "C.UTF-8".into());
            system.environment.insert("https_proxy".into(), "http://proxy.example:8080".into());
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let text = evidence(&run, "proxy-environment.contradictory");
    assert!(text.contains("the running systemd (services): "), "{text}");
    assert!(text.contains("https_proxy is http://proxy.example:8080"), "{text}");
    assert!(vm.system().environment.keys().eq(["LANG"]), "{:?}", vm.system().environment);
    let verbs: Vec<String> = vm.calls().into_iter().map(|call| call.call).collect();
    let at = |verb: &str| verbs.iter().position(|call| call.starts_with(verb));
    assert!(at("systemctl unset-environment").is_some(), "{verbs:?}");
    assert!(at("systemctl unset-environment") < at("systemctl daemon-reexec"), "{verbs:?}");
}

#[test]
fn an_outdated_systemd_is_reexecuted_once() {
    let vm = Vm::new()
        .installed()
        .file("etc/systemd/system.conf", "[Manager]\n")
        .system(|system| {
            system.environment.insert("LANG".into(), "C.UTF-8".into());
        })
        .start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let calls = vm.calls_of("systemctl daemon-reexec").len();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "proxy-environment.incomplete").ends_with("right: the running systemd (services)"));
    assert_eq!(vm.calls_of("systemctl daemon-reexec").len(), calls + 1);
}

#[test]
fn doctor_names_a_wrong_proxy_of_the_shell_that_started_it() {
    let vm = quiet().config(&config()).start();
    vm.run(&["enroll"]).assert_code(0);
    let run = vm.agent(&["doctor"]).env("HTTPS_PROXY", "http://proxy.example:8080").run();
    run.assert_code(0);
    assert!(run.unfolded().replace('\n', " ").contains("HTTPS_PROXY is"), "{}", run.text());
}

#[test]
fn a_sidecar_without_a_clock_leaves_the_comparison_to_an_endpoint() {
    let dateless = Reply::text(200, "ok").header("Date", "unknown");
    let healthz = crate::nexus::spec::Playbook::new().forever(dateless.act());
    let vm = quiet().imds(|imds| imds.healthz = healthz).azure(|azure| azure.clock_offset_s = -600).start();
    let run = vm.run(&["doctor"]);
    run.assert_code(14);
    assert!(
        run.stdout.contains("600 s ahead of") && run.stdout.contains("management.azure.com"),
        "{}",
        run.text()
    );
}

#[test]
fn two_file_faults_name_their_own_paths() {
    let vm = with_short_windows().installed().start();
    small(&vm, "var");
    fill(&vm, "var");
    read_only(&vm, "etc");
    let run = vm.run(&["doctor", "--output", "json"]);
    run.assert_code(11);
    let found: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let remedy = |condition: &str, code: &str| {
        let rows = found["conditions"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["condition"] == condition).expect("a row");
        assert_eq!(row["fault"], code, "{row:#}");
        row["remedy"].to_string()
    };
    let disk = remedy("host", "host.disk-full");
    let mount = remedy("proxy-environment", "host.not-writable");
    assert!(disk.contains("/var/lib/arc-enroll/") && !disk.contains("/etc/"), "{disk}");
    assert!(mount.contains("/etc/environment") && !mount.contains("/var/"), "{mount}");
}
