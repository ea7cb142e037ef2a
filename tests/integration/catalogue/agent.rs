//! Faults of azcmagent.

use super::{faults, Met};
use crate::assertions::with_windows;
use crate::nexus::spec::{HttpAct, Outcome, Playbook, Reply, Unit, PACKAGE_SHA256, SERVICES};
use crate::nexus::vm::{self, Builder, Vm};

/// The usual configuration with more lines for azcmagent, and a window of this many seconds.
fn config(lines: &[&str], endpoint: u32) -> String {
    let agent = lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    with_windows(&[("endpoint", &format!("{endpoint}s"))]).replace("agent:\n", &format!("agent:\n{agent}"))
}

/// A VM on which every condition before `agent` holds, so that `doctor` finds the agent's fault.
pub fn observed_vm() -> Builder {
    Vm::new().config(&(vm::config() + "proxy: {persist: false}\n"))
}

/// Like [`observed_vm`], with azcmagent and its proxy.
pub fn observed_vm_with_agent() -> Builder {
    let local = "{\"proxy.url\": \"http://169.254.0.11:3128\"}";
    observed_vm().installed().file("var/opt/azcmagent/localconfig.json", local)
}

fn packages(act: HttpAct) -> Builder {
    Vm::new().azure(|azure| drop(azure.routes.insert("packages".into(), Playbook::new().forever(act))))
}

fn apt(call: &str, words: &str) -> Builder {
    Vm::new().config(&config(&[], 2)).call(call, Playbook::new().forever(Outcome::exit(100, words)))
}

fn services(unit: &Unit) -> Builder {
    Vm::new().installed().config(&config(&[], 1)).system(|system| {
        for name in SERVICES {
            system.units.insert(name.to_owned(), unit.clone());
        }
    })
}

/// Services that were started 500 s ago, before the file that gives them the proxy, which has a password.
fn stale() -> Builder {
    let text =
        vm::config() + "proxy: {url: \"http://proxy-user:p%40ss@169.254.0.11:3128\", persist: false}\n";
    let unit = Unit::running().with("MainPID", "4242").with("ExecMainStartTimestampMonotonic", "100000000");
    services(&unit)
        .config(&text)
        .csn(|csn| csn.credentials = Some("proxy-user:p@ss".into()))
        .file("proc/uptime", "600.00 900.00\n")
        .file("proc/4242/environ", "PATH=/usr/bin\0NO_PROXY=localhost\0")
        .file("etc/systemd/system.conf.d/50-arc-enroll-proxy.conf", "[Manager]\n")
}

faults! {
    absent "agent.absent" => Met::by_doctor(observed_vm())
        .exit(75)
        .seen("there is no program azcmagent")
        .remedy("grep agent /var/log/cloud-init-output.log");

    not_to_be_installed "agent.absent-by-configuration" =>
        Met::by_enroll(Vm::new().config(&config(&["install: never"], 3)))
        .exit(19)
        .seen("there is no program azcmagent")
        .remedy("set agent.install to repository in /etc/arc-enroll/config.yaml");

    distribution "agent.distribution-unsupported" => Met::by_enroll(Vm::new().os("gentoo", "2.15", ""))
        .exit(19)
        .seen("gentoo")
        .remedy("https://learn.microsoft.com/azure/azure-arc/servers/prerequisites")
        .remedy("agent: {install: package, package:");

    package_lock "agent.package-lock" => Met::by_enroll(
        Vm::new().config(&config(&[], 2)).call("apt-get update", Playbook::new().forever(Outcome::apt_locked())),
    )
        .exit(75)
        .seen("/var/lib/dpkg/lock-frontend")
        .remedy("fuser -v /var/lib/dpkg/lock-frontend");

    interrupted "agent.package-manager-interrupted" =>
        Met::by_enroll(apt("apt-get install", "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'\n"))
        .exit(75)
        .seen("dpkg was interrupted")
        .remedy("dpkg --configure -a");

    source "agent.source-unreachable" => Met::by_enroll(apt(
        "apt-get update",
        "E: Failed to fetch https://packages.microsoft.com/debian/12/prod/InRelease  503  Service Unavailable\n",
    ))
        .exit(75)
        .seen("503  Service Unavailable")
        .remedy("Add packages.microsoft.com to the egress list")
        .remedy("set agent.install to never in /etc/arc-enroll/config.yaml");

    key "agent.repository-key" =>
        Met::by_enroll(packages(Reply::text(200, "<html>sign in to the network</html>").act()))
        .exit(19)
        .seen("https://packages.microsoft.com/keys/microsoft")
        .remedy("name its fingerprint in /etc/arc-enroll/config.yaml: agent: {repository_key: [FINGERPRINT]}");

    digest "agent.package-digest" => Met::by_enroll(
        Vm::new()
            .config(&config(
                &["install: package", &format!("package: {{file: /opt/azcmagent.deb, sha256: {PACKAGE_SHA256}}}")],
                2,
            ))
            .file("opt/azcmagent.deb", "cut off"),
    )
        .exit(19)
        .seen("/opt/azcmagent.deb has ")
        .seen(PACKAGE_SHA256)
        .remedy("/etc/arc-enroll/config.yaml");

    install_failed "agent.install-failed" => Met::by_enroll(
        Vm::new().config(&config(&["install: script"], 2)).azure(|azure| {
            let script = Reply::text(200, "#!/bin/bash\necho Unable to locate package azcmagent\nexit 1\n").act();
            azure.routes.insert("script".into(), Playbook::new().forever(script));
        }),
    )
        .exit(75)
        .seen("Unable to locate package azcmagent")
        .remedy("apt-get install azcmagent")
        .remedy("grep agent /var/log/cloud-init-output.log");

    no_curl "agent.no-curl" => Met::by_enroll(Vm::new().without("curl"))
        .exit(19)
        .seen("fetching from packages.microsoft.com")
        .seen("curl is not on this machine")
        .remedy("apt-get install curl")
        .remedy("set agent.install to never in /etc/arc-enroll/config.yaml");

    no_curl_elsewhere "agent.no-curl" => Met::by_enroll(Vm::new().without("curl").os("rhel", "9.4", ""))
        .exit(19)
        .seen("curl is not on this machine")
        .remedy("dnf install curl");

    confined_curl "agent.no-curl" => Met::by_enroll(
        Vm::new().config(&config(&["install: script"], 2)).azure(|azure| {
            let script = "#!/bin/bash\necho 'AZCM0157: curl: (23) Failure writing output to destination'\nexit 1\n";
            azure.routes.insert("script".into(), Playbook::new().forever(Reply::text(200, script).act()));
        }),
    )
        .exit(19)
        .seen("Failure writing output")
        .remedy("apt-get install curl");

    too_old "agent.too-old" => Met::by_enroll(
        Vm::new()
            .installed()
            .config(&config(&["install: never"], 2))
            .call("azcmagent version", Playbook::new().forever(Outcome::exit(0, "azcmagent version  1.3.21083.001\n"))),
    )
        .exit(19)
        .seen("azcmagent is 1.3.21083.001")
        .remedy("apt-get install azcmagent")
        .remedy("Remove agent.version from /etc/arc-enroll/config.yaml");

    not_supported "agent.too-old" => Met::by_enroll(
        Vm::new()
            .installed()
            .config(&config(&["install: never"], 2))
            .call("azcmagent connect", Playbook::new().forever(Outcome::fail(3, "Message: operation is not supported"))),
    )
        .exit(19)
        .seen("AZCM0003")
        .remedy("azcmagent version");

    version "agent.version-unavailable" => Met::by_enroll(Vm::new().config(&config(&["version: \"9.99\""], 20)))
        .exit(19)
        .seen("9.99")
        .remedy("apt-cache madison azcmagent")
        .remedy("Correct agent.version in /etc/arc-enroll/config.yaml");

    service_down "agent.service-down" => Met::by_enroll(
        services(&Unit::failed()).call("systemctl start himdsd.service", Playbook::new().forever(Outcome::exit(1, "no\n"))),
    )
        .exit(75)
        .seen("himdsd.service is failed (failed, enabled)")
        .remedy("journalctl -u himdsd -n 50");

    service_masked "agent.service-masked" =>
        Met::by_enroll(services(&Unit { load: "masked".into(), file: "masked".into(), ..Unit::stopped() }))
        .exit(19)
        .seen("himdsd.service is inactive (dead, masked)")
        .remedy("systemctl unmask himdsd");

    crash_loop "agent.service-crash-looping" => Met::by_enroll(services(
        &Unit { active: "activating".into(), sub: "auto-restart".into(), ..Unit::running() }
            .with("NRestarts", "9")
            .with("Result", "exit-code"),
    ))
        .exit(19)
        .seen("himdsd.service is activating (auto-restart, enabled), result exit-code")
        .seen("restarted by systemd at least 8 times")
        .remedy("journalctl -u himdsd")
        .remedy("apt-get remove azcmagent");

    given_up "agent.service-crash-looping" =>
        Met::by_enroll(services(&Unit::failed().with("NRestarts", "5").with("Result", "start-limit-hit")))
        .exit(19)
        .seen("result start-limit-hit, restarted by systemd at least 4 times")
        .remedy("systemctl reset-failed himdsd");

    service_stale "agent.service-stale" => Met::by_doctor(stale())
        .exit(19)
        .seen("himdsd.service was started before /etc/systemd/system.conf.d/50-arc-enroll-proxy.conf was written")
        .seen("has no HTTPS_PROXY")
        .remedy("systemctl restart himdsd arcproxyd extd gcad");

    proxy_missing "agent.proxy-missing" => Met::by_doctor(observed_vm().installed())
        .exit(19)
        .seen("proxy.url is not set; the proxy is http://169.254.0.11:3128")
        .remedy("azcmagent config set proxy.url http://169.254.0.11:3128");

    proxy_differs "agent.proxy-differs" => Met::by_enroll(
        Vm::new()
            .installed()
            .config(&config(&[], 2))
            .call("azcmagent config get", Playbook::new().forever(Outcome::exit(0, "http://10.0.0.1:3128\n"))),
    )
        .exit(19)
        .seen("proxy.url is http://10.0.0.1:3128, not http://169.254.0.11:3128")
        .remedy("azcmagent config set proxy.url http://169.254.0.11:3128");

    not_answering "agent.not-answering" => Met::by_enroll(Vm::new().installed().config(&config(&[], 2)).call(
        "azcmagent show",
        Playbook::new().forever(Outcome::exit(65, "FATAL   dial unix himds.sock: connection refused\n")),
    ))
        .exit(75)
        .seen("the output of azcmagent show (exit code 65) cannot be parsed")
        .seen("dial unix himds.sock")
        .remedy("systemctl restart himdsd arcproxyd");

    azure_vm "agent.azure-vm" => Met::by_doctor(
        observed_vm_with_agent().imds(|imds| imds.instance = Some(Reply::text(200, "{\"azEnvironment\":\"x\"}"))),
    )
        .exit(19)
        .seen("the sidecar answers /metadata/instance/compute with HTTP 200")
        .remedy("Set agent.allow_azure_vm to true in /etc/arc-enroll/config.yaml");

    configuration "agent.configuration-refused" => Met::by_enroll(
        Vm::new()
            .installed()
            .call("azcmagent connect", Playbook::new().forever(Outcome::fail(20, "Message: no region eastus"))),
    )
        .exit(19)
        .seen("AZCM0020")
        .seen("no region eastus")
        .remedy("Correct /etc/arc-enroll/config.yaml");
}

#[test]
fn services_without_the_proxy_are_restarted_once() {
    let vm = stale().start();
    let run = vm.run(&["enroll"]);
    crate::assertions::assert_enrolled(&vm, &run);
    assert_eq!(crate::assertions::met(&run, "agent.service-stale").len(), 1, "{}", run.text());
    assert_eq!(vm.calls_of("systemctl restart himdsd.service").len(), 1);
}

#[test]
fn services_with_the_proxy_or_without_need_are_not_restarted() {
    let known = "HTTPS_PROXY=http://proxy-user:p%40ss@169.254.0.11:3128\0";
    let younger =
        Unit::running().with("MainPID", "4242").with("ExecMainStartTimestampMonotonic", "600000000");
    for vm in [
        stale().file("proc/4242/environ", known),
        // A service whose process is unknown, or was started after the variables were set, is not checked.
        stale().system(|system| drop(system.units.insert("himdsd.service".into(), Unit::running()))).system(
            |system| {
                for name in SERVICES {
                    system.units.insert(name.to_owned(), younger.clone());
                }
            },
        ),
        // Without a password azcmagent has the proxy in its configuration.
        stale().config(&(vm::config() + "proxy: {persist: false}\n")).csn(|csn| csn.credentials = None),
    ] {
        let vm = vm.start();
        let run = vm.run(&["enroll"]);
        crate::assertions::assert_enrolled(&vm, &run);
        assert!(vm.calls_of("systemctl restart").is_empty(), "{}", run.text());
    }
}

#[test]
fn old_agent_is_replaced_by_the_newest_once() {
    let old = |vm: &Vm| {
        let text = "{\"installed\": {\"azcmagent\": \"1.3.21083.001\"}, \"available\": [\"azcmagent\"]}";
        vm.write(".nexus/packages.json", text);
    };
    let vm = Vm::new().installed().start();
    old(&vm);
    let run = vm.run(&["enroll"]);
    crate::assertions::assert_enrolled(&vm, &run);
    assert_eq!(vm.calls_of("apt-get install").len(), 1);
    let vm = Vm::new()
        .installed()
        .call(
            "azcmagent version",
            Playbook::new().forever(Outcome::exit(0, "azcmagent version  1.3.21083\n")),
        )
        .start();
    let run = vm.run(&["enroll"]);
    crate::assertions::assert_stopped(&vm, &run, 19, "agent.too-old");
    assert_eq!(vm.calls_of("apt-get install").len(), 1, "one try, not a loop");
}
