//! Enrolling through a real proxy: tinyproxy in front of the simulated CSN.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::assertions::{assert_enrolled, assert_stopped, evidence, with_windows};
use crate::nexus::run::wait_until;
use crate::nexus::vm::Vm;

/// Where tinyproxy listens inside the VM's network.
const PROXY: &str = "127.0.0.1:8888";

/// Every name that an enrollment with azcmagent in the image needs.
const NAMES: [&str; 6] = [
    "management.azure.com",
    "login.microsoftonline.com",
    "pas.windows.net",
    "gbl.his.arc.azure.com",
    "agentserviceapi.guestconfiguration.azure.com",
    "guestnotificationservice.azure.com",
];

/// tinyproxy in a VM's network, stopped when dropped.
struct Tinyproxy(Child);

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Whether tinyproxy is installed; under CI it must be.
fn is_here() -> bool {
    let found =
        Command::new("tinyproxy").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "tinyproxy is not installed");
        eprintln!("SKIPPED: tinyproxy is not installed, so nothing went through a real proxy");
    }
    found
}

/// Starts tinyproxy with more lines of configuration; it passes tunnels on to the simulated CSN.
fn start(vm: &Vm, more: &str) -> Tinyproxy {
    let file = vm.folder().join("tinyproxy.conf");
    let (host, port) = PROXY.split_once(':').expect("host and port");
    let text = format!(
        "Listen {host}\nPort {port}\nTimeout 30\nMaxClients 50\nConnectPort 443\n\
         Upstream http 169.254.0.11:3128\nLogFile \"{}\"\n{more}",
        vm.folder().join("tinyproxy.log").display()
    );
    std::fs::write(&file, text).expect("tinyproxy.conf");
    let mut command = vm.command("tinyproxy");
    command.arg("-d").arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let proxy = Tinyproxy(command.spawn().expect("tinyproxy starts"));
    wait_until("tinyproxy listens", || {
        let mut curl = vm.command("curl");
        curl.args(["-s", "-o", "/dev/null", PROXY]).status().is_ok_and(|status| status.success())
    });
    proxy
}

/// A configuration whose proxy is tinyproxy.
fn through(credentials: &str) -> String {
    format!("{}proxy: {{url: \"http://{credentials}{PROXY}\"}}\n", with_windows(&[("endpoint", "2s")]))
}

/// Lines that let only these names through.
fn only(vm: &Vm, names: &[&str]) -> String {
    let file = vm.folder().join("tinyproxy.filter");
    let lines: Vec<String> = names.iter().map(|name| format!("^{}$", name.replace('.', "\\."))).collect();
    std::fs::write(&file, lines.join("\n") + "\n").expect("tinyproxy.filter");
    format!("Filter \"{}\"\nFilterDefaultDeny Yes\nFilterExtended Yes\n", file.display())
}

#[test]
fn a_vm_is_enrolled_through_a_real_proxy() {
    if !is_here() {
        return;
    }
    let vm = Vm::new().installed().config(&through("")).start();
    let _proxy = start(&vm, &only(&vm, &NAMES));
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(TcpStream::connect(PROXY).is_err(), "the proxy is in the VM's network, not in the machine's");
}

#[test]
fn an_endpoint_that_a_real_proxy_refuses_is_named() {
    if !is_here() {
        return;
    }
    let vm = Vm::new().installed().config(&through("")).start();
    let allowed: Vec<&str> = NAMES.into_iter().filter(|name| *name != "pas.windows.net").collect();
    let _proxy = start(&vm, &only(&vm, &allowed));
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 17, "egress.refused");
    assert!(evidence(&run, "egress.refused").contains("pas.windows.net"), "{}", run.text());
    assert!(run.stdout.contains("Allow these: pas.windows.net"), "{}", run.text());
}

#[test]
fn a_real_proxy_that_asks_for_a_password_is_named_and_gets_it_from_the_configuration() {
    if !is_here() {
        return;
    }
    let vm = Vm::new().installed().config(&through("")).start();
    let _proxy = start(&vm, "BasicAuth nexus s3cret-of-the-proxy\n");
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 15, "proxy.authentication");

    vm.write("etc/arc-enroll/config.yaml", &through("nexus:s3cret-of-the-proxy@"));
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(!run.text().contains("s3cret-of-the-proxy"), "the password shows");
}
