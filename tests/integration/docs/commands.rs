//! Command lines and programs that the documents name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::generated::WRITE_TABLE;
use super::{
    agent, between, blocks, catalogue, nexus_yaml, printed, readme, repository, spans, subcommands, table,
    text, written, CLOUD_INIT, FAULTS, LOG_AND_RECORD, PACKAGING, PAGES, SOURCES,
};
use crate::nexus::vm::{agent_program, Vm};
use crate::precheck::workstation;

/// Where a command line of a document is tried.
enum Tried {
    /// By `run_here`, below.
    Here,
    /// By `.ci/run`, as this line.
    Ci(&'static str),
    /// By `.ci/run`, which takes the line from the README.
    CiFromReadme,
    /// Only with an Azure subscription.
    NeedsAzure,
    /// It rewrites a document, and the test that compares the document names it.
    WritesDocument,
}

/// Every command line of the README's sh blocks, in their order.
const COMMANDS: [(&str, Tried); 16] = [
    ("tests/demo", Tried::CiFromReadme),
    ("tests/run", Tried::CiFromReadme),
    ("packaging/build-static", Tried::Ci("packaging/build-static")),
    ("dist/arc-enroll precheck --config nexus.yaml --csn my-csn", Tried::Here),
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
    ("sudo arc-enroll status", Tried::Here),
    ("sudo arc-enroll doctor", Tried::Here),
    ("sudo arc-enroll enroll", Tried::Here),
    (LAST_VERDICT, Tried::Here),
    (r#"eval "$(arc-enroll env)""#, Tried::Here),
];

/// The same of the pages beside what they describe. The lines of cloud-init/README.md are tried by
/// tests/cloud_init/commands.py.
const COMMANDS_OF_PAGES: [(&str, &[(&str, Tried)]); 4] = [
    (
        PACKAGING,
        &[
            ("packaging/build-static", Tried::Ci("packaging/build-static")),
            ("packaging/check-reproducible", Tried::Ci("packaging/check-reproducible --against dist")),
            ("packaging/build-packages", Tried::Ci("packaging/build-packages")),
        ],
    ),
    (SOURCES, &[]),
    (FAULTS, &[(WRITE_TABLE, Tried::WritesDocument)]),
    (LOG_AND_RECORD, &[(LAST_VERDICT, Tried::Here)]),
];

/// How the last verdict is found in the log.
const LAST_VERDICT: &str = r#"grep '"event":"run.finished"' /var/log/cloud-init-output.log | tail -n 1"#;

/// The beginning of the command that creates the VM.
const CREATE: &str = "az networkcloud virtualmachine create ";

/// Programs that the documents mention, and whether CI runs them.
const PROGRAMS: [(&str, bool); 14] = [
    ("packaging/build-static", true),
    ("packaging/check-static", true),
    ("packaging/size-gate", true),
    ("packaging/size-by-module", false),
    ("packaging/build-packages", true),
    ("packaging/check-reproducible", true),
    ("tests/cloud_init/run", true),
    ("tests/packages/run", true),
    ("tests/distributions/run", true),
    ("tests/infrastructure/run", true),
    ("tests/vm/run", true),
    ("tests/bench/run", false),
    ("tests/fresh_machine/run", false),
    (".ci/run", false),
];

fn command_lines(block: &str) -> Vec<String> {
    let lines = block.lines().map(|line| line.split(" # ").next().unwrap_or("").trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_command_line_of_the_documents_is_tried() {
    let mut here = check_commands("README.md", &COMMANDS);
    for (page, commands) in &COMMANDS_OF_PAGES {
        here.extend(check_commands(page, commands));
    }
    run_here(&here);
}

/// Compares the command lines of a page with the list; returns those that are tried here.
fn check_commands(page: &str, commands: &[(&'static str, Tried)]) -> Vec<&'static str> {
    let content = text(page);
    let shown: Vec<String> = blocks(&content, "sh").iter().flat_map(|block| command_lines(block)).collect();
    let known: Vec<&str> = commands.iter().map(|(line, _)| *line).collect();
    assert_eq!(shown, known, "{page} and the list of this test differ");
    // Commands outside an sh block would escape this test.
    let in_blocks: usize = ["sh", "yaml", "text"].iter().map(|name| blocks(&content, name).len()).sum();
    assert_eq!(content.matches("```").count(), 2 * in_blocks, "{page}");
    let ci = text(".ci/run");
    let mut here = Vec::new();
    for (line, tried) in commands {
        match tried {
            Tried::Here => here.push(*line),
            Tried::Ci(command) => assert!(ci.lines().any(|step| step == *command), ".ci/run lacks {command}"),
            Tried::CiFromReadme => assert!(ci_commands_from_readme().iter().any(|taken| taken == line)),
            // `user_data_matches_readme` compares it with the one that the program prints.
            Tried::NeedsAzure => assert!(line.starts_with(CREATE)),
            Tried::WritesDocument => assert_eq!(*line, WRITE_TABLE),
        }
    }
    here
}

/// The commands that `.ci/run` takes from the README, taken by its own line, each of which it runs.
fn ci_commands_from_readme() -> Vec<String> {
    let ci = text(".ci/run");
    let line =
        ci.lines().find(|line| line.starts_with("mapfile -t readme_commands ")).expect("CI takes them");
    let script = format!("{line}; printf '%s\\n' \"${{readme_commands[@]}}\"");
    let output = Command::new("bash").args(["-c", &script]).current_dir(repository()).output();
    let printed = String::from_utf8(output.expect("bash runs").stdout).expect("it is UTF-8");
    let is_run = |number: &usize| ci.contains(&format!("bash -c \"${{readme_commands[{number}]}}\"\n"));
    let taken = printed.lines().enumerate().filter(|(number, _)| is_run(number));
    taken.map(|(_, line)| line.to_owned()).collect()
}

/// Each in the simulated VM, or on this machine where it is meant for the workstation.
fn run_here(lines: &[&str]) {
    let vm = Vm::new().start();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "sudo").collect();
        match words.as_slice() {
            ["dist/arc-enroll", "user-data", ..] => user_data_matches_readme(line),
            ["dist/arc-enroll", "precheck", "--config", _, rest @ ..] => {
                let mut world = workstation::world();
                world["cloudServicesNetworks"] = [workstation::csn("my-csn")].as_slice().into();
                let run = workstation::Workstation::new(&world).run(rest);
                assert_eq!(run.code, 0, "{}", run.stdout);
            }
            ["eval", ..] => {
                let agent = format!("\"{}\" --root \"{}\"", agent_program().display(), vm.root.display());
                let script = format!("{} && env", line.replace("arc-enroll", &agent));
                let output = vm.command("/bin/sh").args(["-c", &script]).output().expect("a shell runs");
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(text.contains("\nHTTPS_PROXY=http://169.254.0.11:3128\n"), "{text}");
            }
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
fn user_data_matches_readme(line: &str) {
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
    forms_have_the_documented_sizes(&line.replace("dist/arc-enroll", "\"$SHIPPED\""), size, folder.path());
}

/// The table of the forms: each is a form of the same command line.
fn forms_have_the_documented_sizes(line: &str, whole: u64, folder: &Path) {
    let rows = table(&text(CLOUD_INIT), "form");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let form = row[0].trim_matches('`').replace("URL", "https://example.com/arc-enroll");
        let script = line.replace("user-data --config", &format!("{form} --config"));
        let script = script.replace("> user-data.b64", "2> told | wc -c");
        let mut command = Command::new("/bin/sh");
        let shipped = std::env::var_os("ARC_ENROLL_STATIC").unwrap_or_default();
        let output = command.args(["-c", &script]).env("SHIPPED", shipped).current_dir(folder).output();
        let said = String::from_utf8(output.expect("a shell runs").stdout).expect("a number");
        let size: u64 = said.trim().parse().expect("a number");
        let most = match row[1].as_str() {
            "up to 1,000,000 bytes" => 1_000_000,
            "about three quarters of it" => whole * 8 / 10,
            "a few KiB" => 12_000,
            other => panic!("{other}: how much is that?"),
        };
        assert!((500..=most).contains(&size), "{form}: {size} bytes, and {CLOUD_INIT} says {}", row[1]);
    }
}

#[test]
fn the_first_two_commands_come_first() {
    let readme = readme();
    let first: Vec<&str> = COMMANDS.iter().take(2).map(|(line, _)| *line).collect();
    let section = between(&readme, "## Two commands", "\n## Use on Nexus in five steps");
    let shown: Vec<String> = blocks(section, "sh").iter().flat_map(|block| command_lines(block)).collect();
    assert_eq!(shown, first);
    assert_eq!(readme.find("\n## "), readme.find("\n## Two commands"));
}

#[test]
fn programs_that_are_named_are_there_and_ci_runs_them() {
    let (pages, ci) = (PAGES.map(text).concat(), text(".ci/run"));
    for (program, in_ci) in PROGRAMS {
        let mode = fs::metadata(repository().join(program)).map(|data| data.permissions().mode());
        assert!(mode.is_ok_and(|mode| mode & 0o111 != 0), "{program} cannot be executed");
        let command = |line: &str| line.split(' ').find(|word| !word.contains('=')).map(str::to_owned);
        let runs = ci.lines().any(|line| command(line).as_deref() == Some(program));
        assert_eq!(runs, in_ci, "{program}");
    }
    for (program, _) in PROGRAMS {
        assert!(pages.contains(program), "no document names {program}");
    }
    let steps: Vec<&str> = ci.lines().filter(|line| !line.is_empty() && !line.starts_with("step ")).collect();
    assert_eq!(steps.last(), Some(&"tests/vm/run --ci"), "boots take longest, so they come last");
}

#[test]
fn readme_and_help_have_the_same_subcommands() {
    let (readme, known) = (readme(), subcommands());
    assert_eq!(known.len(), 10);
    let prose: String = readme.split("```").step_by(2).collect();
    let shown = spans(&prose).into_iter().map(str::to_owned);
    let typed: Vec<String> =
        blocks(&readme, "sh").iter().flat_map(|block| command_lines(block)).chain(shown).collect();
    for name in &known {
        let is_named = |line: &String| line == name || line.contains(&format!("arc-enroll {name}"));
        assert!(typed.iter().any(is_named), "the README does not name {name}");
    }
    let pages = PAGES.map(text);
    let named_elsewhere = pages.iter().flat_map(|page| page.lines()).filter(|line| line.contains('`'));
    let elsewhere = named_elsewhere.flat_map(spans).map(str::to_owned);
    for line in typed.iter().cloned().chain(elsewhere) {
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
