//! The simulated Nexus behaves as documented, for any client.

/// The stand-in for azcmagent.
mod azcmagent;
/// Its proxy and its Azure.
mod azure;
/// Its package managers and repository.
mod packages;
/// Its sidecar.
mod sidecar;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::nexus::spec::{RESOURCE_GROUP, SUBSCRIPTION};
use crate::nexus::vm::{nexus_program, Vm};

const TOKEN: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01";

const ARM: &str = "resource=https%3A%2F%2Fmanagement.azure.com%2F";

const PROXY: &str = "http://169.254.0.11:3128";

/// Status and body of a plain request.
fn imds(vm: &Vm, path: &str, headers: &[&str]) -> (String, Value) {
    let mut command = vm.command("curl");
    command.args(["-sS", "--noproxy", "*", "-m", "10", "-w", "\n%{http_code}"]);
    for header in headers {
        command.args(["-H", header]);
    }
    split(&command.arg(format!("http://169.254.169.254{path}")).output().expect("curl runs"))
}

fn split(output: &Output) -> (String, Value) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
    (status.to_owned(), serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
}

/// Status and body of a request to Azure through the proxy; status `000` where the tunnel or TLS failed.
fn azure(vm: &Vm, url: &str, token: Option<&str>, more: &[&str]) -> (String, Value) {
    let mut command = vm.command("curl");
    command.args(["-sS", "-x", PROXY, "-m", "10", "-w", "\n%{http_code}", "--cacert"]).arg(ca(vm));
    if let Some(token) = token {
        command.arg("-H").arg(format!("Authorization: Bearer {token}"));
    }
    split(&command.args(more).arg(url).output().expect("curl runs"))
}

fn ca(vm: &Vm) -> PathBuf {
    vm.root.join(".nexus/ca.pem")
}

fn token(vm: &Vm) -> String {
    let (status, body) = imds(vm, &format!("{TOKEN}&{ARM}"), &["Metadata: true"]);
    assert_eq!(status, "200", "{body}");
    body["access_token"].as_str().expect("a token").to_owned()
}

fn arm(path: &str) -> String {
    format!(
        "https://management.azure.com/subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}{path}\
         ?api-version=2022-04-01"
    )
}

/// One of the stand-in programs, with what it needs to get through the proxy.
fn stand_in(vm: &Vm, line: &[&str]) -> (i32, String) {
    let (program, arguments) = line.split_first().expect("a program");
    let mut command = vm.command(program);
    command.args(arguments).env_clear().env("https_proxy", PROXY).env("SSL_CERT_FILE", ca(vm));
    let output = command.output().expect("a stand-in runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text.into_owned())
}

/// `nexus serve`, in the network of a VM, so that its ports are free.
#[test]
fn servers_run_alone() {
    let vm = Vm::new().start();
    let folder = vm.folder().join("alone");
    let ca = vm.folder().join("authority.pem");
    let mut first = String::new();
    for round in 0..2 {
        let mut command = vm.inside(nexus_program());
        command.args(["serve", "--sidecar", "127.0.0.1:8080", "--proxy", "127.0.0.1:8081"]);
        command.arg("--state").arg(&folder).arg("--ca-out").arg(&ca).stdout(Stdio::piped());
        let mut server = command.spawn().expect("serve starts");
        let mut line = String::new();
        let mut output = BufReader::new(server.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("serve speaks");
        assert!(line.contains("http://127.0.0.1:8080"), "{line}");
        let mut curl = vm.command("curl");
        curl.args(["-sS", "-x", "http://127.0.0.1:8081", "--cacert"]).arg(&ca).args(["-o", "/dev/null"]);
        let status = curl.arg("https://login.microsoftonline.com/").status().expect("curl runs");
        server.kill().expect("serve runs");
        server.wait().expect("serve ends");
        assert!(status.success(), "round {round}");
        let authority = std::fs::read_to_string(&ca).expect("the CA is kept");
        assert!(first.is_empty() || first == authority, "the same CA is used again");
        first = authority;
    }
    let requests = std::fs::read_to_string(folder.join("requests.jsonl")).expect("the record is kept");
    assert_eq!(requests.lines().filter(|line| line.contains("\"server\":\"csn\"")).count(), 2);
}
