//! What an operator types: checking a configuration, asking for help, the environment, a fault's meaning, the
//! state of a VM.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::assertions::{assert_enrolled, evidence, patient};
use crate::nexus::run::Mode;
use crate::nexus::spec::{
    machine_id, Door, Outcome, Playbook, Unit, LOCATION, SUBSCRIPTION, SYSTEM_OBJECT, VM_NAME,
};
use crate::nexus::vm::{self, agent_program, Vm, CONFIG, LOG};

/// The program on the operator's own machine: no VM, no network.
fn agent(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(agent_program());
    let output = command.args(arguments).env_clear().output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

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
fn good_configuration_is_said_to_be_good() {
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
fn every_fault_of_a_configuration_is_told_at_once_with_key_and_line() {
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
        (
            "identity: {client_id: 11111111-1111-4111-8111-111111111111, object_id: x}\n",
            "exclude one another",
        ),
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
fn file_that_is_not_there_or_no_text_is_named() {
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
fn misspelt_commands_and_flags_name_the_near_one() {
    for (arguments, word) in [
        (&["enrol"][..], "did you mean enroll?"),
        (&["doctr"], "did you mean doctor?"),
        (&["doctor", "--confg", "x"], "did you mean --config?"),
        (&["enroll", "--resource-grup", "x"], "did you mean --resource-group?"),
        (&["status", "--output", "jsn"], "did you mean json?"),
        (&["enroll", "--gzip"], "belongs to user-data"),
        (&["env", "now"], "does not take the argument"),
        (&[], "a command is missing"),
    ] {
        let (code, stdout, stderr) = agent(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(word) && stderr.contains("Try 'arc-enroll --help'"), "{stderr}");
    }
}

#[test]
fn help_is_on_standard_output_and_fits_eighty_columns() {
    for command in [
        "",
        "enroll",
        "doctor",
        "status",
        "token",
        "env",
        "explain",
        "bundle",
        "validate",
        "user-data",
        "precheck",
    ] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let (code, stdout, stderr) = agent(&arguments);
        assert_eq!((code, stderr.as_str()), (0, ""), "{command}");
        assert!(stdout.contains("Usage: arc-enroll"), "{stdout}");
        assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    }
    let (code, stdout, _) = agent(&["--version"]);
    assert_eq!((code, stdout), (0, format!("arc-enroll {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn environment_is_what_a_shell_takes() {
    let vm = Vm::new().start();
    let script =
        format!("eval \"$('{}' env --root '{}')\" && env", agent_program().display(), vm.root.display());
    let mut shell = vm.inside(Path::new("/bin/sh"));
    shell
        .args(["-c", &script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("NO_PROXY", "intra.example, 10.0.0.0/8");
    let output = shell.output().expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let variables: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        assert_eq!(variables[name], "http://169.254.0.11:3128", "{name}");
    }
    assert_eq!(variables["NO_PROXY"], variables["no_proxy"]);
    let excepted: Vec<&str> = variables["NO_PROXY"].split(',').collect();
    for name in ["localhost", "127.0.0.1", "169.254.169.254", "intra.example", "10.0.0.0/8"] {
        assert!(excepted.contains(&name), "{name} in {excepted:?}");
    }
}

#[test]
fn every_fault_is_listed_and_explained() {
    let (code, list, _) = agent(&["explain"]);
    assert_eq!(code, 0);
    let (code, text, _) = agent(&["explain", "--output", "json"]);
    assert_eq!(code, 0);
    let entries: Value = serde_json::from_str(&text).expect("it is JSON");
    let entries = entries.as_array().expect("a list");
    assert!(entries.len() > 40, "{}", entries.len());
    for entry in entries {
        let name = entry["code"].as_str().expect("a code");
        assert!(list.contains(name), "{name}");
        let persons = entry["person"].as_array().map(Vec::len).unwrap_or_default();
        assert!(persons > 0 && entry["means"].is_string() && entry["guide"].is_string(), "{entry}");
    }
    let (code, text, _) = agent(&["explain", "identity.none"]);
    assert!(code == 0 && text.starts_with("identity.none (condition identity, exit code 18)"), "{text}");
    let (code, text, _) = agent(&["explain", "identity.none", "--output", "json"]);
    let entry: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!((code, &entry["exit_code"]), (0, &18.into()));
}

#[test]
fn unknown_fault_names_the_near_one() {
    let (code, stdout, stderr) = agent(&["explain", "imds.refusd"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("did you mean imds.refused?"), "{stderr}");
}

#[test]
fn status_tells_of_the_last_run_and_of_azcmagent() {
    let vm = Vm::new().config(&patient(&[("endpoint", "1s")])).csn(|csn| csn.door = Door::Closed).start();
    let run = vm.run(&["status"]);
    run.assert_code(75);
    assert!(run.stdout.contains("none") && run.stdout.contains("not installed"), "{}", run.text());
    vm.run(&["enroll"]).assert_code(75);
    let run = vm.run(&["status"]);
    run.assert_code(75);
    assert!(run.stdout.contains("waiting") && run.stdout.contains("proxy.refused"), "{}", run.text());
    vm.set_csn(crate::nexus::spec::CsnPlan::default());
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let run = vm.run(&["status"]);
    run.assert_code(0);
    assert!(run.stdout.contains("enrolled") && run.stdout.contains(&machine_id(VM_NAME)), "{}", run.text());
    let run = vm.run(&["status", "--output", "json"]);
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(value["azcmagent"]["status"], "Connected");
    assert_eq!(value["last_run"]["outcome"], "enrolled");
    assert_eq!(value["warning"], Value::Null);
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

/// What `doctor` may not do: anything but look.
fn assert_only_looked(vm: &Vm, before: &BTreeMap<String, Vec<u8>>) {
    let after = vm.tree();
    let changed: Vec<&String> = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, _)| path)
        .collect();
    assert!(changed.is_empty() && after.len() == before.len(), "{changed:?}");
    let looks = [
        "azcmagent version",
        "azcmagent show",
        "azcmagent check",
        "azcmagent config get",
        "azcmagent config list",
        "systemctl show",
        "dpkg-query",
    ];
    for call in vm.calls() {
        assert!(
            looks.iter().any(|look| call.call.starts_with(look))
                || call.call == "systemctl is-system-running",
            "{call:?}"
        );
    }
    assert!(vm.observed().azure.iter().all(|seen| matches!(seen.method.as_str(), "GET" | "HEAD")));
    assert!(vm.record().is_none());
}

#[test]
fn doctor_finds_nothing_on_a_healthy_vm_and_changes_nothing() {
    let vm = Vm::new().enrolled().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    std::fs::remove_file(vm.path(vm::RECORD)).expect("a record");
    let calls = vm.calls().len();
    let before = vm.tree();
    let run = vm.run(&["doctor"]);
    run.assert_code(0);
    assert!(run.stdout.contains("Every condition holds."), "{}", run.text());
    assert_eq!(
        run.stdout.split("Network").next().map(|text| text.matches("\n  ok  ").count() + 1),
        Some(11),
        "{}",
        run.text()
    );
    let run = vm.run(&["doctor", "--output", "json"]);
    run.assert_code(0);
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let conditions = value["conditions"].as_array().expect("a list");
    assert!(
        conditions.len() == 11 && conditions.iter().all(|condition| condition["state"] == "holds"),
        "{value}"
    );
    assert_eq!(vm.tree(), before);
    assert!(vm.calls().iter().skip(calls).all(|call| call.argv.first().is_none_or(|verb| verb != "connect")));
    assert!(run.log.is_empty() && vm.leaks(&[&run]).is_empty());
}

#[test]
fn doctor_on_a_fresh_vm_names_the_first_fault_and_changes_nothing() {
    let vm = Vm::new().start();
    let before = vm.tree();
    let run = vm.run(&["doctor"]);
    run.assert_code(12);
    assert!(run.stdout.contains("proxy-environment.incomplete"), "{}", run.text());
    assert_only_looked(&vm, &before);
}

#[test]
fn doctor_names_causes_and_not_their_echoes() {
    let masked = Unit { load: "masked".into(), file: "masked".into(), ..Unit::stopped() };
    let vm = Vm::new()
        .enrolled()
        .config(&(vm::config() + "proxy:\n  persist: false\n"))
        .imds(|imds| imds.identities.clear())
        .system(|system| {
            system.units.insert("himdsd.service".into(), masked);
        })
        .start();
    let before = vm.tree();
    let run = vm.run(&["doctor", "--output", "json"]);
    let value: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let of = |name: &str| {
        let all = value["conditions"].as_array().expect("a list");
        all.iter().find(|condition| condition["condition"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(of("identity")["fault"], "identity.none");
    assert_eq!(of("access")["state"], "skipped");
    assert_eq!(of("access")["cause"], "identity");
    assert_eq!(of("agent")["fault"], "agent.service-masked");
    assert_eq!(of("connected")["cause"], "agent");
    assert_eq!(value["exit_code"], run.code.unwrap_or_default());
    run.assert_code(if of("proxy-environment")["state"] == "holds" { 18 } else { 12 });
    assert_only_looked(&vm, &before);
}

#[test]
fn doctor_does_not_wait_for_what_is_down() {
    let vm = Vm::new().imds(|imds| imds.door = Door::Closed).csn(|csn| csn.door = Door::Closed).start();
    let before = vm.tree();
    let run = vm.run(&["doctor"]);
    assert!(run.code.is_some_and(|code| code != 0) && run.elapsed.as_secs() < 15, "{}", run.text());
    assert!(run.stdout.contains("imds.refused") && run.stdout.contains("proxy.refused"), "{}", run.text());
    assert_only_looked(&vm, &before);
}

#[test]
fn doctor_looks_while_another_run_is_at_work() {
    let hang = Outcome::Hang { stdout: "INFO    Connecting\n".to_owned() };
    let vm = Vm::new().call("azcmagent connect", Playbook::new().forever(hang)).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_until("connect runs", |vm| !vm.calls_of("azcmagent connect").is_empty());
    let run = vm.run(&["doctor"]);
    assert!(run.stdout.contains("connected.not-enrolled"), "{}", run.text());
    assert!(!run.stdout.contains("host.busy"), "{}", run.text());
    going.signal(nix::sys::signal::Signal::SIGTERM);
    going.finish().assert_code(75);
}

#[test]
fn a_remedy_can_be_pasted_into_a_shell() {
    let refused =
        ["gbl.his.arc.azure.com", "pas.windows.net", "agentserviceapi.guestconfiguration.azure.com"];
    let vm = Vm::new().installed().csn(|csn| csn.refused = refused.map(str::to_owned).to_vec()).start();
    let run = vm.run(&["doctor"]);
    let after = run.stdout.split("Add them:\n").nth(1).expect("the remedy is there");
    let command = after.split("             (this").next().unwrap_or_default();
    assert!(
        command.lines().count() > 3 && command.lines().all(|line| line.chars().count() <= 80),
        "{command}"
    );
    let script =
        format!("az() {{ printf '%s\\n' \"$@\"; }}; CSN_NAME='my csn' CSN_RESOURCE_GROUP=g\n{command}");
    let output = Command::new("/bin/sh").args(["-c", &script]).output().expect("sh runs");
    let words: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let start =
        ["networkcloud", "cloudservicesnetwork", "update", "--name", "my csn", "--resource-group", "g"];
    assert_eq!(words[..7], start.map(str::to_owned), "{script}");
    assert_eq!((words.len(), words[7].as_str()), (9, "--additional-egress-endpoints"), "{words:?}");
    for name in refused {
        assert!(words[8].contains(&format!("{{'domainName':'{name}','port':443}}")), "{words:?}");
    }
}

#[test]
fn explanations_and_status_have_the_values_that_a_fault_was_met_with() {
    let text = patient(&[("access", "1s")]);
    let vm = Vm::new().installed().azure(|azure| azure.access.never = true).config(&text).start();
    let before = vm.run(&["explain", "access.role-missing"]);
    before.assert_code(0);
    assert!(before.unfolded().contains(SUBSCRIPTION), "the target is known\n{}", before.text());
    vm.run(&["enroll"]).assert_code(75);
    for command in [&["explain", "access.role-missing"][..], &["status"]] {
        let run = vm.run(command);
        let wanted =
            format!("--assignee-object-id {SYSTEM_OBJECT} --assignee-principal-type ServicePrincipal");
        assert!(run.unfolded().contains(&wanted), "{}", run.text());
        assert!(!run.stdout.contains('`') || command[0] == "status", "{}", run.text());
    }
    let other = vm.run(&["explain", "egress.refused"]);
    assert!(other.stdout.contains("$ENDPOINTS"), "what is not known is a blank\n{}", other.text());
}

#[test]
fn doctor_is_coloured_on_a_terminal_and_plain_elsewhere() {
    let vm = Vm::new().imds(|imds| imds.door = Door::Closed).start();
    let run = vm.agent(&["doctor"]).mode(Mode::Terminal).run();
    assert!(run.stdout.contains("\u{1b}[31mFAIL"), "{}", run.text());
    assert!(!vm.run(&["doctor"]).stdout.contains('\u{1b}'));
}

#[test]
fn configuration_may_be_elsewhere() {
    let text = vm::config().replace(LOCATION, "westeurope");
    let vm = Vm::new().config("azure: {}\n").file("srv/nexus.yaml", &text).start();
    let path = vm.root.join("srv/nexus.yaml").to_string_lossy().into_owned();
    let run = vm.run(&["enroll", "--config", &path]);
    assert_enrolled(&vm, &run);
    assert_eq!(vm.observed().machines[VM_NAME]["location"], "westeurope");
    assert_eq!(vm.read(CONFIG), "azure: {}\n");
    assert!(!evidence(&run, "agent.absent").is_empty());
}
