//! The token: who it is for, and what is wrong with it.

use crate::assertions::{assert_enrolled, assert_stopped, evidence, met, waits, with_azure, with_windows};
use crate::nexus::spec::{HttpAct, Identity, Playbook, Reply, TokenShape, SYSTEM_OBJECT, TENANT};
use crate::nexus::vm::{config, Builder, Vm};

const OTHER_TENANT: &str = "99999999-9999-4999-8999-999999999999";

fn token(playbook: Playbook<HttpAct>) -> Builder {
    Vm::new().installed().imds(|imds| imds.token = playbook)
}

fn shaped(change: impl FnOnce(&mut TokenShape)) -> HttpAct {
    let mut shape = TokenShape::default();
    change(&mut shape);
    HttpAct::Token(shape)
}

#[test]
fn a_vm_without_an_identity_ends_with_a_manual_fault_after_the_window() {
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.identities.clear())
        .config(&with_windows(&[("token", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.none");
    assert_eq!(vm.observed().token_requests().len(), 2, "once more at the end of the window");
    assert!(run.stdout.contains("--mi-system-assigned"), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn a_missing_named_identity_ends_with_a_manual_fault_after_the_window() {
    let text =
        with_windows(&[("token", "1s")]) + "identity: {client_id: 66666666-6666-4666-8666-666666666666}\n";
    let vm = Vm::new().installed().config(&text).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.not-assigned");
    let text = evidence(&run, "identity.not-assigned");
    assert!(text.contains("Identity not found") && text.contains(SYSTEM_OBJECT), "{text}");
    // The token of the request without an identity is used only for the evidence.
    assert!(!vm.observed().azure.iter().any(|seen| seen.headers.contains_key("authorization")));
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn an_identity_that_arrives_within_the_window_is_used() {
    let not_found = Playbook::new().once(Reply::named("imds-404-no-identity").act());
    let vm = token(not_found).config(&with_windows(&[("token", "1s")])).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "identity.none").len(), 1, "{}", run.text());
}

#[test]
fn several_identities_without_a_choice_end_the_run_at_once() {
    let other = Identity::user_named("other", "99999999-9999-4999-8999-999999999998", OTHER_TENANT);
    let vm = Vm::new().installed().imds(|imds| imds.identities = vec![Identity::user(), other]).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.ambiguous");
    assert_eq!(vm.observed().token_requests().len(), 1);
    assert!(run.stdout.contains("identity: {resource_id:"), "{}", run.text());
}

#[test]
fn an_unknown_resource_ends_the_run_at_once() {
    let vm = token(Playbook::new().forever(Reply::named("imds-400-resource").act())).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.resource-invalid");
    assert_eq!(vm.observed().token_requests().len(), 1);
    assert!(run.stdout.contains("imds.resource"), "{}", run.text());
}

#[test]
fn a_bad_request_is_not_repeated() {
    let refusal = serde_json::json!({
        "error": "invalid_request",
        "error_description": "Required metadata header not specified",
    });
    let vm = token(Playbook::new().forever(Reply::json(400, &refusal).act())).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.header-required");
    assert_eq!(vm.observed().token_requests().len(), 1);
    assert!(
        evidence(&run, "identity.header-required").contains("Required metadata header"),
        "{}",
        run.text()
    );
}

#[test]
fn expired_tokens_are_replaced() {
    let vm = token(Playbook::new().times(2, shaped(|shape| shape.lifetime_s = Some(-60)))).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(run.events("token.expired").len(), 2, "{}", run.text());
    // Only the valid token was sent to Azure.
    let observed = vm.observed();
    assert_eq!(observed.tokens.len(), 3);
    let shown = |seen: &&crate::nexus::seen::Seen| seen.headers.get("authorization").cloned();
    let used: Vec<String> = observed.azure.iter().collect::<Vec<_>>().iter().filter_map(shown).collect();
    assert!(!used.is_empty() && used.iter().all(|value| *value == used[0]), "{used:?}");
}

#[test]
fn tokens_that_always_appear_expired_are_sent_to_azure() {
    // If the token is opaque, the times in the reply do not make it expired.
    let shape = shaped(|shape| (shape.lifetime_s, shape.opaque) = (Some(-60), true));
    let vm = token(Playbook::new().forever(shape))
        .config(&with_azure(&with_windows(&[("token", "1s")]), &format!("  tenant_id: {TENANT}\n")))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "identity.token-rejected");
    assert!(
        evidence(&run, "identity.token-rejected").contains("ExpiredAuthenticationToken"),
        "{}",
        run.text()
    );
    let renewals =
        run.events("repair.started").iter().filter(|line| line["action"] == "asking for a new token").count();
    assert_eq!(renewals, 2, "bounded\n{}", run.text());
}

#[test]
fn an_opaque_token_is_used() {
    let vm = token(Playbook::new().forever(shaped(|shape| shape.opaque = true)))
        .config(&with_azure(&config(), &format!("  tenant_id: {TENANT}\n")))
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(run.events("token.acquired")[0]["tid"], "");
}

#[test]
fn an_opaque_token_needs_a_configured_tenant() {
    let vm = token(Playbook::new().forever(shaped(|shape| shape.opaque = true))).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.tenant-unknown");
    assert!(run.stdout.contains("azure.tenant_id"), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn a_token_of_another_tenant_than_the_configured_one_ends_the_run_at_once() {
    let vm = Vm::new()
        .installed()
        .config(&with_azure(&config(), &format!("  tenant_id: {OTHER_TENANT}\n")))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.wrong-tenant");
    let text = evidence(&run, "identity.wrong-tenant");
    assert!(text.contains(TENANT) && text.contains(OTHER_TENANT), "{text}");
    assert_eq!(vm.observed().tokens.len(), 1);
    assert!(waits(&run, "identity.wrong-tenant").is_empty());
}

#[test]
fn a_tenant_that_the_subscription_does_not_trust_ends_the_run_at_once() {
    let vm =
        token(Playbook::new().forever(shaped(|shape| shape.tenant = Some(OTHER_TENANT.to_owned())))).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.wrong-tenant");
    assert!(evidence(&run, "identity.wrong-tenant").contains("wrong issuer"), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn a_token_for_another_service_ends_the_run_at_once() {
    let audience = "https://vault.azure.net";
    let vm =
        token(Playbook::new().forever(shaped(|shape| shape.audience = Some(audience.to_owned())))).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 18, "identity.wrong-audience");
    assert!(evidence(&run, "identity.wrong-audience").contains(audience), "{}", run.text());
    assert!(vm
        .observed()
        .azure_at("management.azure.com")
        .iter()
        .all(|seen| !seen.headers.contains_key("authorization")));
}

#[test]
fn every_known_form_of_expires_on_is_parsed() {
    use crate::nexus::spec::ExpiresOn;
    for form in [ExpiresOn::EpochNumber, ExpiresOn::Iso, ExpiresOn::UsDate, ExpiresOn::Absent] {
        let vm = token(Playbook::new().forever(shaped(|shape| {
            shape.expires_on = form;
            shape.lifetime_s = Some(3600);
        })));
        let vm = vm.start();
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        let line = run.events("token.acquired")[0];
        assert!(line["expires"].as_str().is_some_and(|text| text.ends_with('Z')), "{form:?}: {line}");
        assert_eq!(line["oid"], SYSTEM_OBJECT);
    }
}
