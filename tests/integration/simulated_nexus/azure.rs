//! The proxy and Azure Resource Manager behind it.

use super::{arm, azure, token};

use serde_json::Value;

use crate::nexus::spec::{Certificate, Denial, HttpAct, Playbook, TokenShape, VM_NAME};
use crate::nexus::vm::Vm;

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
fn arm_refuses_as_documented() {
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
fn arm_checks_the_token() {
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
    assert_eq!(codes[3], Value::Null, "an opaque token is accepted");
    assert_eq!(
        azure(&vm, &permissions, Some("forged"), &[]).1["error"]["code"],
        "InvalidAuthenticationToken"
    );
}
