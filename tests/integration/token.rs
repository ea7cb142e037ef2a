//! `token`: the token on standard output, and nothing else there.

use std::fs;

use serde_json::Value;

use crate::nexus::spec::{PortState, SYSTEM_OBJECT, TENANT, USER_CLIENT};
use crate::nexus::vm::{self, Vm};

#[test]
fn token_is_printed_on_standard_output_and_nowhere_else() {
    let vm = Vm::new().start();
    let run = vm.agent(&["token", "-vv"]).run();
    run.assert_code(0);
    let issued = vm.observed().tokens;
    assert_eq!(run.stdout, format!("{}\n", issued[0].token));
    assert!(run.stderr.is_empty() && run.log.is_empty(), "{}", run.text());
    let run = vm.run(&["token", "--output", "json", "--resource", "https://storage.azure.com/"]);
    run.assert_code(0);
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let issued = vm.observed().tokens;
    assert_eq!(value["access_token"], issued[1].token);
    assert!(value["expires_on"].as_str().is_some_and(|time| time.ends_with('Z')), "{value}");
    assert!(vm.observed().token_requests()[1].target.contains("resource=https%3A%2F%2Fstorage.azure.com%2F"));
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let vm = Vm::new().start();
    let names = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    let run =
        names.iter().fold(vm.agent(&["token"]), |agent, name| agent.env(name, "http://127.0.0.1:9")).run();
    run.assert_code(0);
    assert_eq!(run.stdout, format!("{}\n", vm.observed().tokens[0].token));
}

#[test]
fn missing_identity_is_an_error_without_output() {
    let vm = Vm::new().start();
    let run = vm.run(&["token", "--identity", USER_CLIENT]);
    run.assert_code(18);
    assert!(run.stdout.is_empty() && run.stderr.contains("identity.not-assigned"), "{}", run.text());
    assert!(vm.observed().token_requests()[0].target.contains(&format!("client_id={USER_CLIENT}")));
}

#[test]
fn token_needs_no_configuration_and_waits_for_the_sidecar() {
    let vm = Vm::new().imds(|imds| imds.port_state = PortState::ClosedFor(4000)).start();
    fs::remove_file(vm.path(vm::CONFIG)).expect("a configuration");
    let run = vm.run(&["token"]);
    run.assert_code(0);
    assert_eq!(run.stdout, format!("{}\n", vm.observed().tokens[0].token));
    assert!(
        run.stderr.contains("imds.refused") && run.stderr.contains("retrying for at most"),
        "{}",
        run.text()
    );
    let claims = vm.run(&["token", "--output", "json"]);
    let value: Value = serde_json::from_str(&claims.stdout).expect("it is JSON");
    assert_eq!((&value["claims"]["oid"], &value["claims"]["tid"]), (&SYSTEM_OBJECT.into(), &TENANT.into()));
}
