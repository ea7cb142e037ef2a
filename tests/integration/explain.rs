//! `explain`: each fault of the catalogue, and the values of this VM in its commands.

use crate::command_line::agent;

use arc_enroll::model::condition::Condition;
use serde_json::Value;

use crate::assertions::with_windows;
use crate::nexus::spec::{SUBSCRIPTION, SYSTEM_OBJECT};
use crate::nexus::vm::Vm;

#[test]
fn every_fault_is_listed_and_explained() {
    let (code, list, _) = agent(&["explain"]);
    assert_eq!(code, 0);
    let headings: Vec<&str> = list.lines().filter(|line| !line.starts_with("   ")).map(str::trim).collect();
    let conditions = Condition::ALL.iter();
    let numbered = conditions.map(|condition| format!("{}  {}", condition.number(), condition.name()));
    assert_eq!(headings, numbered.collect::<Vec<_>>());
    let (code, text, _) = agent(&["explain", "--output", "json"]);
    assert_eq!(code, 0);
    let entries: Value = serde_json::from_str(&text).expect("it is JSON");
    let entries = entries.as_array().expect("a list");
    assert!(entries.len() > 40, "{}", entries.len());
    assert_eq!(entries.len(), arc_enroll::catalogue::all().count());
    for (entry, kind) in entries.iter().zip(arc_enroll::catalogue::all()) {
        let name = entry["code"].as_str().expect("a code");
        assert!(list.contains(name), "{name}");
        let persons = entry["person"].as_array().map(Vec::len).unwrap_or_default();
        assert!(persons > 0 && entry["means"].is_string() && entry["guide"].is_string(), "{entry}");
        let told = ["code", "means", "agent", "guide"].map(|member| &entry[member]);
        assert_eq!(told, [kind.code, kind.summary, kind.automatic, kind.guide], "{entry}");
    }
    let (code, text, _) = agent(&["explain", "identity.none"]);
    assert!(code == 0 && text.starts_with("identity.none (condition identity, exit code 18)"), "{text}");
    let (code, text, _) = agent(&["explain", "identity.none", "--output", "json"]);
    let entry: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!((code, &entry["exit_code"]), (0, &18.into()));
}

#[test]
fn unknown_fault_suggests_the_nearest() {
    let (code, stdout, stderr) = agent(&["explain", "imds.refusd"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("did you mean imds.refused?"), "{stderr}");
}

#[test]
fn explain_and_status_use_the_values_of_the_last_fault() {
    let text = with_windows(&[("access", "1s")]);
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
