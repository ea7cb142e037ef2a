//! The configuration file, flags and environment variables: rejected values and their messages.

use crate::command_line::agent;

use serde_json::Value;

use crate::assertions::{assert_enrolled, evidence};
use crate::nexus::run::Mode;
use crate::nexus::spec::{LOCATION, SUBSCRIPTION, VM_NAME};
use crate::nexus::vm::{self, Vm, CONFIG, LOG};

/// Checks a configuration; exit code, standard output, standard error.
fn validate(text: &str, more: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nexus.yaml");
    std::fs::write(&file, text).expect("a file");
    let mut arguments = vec!["validate"];
    let path = file.to_string_lossy().into_owned();
    arguments.push(&path);
    arguments.extend(more);
    agent(&arguments)
}

const GOOD: &str = "azure:
  subscription_id: 11111111-1111-4111-8111-111111111111
  resource_group: contoso-nexus-rg
  location: eastus
";

#[test]
fn valid_configuration_is_reported_valid() {
    let (code, stdout, stderr) = validate(GOOD, &[]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "the configuration is valid\n", ""));
    let (code, stdout, _) = validate(GOOD, &["--output", "json"]);
    let value: Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert_eq!((code, &value["valid"]), (0, &true.into()));
}

const BAD: &str = "azure:
  subscription_id: 1234
  resouce_group: my-rg
  location: East US
  resource_name: this-name-has-more-than-54-characters-which-is-what-arc-allows
identity: {resource_id: contoso-id}
proxy:
  url: http://169.254.0.11:3128/path
wait:
  boot: -5m
  tokne: 10m
log:
  level: loud
";

#[test]
fn all_configuration_errors_are_reported_with_key_and_line() {
    let (code, stdout, stderr) = validate(BAD, &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    for (line, key, right) in [
        (1, "azure.resource_group", "--resource-group"),
        (2, "azure.subscription_id", "12345678-9abc-def0-1234-56789abcdef0"),
        (3, "azure.resouce_group", "did you mean azure.resource_group?"),
        (4, "azure.location", "eastus"),
        (5, "azure.resource_name", "54"),
        (6, "identity.resource_id", "/subscriptions/GUID/resourceGroups/NAME"),
        (8, "proxy.url", "http://169.254.0.11:3128"),
        (10, "wait.boot", "15m"),
        (11, "wait.tokne", "did you mean wait.token?"),
        (13, "log.level", "error, warn, info, debug, trace"),
    ] {
        let start = format!("nexus.yaml:{line}: {key}: ");
        let found = stderr.lines().find(|text| text.contains(&start));
        assert!(found.is_some_and(|text| text.contains(right)), "{start} {right}\n{stderr}");
    }
    assert!(stderr.ends_with("10 faults in the configuration\n"), "{stderr}");
    let (code, stdout, _) = validate(BAD, &["--output", "json"]);
    let value: Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert_eq!((code, &value["valid"]), (2, &false.into()));
    let problems = value["problems"].as_array().expect("a list");
    assert_eq!(problems.len(), 10);
    assert!(
        problems.iter().all(|problem| problem["line"].is_u64() && problem["key"].is_string()),
        "{stdout}"
    );
}

#[test]
fn configuration_is_read_strictly() {
    for (text, word) in [
        ("tags: {}\n", "did you mean"),
        ("azure: twice\n", "second time"),
        ("identity: {client_id: 11111111-1111-4111-8111-111111111111, object_id: x}\n", "exclude each other"),
        ("identity: /subscriptions/x\n", "resource_id"),
        ("proxy: {url: \"https://169.254.0.11:3128\"}\n", "http://"),
        ("proxy: {url: \"http://169.254.0.11\"}\n", "names no port"),
        ("proxy: {no_proxy: [\"10.0.0.1:80\"]}\n", "no_proxy"),
        ("agent: {install: sometimes}\n", "repository"),
        ("agent: {install: package}\n", "sha256"),
        ("agent: {package: {file: /a.deb, sha256: abc}}\n", "sha256"),
        ("agent: {repository_key: [1234]}\n", "agent.repository_key"),
        ("wait: {boot: soon}\n", "15m"),
        ("repair: {timer: perhaps}\n", "true"),
        ("imds: {endpoint: \"https://169.254.169.254\"}\n", "imds.endpoint"),
        ("log: {file: here.log}\n", "log.file"),
        ("wait: [\n", "nexus.yaml:"),
    ] {
        let (code, _, stderr) = validate(&format!("{GOOD}{text}"), &[]);
        assert_eq!(code, 2, "{text}\n{stderr}");
        assert!(stderr.contains(word) && stderr.contains("nexus.yaml:"), "{text}\n{stderr}");
    }
}

#[test]
fn wrong_values_of_flags_and_environment_name_their_place() {
    let vm = Vm::new().start();
    let run = vm.run(&["validate", "--location", "East US"]);
    run.assert_code(2);
    assert!(run.stderr.contains("--location") && run.stderr.contains("eastus"), "{}", run.text());
    let run = vm.agent(&["validate"]).env("SUBSCRIPTION_ID", "mine").run();
    run.assert_code(2);
    assert!(run.stderr.contains("SUBSCRIPTION_ID"), "{}", run.text());
    let run = vm.agent(&["validate", "--subscription-id", SUBSCRIPTION]).env("SUBSCRIPTION_ID", "mine").run();
    run.assert_code(0);
}

#[test]
fn missing_or_binary_configuration_file_is_named() {
    let (code, _, stderr) = agent(&["validate", "/no/such/file.yaml"]);
    assert!(code == 2 && stderr.contains("/no/such/file.yaml: there is no such file"), "{stderr}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nexus.yaml");
    std::fs::write(&file, b"azure: \xff\xfe").expect("a file");
    let (code, _, stderr) = agent(&["--config", &file.to_string_lossy(), "validate"]);
    assert!(code == 2 && stderr.contains("UTF-8"), "{stderr}");
    let (code, _, stderr) = agent(&["validate", &folder.path().to_string_lossy()]);
    assert!(code == 2 && stderr.contains("directory"), "{stderr}");
}

#[test]
fn enroll_without_a_usable_configuration_says_so_in_the_log_and_does_nothing() {
    let vm = Vm::new().config(BAD).start();
    let before = vm.tree();
    for mode in [Mode::Pipe, Mode::CloudInit] {
        let run = vm.agent(&["enroll"]).mode(mode).run();
        run.assert_code(2);
        let last: Value =
            run.log.lines().rev().find_map(|line| serde_json::from_str(line).ok()).expect("JSON lines");
        let told = (&last["event"], &last["outcome"], &last["fault"], &last["exit_code"]);
        let right = (&"run.finished".into(), &"failed".into(), &"configuration.invalid".into(), &2.into());
        assert_eq!(told, right, "{}", run.text());
        assert_eq!(run.events("configuration.fault").len(), 10, "{}", run.text());
    }
    let mut after = vm.tree();
    after.insert(LOG.to_owned(), before[LOG].clone());
    assert_eq!(after, before);
    assert!(vm.calls().is_empty() && vm.observed().imds.is_empty() && vm.observed().csn.is_empty());
}

#[test]
fn configuration_path_can_be_set() {
    let text = vm::config().replace(LOCATION, "westeurope");
    let vm = Vm::new().config("azure: {}\n").file("srv/nexus.yaml", &text).start();
    let path = vm.root.join("srv/nexus.yaml").to_string_lossy().into_owned();
    let run = vm.run(&["enroll", "--config", &path]);
    assert_enrolled(&vm, &run);
    assert_eq!(vm.observed().machines[VM_NAME]["location"], "westeurope");
    assert_eq!(vm.read(CONFIG), "azure: {}\n");
    assert!(!evidence(&run, "agent.absent").is_empty());
}
