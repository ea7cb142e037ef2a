//! The tables of the documents against the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use super::{
    agent, catalogue, printed, readme, repository, spans, table, text, LOG_AND_RECORD, PACKAGING, SOURCES,
    TESTS,
};
use arc_enroll::model::condition::Condition;

use crate::nexus::vm::Vm;

#[test]
fn exit_codes_are_those_of_the_program() {
    let rows: BTreeMap<String, String> =
        table(&readme(), "code").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let help = exit_codes_of_help();
    assert_eq!(rows.keys().collect::<BTreeSet<_>>(), help.keys().collect::<BTreeSet<_>>());
    for (code, meaning) in &help {
        let is_of_condition = rows[code].starts_with(&format!("`{meaning}` fails"));
        assert!(
            is_of_condition || rows[code] == *meaning,
            "{code}: {} in README, {meaning} in help",
            rows[code]
        );
    }
    for fault in catalogue() {
        let (code, condition) = (fault["exit_code"].to_string(), &fault["condition"]);
        assert!(rows.contains_key(&code), "{fault}");
        let of_condition = help.iter().find(|(_, name)| *condition == name.as_str());
        let (own, _) = of_condition.expect("a known condition");
        assert!(["2", "3", "75"].contains(&code.as_str()) || code == *own, "{fault}");
    }
    assert_eq!(agent(&["--no-such-flag"]).status.code(), Some(2));
}

/// The list at the end of `--help`: numbers and what they mean, in columns.
fn exit_codes_of_help() -> BTreeMap<String, String> {
    let help = printed(&["--help"]);
    let list = help.split("Exit codes:\n").nth(1).expect("the help lists the exit codes");
    let mut codes = BTreeMap::new();
    for line in list.lines() {
        let mut cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        while let Some(code) = cells.next().filter(|cell| cell.chars().all(|c| c.is_ascii_digit())) {
            codes.insert(code.to_owned(), cells.next().unwrap_or_default().to_owned());
        }
    }
    codes
}

#[test]
fn the_way_is_not_walked_again_where_the_goal_is_reached() {
    assert!(text(SOURCES).contains("prerequisites are not observed again"));
    let vm = Vm::new().enrolled().start();
    // The first run writes the proxy settings; afterwards every condition holds.
    vm.run(&["enroll"]).assert_code(0);
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    let holding = run.events("condition.holds").into_iter();
    let walked: Vec<&str> = holding.map(|line| line["condition"].as_str().expect("a condition")).collect();
    assert_eq!(walked, ["host", "proxy-environment", "agent", "connected"], "{}", run.text());
    let needed = Condition::ALL.iter().filter(|condition| !condition.entry().is_prerequisite);
    assert_eq!(walked, needed.map(|condition| condition.name()).collect::<Vec<_>>(), "{}", run.text());
}

/// The files below a folder of the repository with this ending.
fn sources(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.to_string_lossy().ends_with(ending) {
                found.push(fs::read_to_string(&entry).expect("a source is text"));
            }
        }
    }
    found
}

#[test]
fn events_are_those_of_the_sources() {
    let mut known = BTreeSet::new();
    for text in sources("src", ".rs") {
        let named = text.split("event = \"").skip(1).filter_map(|rest| rest.split('"').next());
        known.extend(named.map(str::to_owned));
    }
    for text in sources("src/operator/user_data", ".sh") {
        // say LEVEL CONDITION EVENT …
        let said = text.lines().filter_map(|line| line.trim().strip_prefix("say "));
        known.extend(said.filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned));
    }
    let shown: BTreeSet<String> = table(&text(LOG_AND_RECORD), "event")
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(shown, known);
}

#[test]
fn what_is_stored_is_where_the_documents_say() {
    let vm = Vm::new().start();
    vm.run(&["enroll"]).assert_code(0);
    for row in table(&text(PACKAGING), "place") {
        let mode = u32::from_str_radix(&row[2], 8).ok();
        for place in spans(&row[0]) {
            let below = place.trim_start_matches('/');
            assert!(vm.path(below).exists(), "{place} is not there");
            if let (Some(mode), false) = (mode, place.ends_with("config.yaml")) {
                assert_eq!(format!("{:o}", vm.mode(below)), format!("{mode:o}"), "{place}");
            }
        }
    }
}

/// On an unsupported version, the agent lists the versions of the distribution that have packages.
#[test]
fn distributions_are_those_of_the_program() {
    let table_of_program = fs::read_to_string(repository().join("src/clients/packages/distribution.rs"));
    let table_of_program = table_of_program.expect("the table of the program");
    let rows =
        table_of_program.split("DISTRIBUTIONS: [").nth(1).expect("rows").split("];").next().unwrap_or("");
    let of_program: BTreeSet<&str> = rows
        .lines()
        .filter_map(|line| {
            line.trim()
                .trim_start_matches("id: ")
                .split('"')
                .nth(1)
                .filter(|_| line.contains("(\"") || line.contains("id: \""))
        })
        .collect();
    let shown = table(&text(PACKAGING), "ID");
    assert_eq!(shown.iter().map(|row| row[0].trim_matches('`')).collect::<BTreeSet<_>>(), of_program);
    for row in shown {
        let id = row[0].trim_matches('`');
        let vm = Vm::new().os(id, "0", "none").start();
        let run = vm.run(&["enroll"]);
        run.assert_last("failed", Some("agent.distribution-unsupported"));
        let told = run.events("condition.fails").last().expect("a failure")["evidence"].to_string();
        let versions = told.split("of this distribution it is for ").nth(1).expect("it names the versions");
        let versions = versions.split([')', '"', '\n']).next().unwrap_or_default();
        assert_eq!(row[2], versions, "{id}");
    }
}

#[test]
fn scenarios_are_those_of_the_matrix() {
    let output = Command::new("python3").arg(repository().join("tests/vm/run")).arg("--list").output();
    let output = output.expect("python3 runs");
    assert!(output.status.success(), "{output:?}");
    let listed = String::from_utf8(output.stdout).expect("UTF-8");
    let known: BTreeSet<Vec<String>> = listed
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let in_ci = if words[2] == "ci" { "yes" } else { "" };
            [words[0], words[1], in_ci].map(str::to_owned).to_vec()
        })
        .collect();
    let rows = table(&text(TESTS), "scenario");
    let cells =
        |row: &Vec<String>| [row[0].trim_matches('`').to_owned(), row[1].clone(), row[2].clone()].to_vec();
    let shown: BTreeSet<Vec<String>> = rows.iter().map(cells).collect();
    assert_eq!(shown, known);
}
