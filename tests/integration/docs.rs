//! Documents, help and examples: statements are compared with the program, and commands are run.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::nexus::vm::{agent_program, Vm, CONFIG, LOG, RECORD};

mod commands;
mod configuration;
mod generated;
mod setup;
mod tables;
mod tests;

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents: the README at the top, and each page beside what it describes.
const PAGES: [&str; 7] = ["README.md", CLOUD_INIT, PACKAGING, SOURCES, FAULTS, LOG_AND_RECORD, TESTS];
const CLOUD_INIT: &str = "cloud-init/README.md";
const PACKAGING: &str = "packaging/README.md";
const SOURCES: &str = "src/README.md";
const FAULTS: &str = "src/catalogue/README.md";
const LOG_AND_RECORD: &str = "src/output/README.md";
const TESTS: &str = "tests/README.md";

fn readme() -> String {
    text("README.md")
}

/// The fenced blocks of a language, without the indentation of a surrounding list.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() != format!("```{language}") {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let inside = lines.by_ref().take_while(|line| line.trim_start() != "```");
        found.push(inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or(""))).collect());
    }
    found
}

/// The rows of the table with this first heading.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let rows = text.lines().skip_while(|line| !line.starts_with(&format!("| {heading} |"))).skip(2);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let found: Vec<Vec<String>> = rows.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!found.is_empty(), "there is no table {heading}");
    found
}

/// The texts in backticks.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The text from one phrase up to another.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap_or_else(|| panic!("there is no {from:?}"));
    let rest = &text[start..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("there is no {to:?} after {from:?}"))]
}

fn agent(arguments: &[&str]) -> Output {
    let mut command = Command::new(agent_program());
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin");
    command.output().expect("the agent runs")
}

/// What the agent prints on success.
fn printed(arguments: &[&str]) -> String {
    let output = agent(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

fn catalogue() -> Vec<Value> {
    serde_json::from_str(&printed(&["explain", "--output", "json"])).expect("the catalogue is JSON")
}

fn subcommands() -> Vec<String> {
    let help = printed(&["--help"]);
    let commands = between(&help, "Commands:\n", "\n\n").lines().skip(1);
    commands.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn yaml(text: &str) -> serde_yaml::Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A configuration in a folder of its own.
fn written(text: &str) -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder can be made");
    let path = folder.path().join("nexus.yaml");
    fs::write(&path, text).expect("a file can be written");
    let path = path.to_string_lossy().into_owned();
    (folder, path)
}

/// The README's YAML.
fn nexus_yaml() -> String {
    let found = blocks(&readme(), "yaml");
    assert_eq!(found.len(), 1);
    found.into_iter().next().unwrap_or_default()
}

/// The fragments by which links refer to headings.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn the_layout_names_every_folder_of_the_sources() {
    let folder = repository().join("src");
    let mut named = Vec::new();
    for row in table(&text(SOURCES), "where") {
        for path in spans(&row[0]) {
            assert!(folder.join(path).exists(), "{path} is not there");
            named.push(path.trim_end_matches('/').to_owned());
            for below in spans(&row[1]) {
                assert!(folder.join(path).join(below).exists(), "{path}{below} is not there");
            }
        }
    }
    for entry in fs::read_dir(&folder).expect("sources").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!entry.path().is_dir() || named.contains(&name), "{SOURCES} does not name {name}/");
    }
}

#[test]
fn links_have_targets() {
    for file in PAGES {
        let folder = repository().join(file).parent().expect("a folder").to_owned();
        let page = text(file);
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { repository().join(file) } else { folder.join(path) };
            assert!(path.exists(), "{file}: {target} is not there");
            if !anchor.is_empty() {
                let linked = fs::read_to_string(&path).expect("a page is text");
                assert!(
                    anchors(&linked).iter().any(|known| known == anchor),
                    "{file}: {target} is no heading"
                );
            }
        }
    }
}

/// Paths from the top of the repository, or from the page's own folder.
#[test]
fn paths_in_backticks_exist() {
    for file in PAGES {
        let page = text(file);
        let folder = repository().join(file).parent().expect("a folder").to_owned();
        let prose = page.split("```").step_by(2).collect::<String>();
        let words = spans(&prose).into_iter().filter_map(|span| span.split_whitespace().next());
        let ours = ["src/", "tests/", "packaging/", "cloud-init/", ".ci/"];
        let is_folder = |word: &&str| word.ends_with('/') && !word.starts_with('/');
        for path in words.filter(|word| is_folder(word) || ours.iter().any(|top| word.starts_with(top))) {
            let is_there = repository().join(path).exists() || folder.join(path).exists();
            // The layout names folders below the one of the row; its own test looks for them.
            assert!(is_there || file == SOURCES && is_in_layout(path), "{file}: {path} is not there");
        }
    }
}

fn is_in_layout(path: &str) -> bool {
    table(&text(SOURCES), "where").iter().any(|row| spans(&row[1]).contains(&path))
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = readme();
    assert!(readme.lines().count() <= 200, "{} lines", readme.lines().count());
    for page in PAGES.iter().skip(1) {
        assert!(readme.contains(&format!("({page})")), "the README does not lead to {page}");
    }
}

#[test]
fn log_and_record_are_as_documented() {
    let page = text(LOG_AND_RECORD);
    let section = between(&page, "# Log and record", "\n## Events");
    let vm = Vm::new().start();
    let run = vm.run(&["enroll"]);
    run.assert_code(0);
    assert!(section.contains(&format!("/{LOG}")) && section.contains(&format!("/{RECORD}")));
    for line in &run.lines {
        for member in spans(between(section, "Every line has", ". ")) {
            assert!(line.get(member).is_some(), "{member} is not in {line}");
        }
    }
    let last = between(section, "The last line of a run is", ":\n");
    let words = spans(last);
    assert_eq!(run.last()["event"], words[0]);
    let outcomes = spans(between(last, "(", ")"));
    for member in words.iter().skip(1).filter(|word| !outcomes.contains(word)) {
        assert!(run.last().get(*member).is_some(), "{member} is not in {}", run.last());
    }
    assert!(outcomes.iter().any(|outcome| run.last()["outcome"] == **outcome));
    assert!(vm.record().is_some());
    vm.run(&["status"]).assert_code(0);
    assert_eq!(format!("/{CONFIG}"), "/etc/arc-enroll/config.yaml");
}

#[test]
fn sizes_are_those_of_the_gate() {
    let gate = text("packaging/size-gate");
    for (name, shown, pages) in [
        ("ceiling", "1,000,000", &[PACKAGING, CLOUD_INIT][..]),
        ("text_goal", "850,000", &[PACKAGING]),
        ("gzip_goal", "640,000", &[PACKAGING]),
    ] {
        assert!(gate.contains(&format!("readonly {name}={}\n", shown.replace(',', ""))), "{name}");
        for page in pages {
            assert!(text(page).contains(shown), "{page} does not say {shown}");
        }
    }
}

#[test]
fn roles_are_those_that_the_program_asks_for() {
    let readme = readme();
    let catalogue = printed(&["explain", "--output", "json"]);
    let roles = spans(between(&readme, "Give the identity its two roles", ". With"));
    assert_eq!(roles.len(), 2);
    for role in roles {
        assert!(catalogue.contains(role), "no fault names the role {role}");
    }
}

#[test]
fn the_changelog_tells_what_is_not_released_yet() {
    let changelog = text("CHANGELOG.md");
    let unreleased = changelog.split("## Unreleased").nth(1).expect("a section Unreleased");
    let section = unreleased.split("\n## ").next().unwrap_or("");
    assert!(section.lines().any(|line| line.starts_with("- ")));
}
