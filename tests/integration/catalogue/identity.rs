//! Faults of the token.

use super::machine::{quiet, with_short_windows};
use super::{faults, Met};
use crate::assertions::{assert_enrolled, met, with_azure};
use crate::nexus::spec::{
    Denial, HttpAct, Identity, Playbook, Reply, TokenShape, SYSTEM_OBJECT, TENANT, USER_CLIENT, USER_OBJECT,
};
use crate::nexus::vm::{config, Builder, Vm};

faults! {
    none "identity.none" => Met::by_doctor(quiet().imds(|imds| imds.identities.clear()))
        .exit(18)
        .seen("HTTP 400, invalid_request: Identity not found")
        .remedy("--query identity")
        .remedy("recreate the VM with --mi-system-assigned --system-assigned");

    not_assigned "identity.not-assigned" => Met::by_doctor(naming("client_id", USER_CLIENT))
        .exit(18)
        .seen("Identity not found; asked for: user-assigned, client id 66666666-6666-4666-8666-666666666666")
        .seen("the VM has system-assigned /subscriptions/")
        .seen("object id 33333333-3333-4333-8333-333333333333")
        .remedy("az networkcloud virtualmachine show --name contoso-vm-01")
        .remedy("Correct identity in /etc/arc-enroll/config.yaml");

    ambiguous "identity.ambiguous" => Met::by_doctor(quiet().imds(|imds| {
            imds.identities = vec![Identity::user(), Identity::user_named("other", SYSTEM_OBJECT, TENANT)];
        }))
        .exit(18)
        .seen("Multiple user assigned identities exist")
        .remedy("Name one in /etc/arc-enroll/config.yaml: identity: {resource_id: ");

    id_malformed "identity.id-malformed" =>
        Met::by_doctor(naming("client_id", USER_CLIENT).imds(|imds| {
            imds.token = always(refusal("The client_id is not a valid GUID"));
        }))
        .exit(18)
        .seen("HTTP 400, invalid_request: The client_id is not a valid GUID")
        .remedy("az identity show --ids ID")
        .remedy("Correct identity in /etc/arc-enroll/config.yaml");

    system_not_enabled "identity.system-not-enabled" => Met::by_enroll(only_user_assigned())
        .exit(18)
        .seen("AuthorizationFailed")
        .seen("IMDS gave user-assigned /subscriptions/")
        .seen("client id 66666666-6666-4666-8666-666666666666, object id 55555555-5555-4555-8555-555555555555")
        .remedy("--assignee-object-id 55555555-5555-4555-8555-555555555555")
        .remedy("--scope \"/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/contoso-nexus-rg\"")
        .remedy("--mi-system-assigned --system-assigned");

    resource_invalid "identity.resource-invalid" => Met::by_doctor(token(named("imds-400-resource")))
        .exit(18)
        .seen("HTTP 400, invalid_resource")
        .remedy("Correct imds.resource in /etc/arc-enroll/config.yaml");

    header_required "identity.header-required" =>
        Met::by_doctor(token(refusal("Required metadata header not specified")))
            .exit(18)
            .seen("Required metadata header not specified")
            .remedy("iptables -t nat -S")
            .remedy("-H Metadata:true \"http://169.254.169.254/metadata/identity/oauth2/token");

    request_refused "identity.request-refused" =>
        Met::by_doctor(token(refusal("api-version is invalid or was not specified in the request")))
            .exit(18)
            .seen("api-version is invalid")
            .remedy("-H Metadata:true \"http://169.254.169.254/metadata/identity/oauth2/token");

    refused "identity.refused" => Met::by_doctor(token(Reply::text(403, "access_denied").act()))
        .exit(18)
        .seen("HTTP 403, access_denied")
        .remedy("--query identity");

    not_ready "identity.not-ready" => Met::by_doctor(token(named("imds-404")))
        .exit(75)
        .seen("HTTP 404")
        .remedy("curl -v --noproxy '*' -H Metadata:true http://169.254.169.254/healthz");

    updating "identity.updating" => Met::by_doctor(token(named("imds-410")))
        .exit(75)
        .seen("HTTP 410")
        .remedy("arc-enroll bundle");

    throttled "identity.throttled" => Met::by_doctor(token(named("imds-429-retry-after")))
        .exit(75)
        .seen("HTTP 429")
        .remedy("asks for tokens");

    token_service "identity.token-service" => Met::by_doctor(token(named("imds-500")))
        .exit(75)
        .seen("HTTP 500")
        .seen("but /healthz: HTTP 200, ok")
        .remedy("arc-enroll bundle");

    sidecar_unhealthy "identity.sidecar-unhealthy" =>
        Met::by_doctor(token(named("imds-503")).imds(|imds| imds.healthz = always(named("healthz-503"))))
            .exit(75)
            .seen("HTTP 503")
            .seen("; /healthz: HTTP 503")
            .remedy("curl -v --noproxy '*' --max-time 3 -H Metadata:true http://169.254.169.254/healthz");

    reply_unreadable "identity.reply-unreadable" => Met::by_doctor(token(named("imds-200-no-token")))
        .exit(75)
        .seen("HTTP 200")
        .remedy("head -c 300");

    token_expired "identity.token-expired" => Met::by_doctor(shaped(|shape| shape.lifetime_s = Some(-60)))
        .exit(75)
        .seen("it had expired when it was issued, and so had the new ones")
        .remedy("arc-enroll token --output json");

    token_not_yet_valid "identity.token-not-yet-valid" =>
        Met::by_doctor(shaped(|shape| shape.not_before_s = Some(3600)))
            .exit(75)
            .seen("its validity begins in the future")
            .remedy("arc-enroll token --output json");

    wrong_tenant "identity.wrong-tenant" => Met::by_doctor(
            quiet().config(&with_azure(&quiet_config(), "  tenant_id: 99999999-9999-4999-8999-999999999999\n")))
        .exit(18)
        .seen("the token's tenant is 22222222-2222-4222-8222-222222222222")
        .seen("azure.tenant_id is 99999999-9999-4999-8999-999999999999")
        .remedy("az account show --subscription 11111111-1111-4111-8111-111111111111 --query tenantId");

    tenant_unknown "identity.tenant-unknown" => Met::by_enroll(
            Vm::new().installed().imds(|imds| imds.token = always(shape(|shape| shape.opaque = true))))
        .exit(18)
        .seen("the token's claims cannot be read, and azure.tenant_id is not set")
        .remedy("Set azure.tenant_id in /etc/arc-enroll/config.yaml")
        .remedy("az account show --subscription 11111111-1111-4111-8111-111111111111");

    wrong_audience "identity.wrong-audience" =>
        Met::by_doctor(shaped(|shape| shape.audience = Some("https://vault.azure.net".into())))
            .exit(18)
            .seen("the token is for https://vault.azure.net")
            .remedy("Correct imds.resource in /etc/arc-enroll/config.yaml");

    token_rejected "identity.token-rejected" => Met::by_enroll(with_short_windows().installed().azure(|azure| {
            drop(azure.routes.insert("permissions".into(), always(named("arm-401-expired"))));
        }))
        .exit(75)
        .seen("HTTP 401 ExpiredAuthenticationToken")
        .remedy("arc-enroll token --output json");
}

fn always(act: HttpAct) -> Playbook<HttpAct> {
    Playbook::new().forever(act)
}

fn named(name: &str) -> HttpAct {
    Reply::named(name).act()
}

fn refusal(description: &str) -> HttpAct {
    let body = serde_json::json!({"error": "invalid_request", "error_description": description});
    Reply::json(400, &body).act()
}

fn shape(change: impl FnOnce(&mut TokenShape)) -> HttpAct {
    let mut shape = TokenShape::default();
    change(&mut shape);
    HttpAct::Token(shape)
}

fn quiet_config() -> String {
    config() + "proxy:\n  persist: false\n"
}

/// An enrolled VM whose token endpoint does nothing but this.
fn token(act: HttpAct) -> Builder {
    quiet().imds(|imds| imds.token = always(act))
}

fn shaped(change: impl FnOnce(&mut TokenShape)) -> Builder {
    token(shape(change))
}

/// An enrolled VM with a system-assigned identity, whose configuration names another.
fn naming(key: &str, value: &str) -> Builder {
    quiet().config(&format!("{}identity: {{{key}: \"{value}\"}}\n", quiet_config()))
}

/// The configuration names no identity, and there is a user-assigned one without a role.
fn only_user_assigned() -> Builder {
    with_short_windows()
        .installed()
        .imds(|imds| imds.identities = vec![Identity::user()])
        .azure(|azure| azure.access.never = true)
}

#[test]
fn ids_under_the_wrong_key_are_recognised() {
    for (key, value, words) in [
        ("client_id", USER_OBJECT, "what is configured as client_id is its object_id"),
        ("object_id", USER_CLIENT, "what is configured as object_id is its client_id"),
    ] {
        let vm = naming(key, value).imds(|imds| imds.identities = vec![Identity::user()]).start();
        let run = vm.run(&["doctor"]);
        run.assert_code(18);
        let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("identity.not-assigned") && text.contains(words), "{}", run.text());
    }
}

#[test]
fn a_named_identity_on_a_vm_without_identities_is_none() {
    let vm = naming("client_id", USER_CLIENT).imds(|imds| imds.identities.clear()).start();
    let run = vm.run(&["doctor"]);
    run.assert_code(18);
    assert!(
        run.stdout.contains("identity.none") && run.stdout.contains("no other on the VM"),
        "{}",
        run.text()
    );
}

#[test]
fn the_only_identity_is_used_and_reported_when_none_is_named() {
    let vm = with_short_windows().installed().imds(|imds| imds.identities = vec![Identity::user()]).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let holds = run.events("condition.holds").into_iter().find(|line| line["condition"] == "identity");
    let text = holds.map(|line| line["message"].to_string()).unwrap_or_default();
    assert!(text.contains("IMDS gave user-assigned") && text.contains(USER_CLIENT), "{text}");
}

#[test]
fn a_listing_without_the_role_gives_the_same_fault_as_a_refusal() {
    let vm = only_user_assigned().azure(|azure| azure.access.form = Denial::Empty).start();
    let run = vm.run(&["doctor", "--output", "json"]);
    let value: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let access = &value["conditions"][9];
    assert_eq!(access["fault"], "identity.system-not-enabled", "{}", run.text());
    let evidence = access["evidence"].as_str().unwrap_or_default();
    assert!(
        evidence.contains("Microsoft.HybridCompute/machines/write") && evidence.contains(USER_OBJECT),
        "{evidence}"
    );
}

#[test]
fn a_role_that_arrives_for_an_unexpected_identity_is_used() {
    let vm =
        only_user_assigned().azure(|azure| (azure.access.never, azure.access.denials) = (false, 1)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "identity.system-not-enabled").len(), 1, "{}", run.text());
}

#[test]
fn an_unhealthy_sidecar_with_a_token_is_only_reported() {
    let vm = quiet().imds(|imds| imds.healthz = always(named("healthz-503"))).start();
    let run = vm.run(&["doctor"]);
    run.assert_code(0);
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("but /healthz: HTTP 503"), "{}", run.text());
}

/// Any reply of the sidecar in place of a token is a fault with the reply as evidence, never a panic or a success.
#[test]
fn malformed_replies_are_faults_with_the_reply_as_evidence() {
    for (status, content_type, body, words) in [
        (200, "application/json", "[]", "HTTP 200"),
        (200, "application/json", "{\"access_token\": 7}", "HTTP 200"),
        (200, "application/json", "{\"token\": \"abcdefgh\"}", "HTTP 200"),
        (204, "text/plain", "", "HTTP 204"),
        (302, "text/plain", "", "HTTP 302"),
        (400, "text/plain", "bad request: no pod identity", "HTTP 400, bad request: no pod identity"),
        (400, "application/json", "{\"error\":{\"code\":\"x\",\"message\":\"nested\"}}", "nested"),
        (400, "application/problem+json", "{\"title\":\"Bad\",\"status\":400}", "\"title\":\"Bad\""),
        (403, "text/plain", "connecting to 169.254.169.254:80: unreachable network", "unreachable network"),
        (407, "text/plain", "who are you", "HTTP 407, who are you"),
        (409, "text/plain", "\u{7}\u{1b}[31mred", "HTTP 409,"),
        (418, "text/plain", "\u{fffd}\u{fffd}", "HTTP 418"),
        (451, "application/json", "{\"error\":null,\"error_description\":12}", "HTTP 451"),
        (
            500,
            "application/json",
            "{\"error\":\"unknown\",\"error_description\":\"Failed to retrieve token\"}",
            "Failed to retrieve token",
        ),
        (511, "text/plain", "Network Authentication Required", "Network Authentication Required"),
        (599, "text/plain", "", "HTTP 599, an empty body"),
    ] {
        let reply = Reply::text(status, body).header("Content-Type", content_type);
        let vm = token(reply.act()).start();
        let run = vm.run(&["doctor", "--output", "json"]);
        let value: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
        let identity = &value["conditions"][7];
        assert_eq!(
            (&identity["condition"], &identity["state"]),
            (&"identity".into(), &"fails".into()),
            "{status} {body}"
        );
        let evidence = identity["evidence"].as_str().unwrap_or_default();
        assert!(evidence.contains(words), "{status} {body}: {evidence}");
        assert!(!evidence.contains(char::is_control), "{evidence:?}");
        assert!(vm.leaks(&[&run]).is_empty());
    }
}
