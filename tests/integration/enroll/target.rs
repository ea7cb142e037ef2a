use crate::assertions::{assert_enrolled, assert_enrolled_as, with_azure};
use crate::nexus::spec::{Identity, TENANT, USER_CLIENT, USER_OBJECT, VM_NAME};
use crate::nexus::vm::{config, Vm};

/// Enrolls with a user-assigned identity; the query by which the sidecar was asked for it.
fn query_for(identity: &str) -> String {
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.identities.push(Identity::user()))
        .config(&(config() + &format!("identity: {identity}\n")))
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let observed = vm.observed();
    assert_eq!(observed.tokens[0].claims["oid"], USER_OBJECT);
    assert_eq!(run.events("token.acquired")[0]["oid"], USER_OBJECT);
    let requests = observed.token_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["metadata"], "true");
    requests[0].target.split_once('?').map(|(_, query)| query.to_owned()).expect("a query")
}

const PLAIN: &str = "api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";

#[test]
fn the_system_identity_is_requested_without_a_name() {
    let vm = Vm::new().installed().imds(|imds| imds.identities.push(Identity::user())).start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert_eq!(vm.observed().token_requests()[0].target, format!("/metadata/identity/oauth2/token?{PLAIN}"));
}

#[test]
fn a_user_assigned_identity_is_named_by_its_resource_id() {
    let id = Identity::user().resource_id;
    let query = query_for(&format!("{{resource_id: {id}}}"));
    assert_eq!(query, format!("{PLAIN}&msi_res_id={}", id.replace('/', "%2F")));
}

#[test]
fn a_user_assigned_identity_is_named_by_its_client_id() {
    assert_eq!(
        query_for(&format!("{{client_id: {USER_CLIENT}}}")),
        format!("{PLAIN}&client_id={USER_CLIENT}")
    );
}

#[test]
fn a_user_assigned_identity_is_named_by_its_object_id() {
    assert_eq!(
        query_for(&format!("{{object_id: {USER_OBJECT}}}")),
        format!("{PLAIN}&object_id={USER_OBJECT}")
    );
}

#[test]
fn a_user_assigned_identity_is_named_by_the_environment_of_the_guide() {
    let vm = Vm::new().installed().imds(|imds| imds.identities.push(Identity::user())).start();
    let run = vm.agent(&["enroll"]).env("UAMI_ID", &Identity::user().resource_id).run();
    assert_enrolled(&vm, &run);
    assert_eq!(vm.observed().tokens[0].claims["oid"], USER_OBJECT);
}

#[test]
fn tags_arrive_in_azure_as_written() {
    let tags = r#"  tags:
    site: Zürich
    two words: "a, b=c"
    quote: it's "here"
    apostrophe at the end: "dogs'"
    back: 'a\b\\c'
    日本: 東京, 港区
    number: "007"
"#;
    let vm = Vm::new().installed().config(&with_azure(&config(), tags)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let expected = serde_json::json!({
        "site": "Zürich",
        "two words": "a, b=c",
        "quote": "it's \"here\"",
        "apostrophe at the end": "dogs'",
        "back": "a\\b\\\\c",
        "日本": "東京, 港区",
        "number": "007",
    });
    assert_eq!(vm.observed().machines[VM_NAME]["tags"], expected);
    assert_eq!(run.events("tags.checked").len(), 1, "{}", run.text());
}

#[test]
fn garbled_tags_are_written_again() {
    use crate::nexus::spec::{machine, Playbook, Reply};
    // The tags in Azure differ from the configured ones.
    let mut garbled = machine(VM_NAME, "Connected", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa");
    garbled["tags"] = serde_json::json!({"two": "a\\, b"});
    let vm = Vm::new()
        .installed()
        .config(&with_azure(&config(), "  tags: {two: 'a, b'}\n"))
        .azure(|azure| {
            // The first request is azcmagent's, for an existing machine of the name.
            let missing = Reply::json(404, &serde_json::json!({"error": {"code": "ResourceNotFound"}})).act();
            let playbook = Playbook::new().once(missing).once(Reply::json(200, &garbled).act());
            azure.routes.insert("machine.get".to_owned(), playbook);
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(run.events("tags.written").len(), 1, "{}", run.text());
    assert_eq!(vm.observed().machines[VM_NAME]["tags"], serde_json::json!({"two": "a, b"}));
}

#[test]
fn the_tenant_comes_from_the_token_when_it_is_left_out() {
    let vm = Vm::new().installed().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let connects = vm.calls_of("azcmagent connect");
    assert_eq!(
        connects[0].config.as_ref().map(|file| file.content["tenant-id"].clone()),
        Some(TENANT.into())
    );
}

#[test]
fn the_name_is_derived_from_the_hostname() {
    let rows = [
        ("web-1.contoso.example", "web-1".to_owned()),
        ("-web.", "web".to_owned()),
        (&*"n".repeat(63), "n".repeat(54)),
    ];
    for (hostname, name) in rows {
        let vm = Vm::new().installed().hostname(hostname).start();
        let run = vm.run(&["enroll"]);
        assert_enrolled_as(&name, &vm, &run);
        assert_eq!(run.events("run.started")[0]["resource_name"], name);
    }
}

#[test]
fn a_vm_with_the_default_hostname_uses_its_name_in_azure() {
    for hostname in ["localhost", "localhost.localdomain"] {
        let vm = Vm::new().installed().hostname(hostname).start();
        assert_enrolled(&vm, &vm.run(&["enroll"]));
    }
}

#[test]
fn flags_override_environment_and_environment_overrides_file() {
    let text = with_azure(&config(), "  resource_name: from-file\n").replace("contoso-nexus-rg", "wrong-rg");
    let vm = Vm::new().installed().config(&text).start();
    let run =
        vm.agent(&["enroll", "--resource-name", "from-flag"]).env("RESOURCE_GROUP", "contoso-nexus-rg").run();
    assert_enrolled_as("from-flag", &vm, &run);
}
