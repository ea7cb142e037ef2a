//! README, help and examples: what they say is compared with the program, and what they tell to type is run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::nexus::vm::{agent_program, Vm, CONFIG, LOG, RECORD};

/// Where a command line of the README is tried.
enum Tried {
    /// By `run_here`, below.
    Here,
    /// By `.ci/run`, as this line.
    Ci(&'static str),
    /// By `.ci/run`, which takes the line from the README.
    CiFromReadme,
    /// Only with an Azure subscription.
    NeedsAzure,
}

/// Every command line of the README's sh blocks, in their order.
const COMMANDS: [(&str, Tried); 11] = [
    ("cargo run --example nexus", Tried::Ci("cargo run --locked --example nexus")),
    ("cargo test --locked", Tried::CiFromReadme),
    ("packaging/build-static", Tried::Ci("packaging/build-static")),
    ("dist/arc-enroll user-data --config nexus.yaml --base64 > user-data.b64", Tried::Here),
    (
        "az networkcloud virtualmachine create … --mi-system-assigned --user-data-content @user-data.b64",
        Tried::NeedsAzure,
    ),
    ("sudo arc-enroll enroll", Tried::Here),
    ("sudo arc-enroll doctor", Tried::Here),
    ("sudo arc-enroll status", Tried::Here),
    ("sudo arc-enroll bundle", Tried::Here),
    ("arc-enroll explain CODE", Tried::Here),
    (r#"grep '"event":"run.finished"' /var/log/cloud-init-output.log | tail -n 1"#, Tried::Here),
];

/// How the command begins that makes the VM.
const CREATE: &str = "az networkcloud virtualmachine create ";

/// Programs that the README tells about in its text; CI runs them, but for the benchmark.
const PROGRAMS: [(&str, bool); 6] = [
    ("packaging/build-static", true),
    ("packaging/size-gate", true),
    ("tests/cloud_init/run", true),
    ("tests/vm/run", true),
    ("tests/bench/run", false),
    (".ci/run", false),
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn readme() -> String {
    text("README.md")
}

/// The fenced blocks of a language, without the indentation of the list they stand in.
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

/// What stands in backticks.
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

/// Numbers and names of the conditions, as `explain` lists them.
fn conditions() -> Vec<(String, String)> {
    let listed = printed(&["explain"]);
    let heads = listed.lines().filter(|line| !line.starts_with("   "));
    heads.filter_map(|line| line.trim().split_once("  ")).map(|(n, name)| (n.into(), name.into())).collect()
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

fn command_lines(block: &str) -> Vec<String> {
    let lines = block.lines().map(|line| line.split(" # ").next().unwrap_or("").trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_command_line_of_the_readme_is_tried() {
    let readme = readme();
    let shown: Vec<String> = blocks(&readme, "sh").iter().flat_map(|block| command_lines(block)).collect();
    let known: Vec<&str> = COMMANDS.iter().map(|(line, _)| *line).collect();
    assert_eq!(shown, known, "the README and the list of this test differ");
    // What is not in a block of its own language would escape this test.
    assert_eq!(readme.matches("```").count(), 2 * (blocks(&readme, "sh").len() + 1));
    let ci = text(".ci/run");
    let mut here = Vec::new();
    for (line, tried) in &COMMANDS {
        match tried {
            Tried::Here => here.push(*line),
            Tried::Ci(command) => assert!(ci.lines().any(|step| step == *command), ".ci/run lacks {command}"),
            Tried::CiFromReadme => assert_eq!(*line, test_command_of_ci()),
            // `user_data_as_told` compares it with the one that the program prints.
            Tried::NeedsAzure => assert!(line.starts_with(CREATE)),
        }
    }
    run_here(&here);
}

/// The command that `.ci/run` takes from the README, taken by its own line.
fn test_command_of_ci() -> String {
    let ci = text(".ci/run");
    let line = ci.lines().find(|line| line.starts_with("test_command=")).expect("CI takes the command");
    let script = format!("{line}; printf %s \"$test_command\"");
    let output = Command::new("bash").args(["-c", &script]).current_dir(repository()).output();
    String::from_utf8(output.expect("bash runs").stdout).expect("it is UTF-8")
}

/// Each in the simulated VM, or on this machine where it is meant for the desk.
fn run_here(lines: &[&str]) {
    let vm = Vm::new().start();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "sudo").collect();
        match words.as_slice() {
            ["dist/arc-enroll", "user-data", ..] => user_data_as_told(line),
            ["arc-enroll", "doctor"] => {
                let before = vm.tree();
                vm.run(&["doctor"]).assert_code(0);
                assert!(vm.tree() == before, "doctor changes something");
            }
            ["arc-enroll", "explain", "CODE"] => {
                for entry in catalogue() {
                    let code = entry["code"].as_str().expect("an entry has a code");
                    assert!(printed(&["explain", code]).starts_with(code));
                }
            }
            ["arc-enroll", rest @ ..] => {
                vm.run(rest).assert_code(0);
            }
            ["grep", ..] => {
                let script = line.replace("/var/log/", &format!("{}/var/log/", vm.root.display()));
                let output = vm.command("/bin/sh").args(["-c", &script]).output().expect("a shell runs");
                let found: Value = serde_json::from_slice(&output.stdout).expect("one JSON line");
                assert_eq!(found["outcome"], "enrolled");
            }
            _ => panic!("this test cannot run {line}"),
        }
    }
}

/// `user-data` with the README's own configuration, by the binary that users ship where there is one.
fn user_data_as_told(line: &str) {
    let Some(shipped) = std::env::var_os("ARC_ENROLL_STATIC").map(PathBuf::from) else {
        eprintln!("SKIPPED {line}: ARC_ENROLL_STATIC names no static binary");
        return;
    };
    let (folder, _) = written(&nexus_yaml());
    let script = line.replace("dist/arc-enroll", "\"$SHIPPED\"");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).env("SHIPPED", shipped).current_dir(folder.path());
    let output = command.output().expect("a shell runs");
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    let create =
        COMMANDS.iter().map(|(line, _)| *line).find(|line| line.starts_with(CREATE)).expect("listed");
    for word in create.split_whitespace().filter(|word| *word != "…") {
        assert!(told.contains(word), "{word} is not in:\n{told}");
    }
    let size = fs::metadata(folder.path().join("user-data.b64")).map(|data| data.len()).unwrap_or(0);
    assert!((100_000..=1_000_000).contains(&size), "{size} bytes");
}

#[test]
fn the_first_two_commands_come_first() {
    let readme = readme();
    let first: Vec<&str> = COMMANDS.iter().take(2).map(|(line, _)| *line).collect();
    let section = between(&readme, "## Two commands", "\n## Use on Nexus");
    let shown: Vec<String> = blocks(section, "sh").iter().flat_map(|block| command_lines(block)).collect();
    assert_eq!(shown, first);
    assert_eq!(readme.find("\n## "), readme.find("\n## Two commands"));
}

#[test]
fn programs_that_are_named_are_there_and_ci_runs_them() {
    let (readme, ci) = (readme(), text(".ci/run"));
    for (program, in_ci) in PROGRAMS {
        let mode = fs::metadata(repository().join(program)).map(|data| data.permissions().mode());
        assert!(mode.is_ok_and(|mode| mode & 0o111 != 0), "{program} cannot be executed");
        assert_eq!(ci.lines().any(|line| line.split(' ').any(|word| word == program)), in_ci, "{program}");
    }
    for (program, _) in PROGRAMS.iter().filter(|(program, _)| *program != "tests/cloud_init/run") {
        assert!(readme.contains(program), "the README does not name {program}");
    }
    let steps: Vec<&str> = ci.lines().filter(|line| !line.is_empty() && !line.starts_with("step ")).collect();
    assert_eq!(steps.last(), Some(&"tests/vm/run"), "the README says that it comes after everything else");
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let rows: BTreeMap<String, String> =
        table(&readme(), "code").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let help = exit_codes_of_help();
    assert_eq!(rows.keys().collect::<BTreeSet<_>>(), help.keys().collect::<BTreeSet<_>>());
    let names: BTreeMap<String, String> = conditions().into_iter().collect();
    for (code, meaning) in &help {
        let number = code.parse::<u8>().expect("a code is a number");
        if let Some(name) = number.checked_sub(10).and_then(|number| names.get(&number.to_string())) {
            assert_eq!(meaning, name, "help, exit code {code}");
            assert_eq!(rows[code], format!("`{name}` fails, and only a person can help"));
        } else {
            let short = meaning.split(':').next().unwrap_or("");
            assert!(rows[code].starts_with(short), "{code}: {} in the README, {meaning} in help", rows[code]);
        }
    }
    for entry in catalogue() {
        let (code, condition) = (entry["exit_code"].to_string(), &entry["condition"]);
        assert!(rows.contains_key(&code), "{entry}");
        let of_condition = names.iter().find(|(_, name)| *condition == name.as_str());
        let own = of_condition.and_then(|(number, _)| number.parse::<u8>().ok()).expect("a known condition");
        assert!(["2", "3", "75"].contains(&code.as_str()) || code == (10 + own).to_string(), "{entry}");
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
fn conditions_are_those_of_the_program() {
    let readme = readme();
    let shown: Vec<(String, String)> = table(&readme, "#")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].trim_matches('`').to_owned()))
        .collect();
    assert_eq!(shown, conditions());
    assert!(readme.contains("A VM is enrolled when eleven conditions hold") && shown.len() == 11);
}

#[test]
fn the_way_is_not_walked_again_where_the_goal_is_reached() {
    assert!(readme().contains("the way there (3 to 8 and 10) is not walked again"));
    let numbers: BTreeMap<String, String> = conditions().into_iter().map(|(n, name)| (name, n)).collect();
    let vm = Vm::new().enrolled().start();
    // The first run writes the proxy settings; from then on the VM is as it should be.
    vm.run(&["enroll"]).assert_code(0);
    let run = vm.run(&["enroll"]);
    run.assert_code(0).assert_last("enrolled", None);
    let holding = run.events("condition.holds").into_iter();
    let walked: Vec<&str> =
        holding.map(|line| numbers[line["condition"].as_str().expect("a condition")].as_str()).collect();
    assert_eq!(walked, ["1", "2", "9", "11"], "{}", run.text());
}

#[test]
fn waits_are_those_of_the_configuration() {
    let config = yaml(&text("cloud-init/config.yaml"));
    let known: BTreeMap<String, String> = config["wait"]
        .as_mapping()
        .expect("a section")
        .iter()
        .map(|(key, value)| {
            (format!("wait.{}", key.as_str().unwrap_or("")), value.as_str().unwrap_or("").to_owned())
        })
        .collect();
    let shown: BTreeMap<String, String> = table(&readme(), "key")
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    assert_eq!(shown, known);
}

#[test]
fn addresses_are_those_of_the_configuration() {
    let (readme, config) = (readme(), yaml(&text("cloud-init/config.yaml")));
    for (section, key) in [("imds", "endpoint"), ("proxy", "url")] {
        let url = config[section][key].as_str().expect("a URL");
        let address = url.trim_start_matches("http://");
        assert!(readme.contains(address), "the README does not name {address}");
    }
}

#[test]
fn the_readme_s_configuration_is_valid_and_the_smallest() {
    let config = nexus_yaml();
    let (_folder, path) = written(&config);
    assert_eq!(printed(&["validate", &path]), "the configuration is valid\n");
    assert!(readme().contains("Three keys are required"));
    let keys: Vec<&str> = config.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(keys.len(), 3);
    for key in keys {
        let (_folder, path) = written(&config.replace(&format!("{key}\n"), ""));
        assert_eq!(agent(&["validate", &path]).status.code(), Some(2), "without {key}");
    }
}

#[test]
fn example_configurations_are_valid() {
    for path in ["cloud-init/config.yaml", "packaging/example-config.yaml"] {
        let full = repository().join(path).to_string_lossy().into_owned();
        assert_eq!(printed(&["validate", &full]), "the configuration is valid\n", "{path}");
    }
}

/// A key that the program does not know makes it tell the ones that it knows.
#[test]
fn the_example_configuration_has_every_key_and_no_other() {
    let text = text("cloud-init/config.yaml");
    let config = yaml(&text);
    let sections = config.as_mapping().expect("sections");
    let names: BTreeSet<String> = sections.keys().filter_map(|key| key.as_str()).map(str::to_owned).collect();
    let mut asking = "zzqqxx: 1\n".to_owned();
    for name in &names {
        let more = if name == "agent" { ", package: {zzqqxx: 1}" } else { "" };
        asking.push_str(&format!("{name}: {{zzqqxx: 1{more}}}\n"));
    }
    let known = known_keys(&asking);
    assert_eq!(known[""], names);
    for (place, keys) in known.iter().filter(|(place, _)| !place.is_empty()) {
        let shown: BTreeSet<String> = match place.as_str() {
            // Alternatives of which the file can show one; the others stand in comments.
            "identity" | "agent.package" => {
                keys.iter().filter(|key| text.contains(&format!("{key}: "))).cloned().collect()
            }
            section => {
                let mapping = config[section].as_mapping().unwrap_or_else(|| panic!("{section} is empty"));
                mapping.keys().filter_map(|key| key.as_str()).map(str::to_owned).collect()
            }
        };
        assert_eq!(shown, *keys, "{place}");
    }
}

/// The keys of each place, as the program tells them.
fn known_keys(asking: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (_folder, path) = written(asking);
    let output = agent(&["validate", &path, "--output", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("it answers in JSON");
    let problems = told["problems"].as_array().expect("problems");
    let about = problems.iter().filter_map(|problem| {
        let key = problem["key"].as_str()?.strip_suffix("zzqqxx")?;
        let keys = problem["message"].as_str()?.strip_prefix("unknown key; known here are ")?;
        Some((key.trim_end_matches('.').to_owned(), keys.split(", ").map(str::to_owned).collect()))
    });
    let found: BTreeMap<String, BTreeSet<String>> = about.collect();
    assert_eq!(found.len(), asking.matches("zzqqxx").count(), "{told}");
    found
}

#[test]
fn every_subcommand_is_in_the_readme_and_the_other_way_round() {
    let (readme, known) = (readme(), subcommands());
    assert_eq!(known.len(), 9);
    let shown = spans(&readme).into_iter().map(str::to_owned);
    let typed: Vec<String> =
        blocks(&readme, "sh").iter().flat_map(|block| command_lines(block)).chain(shown).collect();
    for name in &known {
        let is_named = |line: &String| line == name || line.contains(&format!("arc-enroll {name}"));
        assert!(typed.iter().any(is_named), "the README does not name {name}");
    }
    for line in &typed {
        let Some(word) = line.split("arc-enroll ").nth(1).and_then(|rest| rest.split([' ', ')']).next())
        else {
            continue;
        };
        let option = word.starts_with("--") && agent(&[word]).status.success();
        assert!(option || known.iter().any(|name| name == word), "{line} names no subcommand");
    }
}

#[test]
fn help_fits_the_terminal_and_names_itself() {
    for name in subcommands() {
        let help = printed(&[&name, "--help"]);
        assert!(help.starts_with(&format!("Usage: arc-enroll {name}")), "{help}");
        assert!(help.contains("Example:"), "{help}");
    }
    let main = [vec!["--help".to_owned()]];
    let all = subcommands().into_iter().map(|name| vec![name, "--help".to_owned()]);
    for words in all.chain(main) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for line in printed(&words).lines() {
            assert!(line.chars().count() <= 80 && line.trim_end() == line, "{words:?}: {line:?}");
        }
    }
}

#[test]
fn named_paths_and_links_exist() {
    let readme = readme();
    for row in table(&readme, "where") {
        for path in spans(&row[0]) {
            assert!(repository().join(path).exists(), "{path} is not there");
            for below in spans(&row[1]) {
                assert!(repository().join(path).join(below).exists(), "{path}{below} is not there");
            }
        }
    }
    for file in ["README.md", "cloud-init/README.md"] {
        let folder = repository().join(file).parent().expect("a folder").to_owned();
        let page = text(file);
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            assert!(folder.join(target).exists(), "{file}: {target} is not there");
        }
    }
}

#[test]
fn log_and_record_are_as_told() {
    let readme = readme();
    let section = between(&readme, "## Log and record", "\n## Security");
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
    let (readme, gate) = (readme(), text("packaging/size-gate"));
    for (name, shown) in [("ceiling", "1,000,000"), ("goal", "700,000")] {
        assert!(gate.contains(&format!("readonly {name}={}\n", shown.replace(',', ""))), "{name}");
        assert!(readme.contains(shown), "the README does not say {shown}");
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

/// The README's table of faults, made from the catalogue.
fn table_of_faults() -> String {
    let mut table = "| fault | exit | what it means | by itself | from |\n|---|---|---|---|---|\n".to_owned();
    for entry in catalogue() {
        let cell = |name: &str| entry[name].as_str().unwrap_or_default().replace('|', "\\|");
        table.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            cell("code"),
            entry["exit_code"],
            cell("means"),
            cell("agent"),
            cell("guide")
        ));
    }
    table
}

/// With ARC_ENROLL_WRITE_TABLE set, the table is written instead of compared.
#[test]
fn table_of_faults_is_the_catalogue() {
    let readme = readme();
    let (before, rest) = readme.split_once("<!-- table of faults -->\n").expect("the table's beginning");
    let (table, after) = rest.split_once("<!-- end of the table -->").expect("the table's end");
    let wanted = table_of_faults();
    if std::env::var_os("ARC_ENROLL_WRITE_TABLE").is_some() {
        let marks = ("<!-- table of faults -->\n", "<!-- end of the table -->");
        let text = format!("{before}{}{wanted}{}{after}", marks.0, marks.1);
        fs::write(repository().join("README.md"), text).expect("the README can be written");
    } else {
        let hint = "run: ARC_ENROLL_WRITE_TABLE=1 cargo test --test integration table_of_faults";
        assert!(table == wanted, "the README's table of faults is not the catalogue's; {hint}");
    }
}
