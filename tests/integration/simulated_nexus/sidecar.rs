//! The sidecar, tested with curl and a real client, `azure-identity`.

use super::{imds, ARM, TOKEN};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::nexus::spec::{
    HttpAct, Identity, ImdsPlan, Playbook, PortState, Reply, TokenShape, SYSTEM_OBJECT, USER_CLIENT,
    USER_OBJECT,
};
use crate::nexus::vm::Vm;

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
fn sidecar_opens_on_command() {
    let vm = Vm::new().imds(|imds| imds.port_state = PortState::Closed).start();
    assert_eq!(imds(&vm, "/healthz", &[]).0, "000");
    vm.set_imds(ImdsPlan::default());
    let output = vm
        .command("curl")
        .args(["-sS", "--noproxy", "*", "--retry", "20", "--retry-delay", "1", "--retry-connrefused"])
        .arg("http://169.254.169.254/healthz")
        .output()
        .expect("curl runs");
    assert_eq!(output.stdout, b"ok");
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

/// The interpreter named by `NEXUS_PYTHON`, or one in a virtual environment below the target folder. Only
/// if neither is available, and not under CI, the test is skipped.
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
