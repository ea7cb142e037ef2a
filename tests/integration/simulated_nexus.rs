//! The doubles themselves: that they behave as documented, so that what the agent is tried against is worth
//! something.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::nexus::seen::Call;
use crate::nexus::spec::{
    Certificate, Denial, Door, HttpAct, Identity, Outcome, Playbook, Reply, TokenShape, LOCATION,
    PACKAGE_SHA256, RESOURCE_GROUP, SUBSCRIPTION, SYSTEM_OBJECT, USER_CLIENT, USER_OBJECT, VM_NAME,
};
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

fn connect(vm: &Vm, token: &str, more: &str) -> (i32, String) {
    let text = format!(
        "{{\"access-token\": \"{token}\", \"subscription-id\": \"{SUBSCRIPTION}\", \
         \"resource-group\": \"{RESOURCE_GROUP}\", \"location\": \"{LOCATION}\"{more}}}"
    );
    let file = vm.root.join("run/connect.json");
    vm.write("run/connect.json", &text);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(vm.path("run/connect.json"), mode).expect("the mode can be set");
    stand_in(vm, &["azcmagent", "connect", "--config", &file.to_string_lossy()])
}

#[test]
fn sidecar_answers_only_proper_requests() {
    let vm = Vm::new().start();
    let (status, body) = imds(&vm, &format!("{TOKEN}&{ARM}"), &[]);
    assert_eq!(status, "400");
    assert_eq!(body["error_description"], "Required metadata header not specified");
    let forwarded = ["Metadata: true", "X-Forwarded-For: 10.0.0.1"];
    assert_eq!(imds(&vm, &format!("{TOKEN}&{ARM}"), &forwarded).0, "400");
    let metadata = ["Metadata: true"];
    assert_eq!(imds(&vm, &format!("{TOKEN}&{ARM}&{ARM}"), &metadata).0, "400");
    assert_eq!(imds(&vm, TOKEN, &metadata).0, "400");
    let (status, body) = imds(&vm, &format!("/metadata/identity/oauth2/token?{ARM}"), &metadata);
    assert_eq!(status, "400");
    assert!(body["newest-versions"].is_array(), "{body}");
    assert_eq!(imds(&vm, &format!("{TOKEN}&{ARM}&client_id=a&object_id=b"), &metadata).0, "400");
    assert_eq!(imds(&vm, "/healthz", &metadata), ("200".to_owned(), Value::String("ok".to_owned())));
    assert_eq!(imds(&vm, "/metadata/instance/compute?api-version=2019-06-01", &metadata).0, "404");
}

#[test]
fn sidecar_chooses_the_identity_as_imds_does() {
    let metadata = ["Metadata: true"];
    let other = Identity::user_named(
        "other",
        "99999999-9999-4999-8999-999999999998",
        "99999999-9999-4999-8999-999999999999",
    );
    let claim = |vm: &Vm, query: &str| {
        let (_, body) = imds(vm, &format!("{TOKEN}&{ARM}{query}"), &metadata);
        let number = vm.observed().tokens.len();
        let oid = vm.observed().tokens.last().map(|issued| issued.claims["oid"].clone());
        (oid.and_then(|oid| oid.as_str().map(str::to_owned)), body["error_description"].clone(), number)
    };
    let none = Vm::new().imds(|imds| imds.identities.clear()).start();
    assert_eq!(claim(&none, ""), (None, "Identity not found".into(), 0));
    let both = Vm::new().imds(|imds| imds.identities.push(Identity::user())).start();
    assert_eq!(claim(&both, "").0.as_deref(), Some(SYSTEM_OBJECT));
    assert_eq!(claim(&both, &format!("&client_id={USER_CLIENT}")).0.as_deref(), Some(USER_OBJECT));
    let id = Identity::user().resource_id.to_uppercase().replace('/', "%2F");
    assert_eq!(claim(&both, &format!("&msi_res_id={id}")).0.as_deref(), Some(USER_OBJECT));
    assert_eq!(claim(&both, "&object_id=nobody").1, "Identity not found");
    let only = Vm::new().imds(|imds| imds.identities = vec![Identity::user()]).start();
    assert_eq!(claim(&only, "").0.as_deref(), Some(USER_OBJECT));
    let several = Vm::new().imds(|imds| imds.identities = vec![Identity::user(), other]).start();
    assert!(claim(&several, "").1.as_str().is_some_and(|text| text.starts_with("Multiple user assigned")));
}

#[test]
fn sidecar_plays_failures_and_then_is_healthy() {
    let vm = Vm::new()
        .imds(|imds| {
            imds.token = Playbook::new()
                .times(2, Reply::named("imds-503").act())
                .once(HttpAct::Close)
                .once(Reply::named("imds-500").cut_after(20).act())
                .once(HttpAct::Token(TokenShape { opaque: true, ..TokenShape::default() }));
        })
        .start();
    let path = format!("{TOKEN}&{ARM}");
    let statuses: Vec<String> = (0..6).map(|_| imds(&vm, &path, &["Metadata: true"]).0).collect();
    assert_eq!(statuses, ["503", "503", "000", "500", "200", "200"]);
    let observed = vm.observed();
    assert!(observed.tokens[0].token.starts_with("opaque"));
    assert!(observed.tokens[1].token.starts_with("eyJ"));
    assert_eq!(observed.token_requests().len(), 6);
}

#[test]
fn sidecar_opens_when_it_is_told_to() {
    let vm = Vm::new().imds(|imds| imds.door = Door::ClosedFor(300)).start();
    assert_eq!(imds(&vm, "/healthz", &[]).0, "000");
    let output = vm
        .command("curl")
        .args(["-sS", "--noproxy", "*", "--retry", "20", "--retry-delay", "1", "--retry-connrefused"])
        .arg("http://169.254.169.254/healthz")
        .output()
        .expect("curl runs");
    assert_eq!(output.stdout, b"ok");
}

#[test]
fn proxy_opens_what_is_on_its_list() {
    let vm = Vm::new().csn(|csn| csn.refused = vec!["pas.windows.net".to_owned()]).start();
    assert_eq!(azure(&vm, "https://login.microsoftonline.com/", None, &[]).0, "200");
    assert_eq!(azure(&vm, "https://eus.his.arc.azure.com/", None, &[]).0, "404");
    assert_eq!(azure(&vm, "https://pas.windows.net/", None, &[]).0, "000");
    assert_eq!(azure(&vm, "https://example.com/", None, &[]).0, "000");
    let refused: Vec<u16> = vm.observed().csn.iter().map(|seen| seen.status).collect();
    assert_eq!(refused, [200, 200, 403, 403]);
}

#[test]
fn proxy_asks_for_credentials() {
    let vm = Vm::new().csn(|csn| csn.credentials = Some("nexus:geheim".to_owned())).start();
    assert_eq!(azure(&vm, "https://management.azure.com/", None, &[]).0, "000");
    let user = ["--proxy-user", "nexus:geheim"];
    assert_eq!(azure(&vm, "https://login.microsoftonline.com/", None, &user).0, "200");
}

#[test]
fn certificates_can_be_wrong() {
    for form in [Certificate::Untrusted, Certificate::Expired, Certificate::WrongName] {
        let vm = Vm::new().azure(|azure| azure.certificate = form).start();
        assert_eq!(azure(&vm, "https://management.azure.com/", None, &[]).0, "000", "{form:?}");
    }
}

#[test]
fn arm_refuses_in_its_own_words() {
    let vm = Vm::new()
        .azure(|azure| {
            azure.access.denials = 1;
            azure.access.fresh_token = true;
        })
        .start();
    let permissions = arm("/providers/Microsoft.Authorization/permissions");
    let (status, body) = azure(&vm, &permissions, None, &[]);
    assert_eq!((status.as_str(), &body["error"]["code"]), ("401", &"AuthenticationFailed".into()));
    let first = token(&vm);
    let (status, body) = azure(&vm, &permissions, Some(&first), &[]);
    assert_eq!((status.as_str(), &body["error"]["code"]), ("403", &"AuthorizationFailed".into()));
    assert_eq!(azure(&vm, &permissions, Some(&first), &[]).0, "403", "the old token stays refused");
    let (status, body) = azure(&vm, &permissions, Some(&token(&vm)), &[]);
    assert_eq!(status, "200");
    assert!(body["value"][0]["actions"].as_array().is_some_and(|actions| actions.len() == 5), "{body}");
    let machine = arm(&format!("/providers/Microsoft.HybridCompute/machines/{VM_NAME}"));
    assert_eq!(azure(&vm, &machine, Some(&token(&vm)), &[]).1["error"]["code"], "ResourceNotFound");
    let delete = azure(&vm, &machine, Some(&token(&vm)), &["-X", "DELETE"]);
    assert_eq!(delete.0, "403", "the onboarding role cannot delete");
}

#[test]
fn arm_looks_at_the_token() {
    let shape = |change: fn(&mut TokenShape)| {
        let mut shape = TokenShape::default();
        change(&mut shape);
        HttpAct::Token(shape)
    };
    let tokens = Playbook::new()
        .once(shape(|shape| shape.lifetime_s = Some(-60)))
        .once(shape(|shape| shape.tenant = Some("99999999-9999-4999-8999-999999999999".to_owned())))
        .once(shape(|shape| shape.audience = Some("https://vault.azure.net".to_owned())))
        .once(shape(|shape| shape.opaque = true));
    let vm =
        Vm::new().imds(|imds| imds.token = tokens).azure(|azure| azure.access.form = Denial::Empty).start();
    let permissions = arm("/providers/Microsoft.Authorization/permissions");
    let codes: Vec<Value> =
        (0..4).map(|_| azure(&vm, &permissions, Some(&token(&vm)), &[]).1["error"]["code"].clone()).collect();
    let expected = [
        "ExpiredAuthenticationToken",
        "InvalidAuthenticationTokenTenant",
        "InvalidAuthenticationTokenAudience",
    ];
    assert_eq!(codes[..3], expected);
    assert_eq!(codes[3], Value::Null, "an opaque token is as good as any");
    assert_eq!(
        azure(&vm, &permissions, Some("forged"), &[]).1["error"]["code"],
        "InvalidAuthenticationToken"
    );
}

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
fn package_manager_says_yes_although_nothing_was_fetched() {
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
fn install_script_has_the_ways_of_the_official_one() {
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
fn azcmagent_connects_through_the_proxy() {
    let vm = Vm::new().installed().start();
    let (code, text) = connect(&vm, &token(&vm), ", \"tags\": \"Stage=test,Owner='two, words',Odd=a\\\\,b\"");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("100% [===============]") && text.contains("Connected machine to Azure"), "{text}");
    let observed = vm.observed();
    let tags = &observed.machines[VM_NAME]["tags"];
    assert_eq!(
        (&tags["Stage"], &tags["Owner"], &tags["Odd"]),
        (&"test".into(), &"two, words".into(), &"a,b".into())
    );
    let call: Call = vm.calls_of("azcmagent connect").remove(0);
    assert!(!call.token_in_argv && !call.token_in_env);
    let file = call.config.expect("the file is recorded");
    assert_eq!((file.mode.as_str(), file.file_system.as_str()), ("600", "tmpfs"));
    assert_eq!(file.content["access-token"], "<token>");
    assert_eq!(vm.leaks(&[]), ["run/connect.json"], "the caller's own file, nothing else");
    let (_, shown) = stand_in(&vm, &["azcmagent", "show", "-j"]);
    let shown: Value = serde_json::from_str(&shown).expect("show -j is JSON");
    assert_eq!(shown["status"], "Connected");
    let (code, text) = connect(&vm, &token(&vm), "");
    assert!(code == 67 && text.contains("AZCM0067") && text.contains(VM_NAME), "{text}");
}

#[test]
fn azcmagent_fails_as_documented() {
    let expired = HttpAct::Token(TokenShape { lifetime_s: Some(-60), ..TokenShape::default() });
    let cases: [(Vm, i32, &str); 6] = [
        (
            Vm::new().installed().imds(|imds| imds.token = Playbook::new().once(expired)).start(),
            42,
            "Expired",
        ),
        (Vm::new().installed().azure(|azure| azure.access.never = true).start(), 42, "Status Code=403"),
        (
            Vm::new().installed().azure(|azure| azure.providers_registered = false).start(),
            42,
            "MissingSubscription",
        ),
        (
            Vm::new().installed().csn(|csn| csn.refused = vec!["management.azure.com".to_owned()]).start(),
            26,
            "management.azure.com/\": Forbidden",
        ),
        (
            Vm::new()
                .installed()
                .call("azcmagent connect", Playbook::new().once(Outcome::HalfMade { azcm: 62 }))
                .start(),
            62,
            "AZCM0062",
        ),
        (
            Vm::new()
                .installed()
                .azure(|azure| {
                    let other = crate::nexus::spec::machine(VM_NAME, "Connected", "another");
                    azure.machines.insert(VM_NAME.to_owned(), other);
                })
                .start(),
            44,
            "AZCM0044",
        ),
    ];
    for (vm, expected, words) in cases {
        let (code, text) = connect(&vm, &token(&vm), "");
        assert!(code == expected && text.contains(words), "expected {expected} {words}, got {code}:\n{text}");
    }
}

#[test]
fn azcmagent_without_a_credential_waits_for_a_person() {
    let vm = Vm::new().installed().start();
    let mut command = vm.command("timeout");
    let program = vm.root.join("usr/bin/azcmagent");
    command.args(["1", &program.to_string_lossy(), "connect", "-s", SUBSCRIPTION, "-g", "x", "-l", "eastus"]);
    let output = command.env_clear().env("PATH", "/usr/bin").output().expect("timeout runs");
    assert_eq!(output.status.code(), Some(124), "still waiting when stopped");
    assert!(String::from_utf8_lossy(&output.stdout).contains("To sign in, use a web browser"));
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

/// A real client of IMDS: the `azure-identity` package in a virtual environment.
#[test]
fn azure_identity_accepts_the_sidecar() {
    let Some(python) = python_with_azure_identity() else { return };
    let vm = Vm::new().imds(|imds| imds.identities.push(Identity::user())).start();
    let script = "import sys\n\
        from azure.identity import ManagedIdentityCredential\n\
        credential = ManagedIdentityCredential(**dict(word.split('=', 1) for word in sys.argv[1:]))\n\
        token = credential.get_token('https://management.azure.com/.default')\n\
        print(token.token, token.expires_on)\n";
    for (arguments, object) in
        [(vec![], SYSTEM_OBJECT), (vec![format!("client_id={USER_CLIENT}")], USER_OBJECT)]
    {
        let mut command = vm.inside(&python);
        command.args(["-c", script]).args(&arguments).env("NO_PROXY", "169.254.169.254");
        for name in ["IDENTITY_ENDPOINT", "IMDS_ENDPOINT", "MSI_ENDPOINT"] {
            command.env_remove(name);
        }
        let output = command.output().expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let issued = vm.observed().tokens.pop().expect("a token was issued");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(&issued.token));
        assert_eq!(issued.claims["oid"], object);
    }
}

/// The interpreter named by `NEXUS_PYTHON`, or one in a virtual environment made below the target folder. Only
/// where neither is to be had, and not under continuous integration, the test is left out.
fn python_with_azure_identity() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("NEXUS_PYTHON") {
        return Some(PathBuf::from(named));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("azure-identity");
    let python = folder.join("bin/python");
    let runs = |arguments: &[&str]| {
        Command::new(&python).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if runs(&["-c", "import azure.identity"]) {
        return Some(python);
    }
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(&folder)
        .status()
        .is_ok_and(|status| status.success());
    if made && runs(&["-m", "pip", "install", "--quiet", "azure-identity==1.27.0"]) {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "azure-identity cannot be installed, and this is CI");
    eprintln!(
        "SKIPPED azure_identity_accepts_the_sidecar: python3 with venv and pip cannot install azure-identity"
    );
    None
}
