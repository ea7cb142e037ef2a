//! Doctor where hardly anything answers, without root, without curl, without space.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalogue::machine::quiet;
use crate::file_systems::without;
use crate::nexus::run::Run;
use crate::nexus::spec::{HttpAct, Outcome, Playbook};
use crate::nexus::vm::{agent_program, config, Vm, CONFIG};

fn hang() -> Playbook<Outcome> {
    Playbook::new().forever(Outcome::Hang { stdout: String::new() })
}

fn silent() -> Playbook<HttpAct> {
    Playbook::new().forever(HttpAct::Hang)
}

fn conditions(run: &Run) -> BTreeMap<String, Value> {
    let value: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
    let list = value["conditions"].as_array().cloned().unwrap_or_default();
    list.into_iter()
        .map(|entry| (entry["condition"].as_str().unwrap_or_default().to_owned(), entry))
        .collect()
}

/// The one test that asserts a time: it is a promise to whoever waits for the answer.
#[test]
fn where_everything_hangs_doctor_ends_within_twenty_seconds_and_changes_nothing() {
    let vm = Vm::new()
        .enrolled()
        .silent_dns()
        .imds(|imds| (imds.healthz, imds.token) = (silent(), silent()))
        .csn(|csn| csn.connect = silent())
        .call("azcmagent show", Playbook::new().forever(Outcome::Deaf { stdout: String::new() }))
        .call("azcmagent version", hang())
        .call("azcmagent check", hang())
        .call("azcmagent config get", hang())
        .call("azcmagent config list", hang())
        .call("systemctl show", hang())
        .call("systemctl show-environment", hang())
        .call("systemctl is-system-running", hang())
        .file("etc/systemd/system.conf", "[Manager]\n")
        .start();
    let before = vm.tree();
    let run = vm.run(&["doctor", "--output", "json"]);
    assert!(run.elapsed.as_secs() < 20, "{:?}", run.elapsed);
    let found = conditions(&run);
    assert_eq!(found.len(), 11, "{}", run.text());
    for (condition, fault) in [("imds", "imds.timeout"), ("proxy", "proxy.timeout")] {
        assert_eq!(found[condition]["fault"], fault, "{}", run.text());
    }
    for (condition, cause) in
        [("clock", "imds"), ("identity", "imds"), ("egress", "proxy"), ("access", "proxy")]
    {
        assert_eq!(
            (&found[condition]["state"], &found[condition]["cause"]),
            (&"skipped".into(), &cause.into())
        );
    }
    assert!(run.code.is_some_and(|code| code >= 10), "{}", run.text());
    assert!(vm.tree() == before, "a file was changed");
    let requests = vm.observed();
    assert!(requests.azure.is_empty() && requests.tokens.is_empty());
}

#[test]
fn without_a_proxy_and_with_a_silent_name_server_doctor_ends_within_twenty_seconds() {
    let vm = Vm::new().silent_dns().config(&(config() + "proxy: {url: null, persist: false}\n")).start();
    let before = vm.tree();
    let run = vm.run(&["doctor", "--output", "json"]);
    assert!(run.elapsed.as_secs() < 20, "{:?}", run.elapsed);
    let found = conditions(&run);
    assert_eq!(found["dns"]["fault"], "dns.unresolved", "{}", run.text());
    assert_eq!(found["egress"]["cause"], "dns", "{}", run.text());
    assert!(found["dns"]["evidence"].as_str().is_some_and(|text| text.contains("did not end within 5 s")));
    assert!(vm.tree() == before, "a file was changed");
}

#[test]
fn without_root_doctor_looks_as_far_as_it_can_and_says_what_it_could_not_see() {
    let vm = quiet().start();
    // As the file of another user looks to an ordinary one.
    for file in [CONFIG, "etc/environment"] {
        std::fs::set_permissions(vm.path(file), std::os::unix::fs::PermissionsExt::from_mode(0o000))
            .expect("a mode can be set");
    }
    let before: Vec<String> = vm.tree().into_keys().collect();
    let mut command = vm.command("unshare");
    command.args(["--user", "--map-user=1000", "--"]).arg(agent_program());
    command.args(["doctor", "--root"]).arg(&vm.root);
    let ca = vm.root.join(".nexus/ca.pem");
    let output = command.env("CURL_CA_BUNDLE", &ca).output().expect("the agent runs");
    let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "", "{text}");
    // The proxy settings are judged by the defaults, since the configuration cannot be read.
    assert_eq!(output.status.code(), Some(12), "{text}");
    assert!(text.contains("host not root, which only looking does not need"), "{text}");
    assert!(text.contains("Not seen: the configuration: cannot read"), "{text}");
    assert!(text.contains("Not seen: what only root may read"), "{text}");
    assert!(text.contains("root/etc/environment: Permission denied"), "{text}");
    assert!(!text.contains("host.not-writable"), "{text}");
    assert!(text.contains("imds answers directly, healthy") && text.contains("egress all "), "{text}");
    assert_eq!(before, vm.tree().into_keys().collect::<Vec<_>>());
}

#[test]
fn without_curl_doctor_says_that_tls_was_not_checked() {
    let vm = quiet().start();
    without(&vm, "curl");
    let run = vm.run(&["doctor", "--output", "json"]);
    let found = conditions(&run);
    let text = found["egress"]["evidence"].as_str().unwrap_or_default();
    assert_eq!(found["egress"]["state"], "holds", "{}", run.text());
    assert!(text.contains("open a tunnel; TLS was not checked, there is no curl"), "{text}");
    assert!(
        found["access"]["evidence"].as_str().is_some_and(|text| text.starts_with("not checked")),
        "{}",
        run.text()
    );

    let vm = Vm::new()
        .enrolled()
        .config(&(config() + "proxy: {url: null, persist: false}\n"))
        .hosts("127.0.0.1 localhost management.azure.com\n")
        .start();
    without(&vm, "curl");
    let run = vm.run(&["doctor", "--output", "json"]);
    let found = conditions(&run);
    let text = found["egress"]["evidence"].as_str().unwrap_or_default();
    assert!(text.contains("endpoints not tried; TLS was not checked"), "{}", run.text());
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let rows = value["network"].as_array().cloned().unwrap_or_default();
    let endpoints: Vec<&Value> = rows.iter().filter(|row| row["test"] == "endpoint").collect();
    assert!(!endpoints.is_empty() && endpoints.iter().all(|row| row["verdict"] == "skipped"), "{rows:?}");
}
