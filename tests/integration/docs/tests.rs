//! `tests/README.md`: its folders, commands and boot matrix are those of the repository.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{repository, spans, table, text};

fn page() -> String {
    text("tests/README.md")
}

#[test]
fn every_folder_of_the_tests_is_named() {
    let page = page();
    for entry in fs::read_dir(repository().join("tests")).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            assert!(page.contains(&format!("`tests/{name}/")), "tests/README.md does not name tests/{name}");
        }
    }
}

#[test]
fn every_command_of_the_levels_can_be_run() {
    for row in table(&page(), "level") {
        let command = spans(&row[1])[0];
        if let Some(arguments) = command.strip_prefix("cargo ") {
            assert!(arguments.starts_with("test "), "{command}");
        } else {
            let mode = fs::metadata(repository().join(command)).map(|data| data.permissions().mode());
            assert!(mode.is_ok_and(|mode| mode & 0o111 != 0), "{command} cannot be executed");
        }
    }
}

#[test]
fn the_limit_and_the_variables_are_where_the_page_says() {
    assert!(text("tests/nexus/run.rs").contains("pub const HANG_LIMIT"));
    assert!(text("tests/nexus/vm.rs").contains("\"NEXUS_KEEP\""));
    assert!(text("tests/integration/docs/commands.rs").contains("\"ARC_ENROLL_STATIC\""));
}

#[test]
fn the_boot_matrix_is_that_of_the_scenarios() {
    let output = Command::new("python3").arg(repository().join("tests/vm/run")).arg("--list").output();
    let listed = String::from_utf8(output.expect("python3 runs").stdout).expect("UTF-8");
    let known: BTreeSet<[String; 3]> = listed
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            [words[0], words[1], if words[2] == "ci" { "yes" } else { "" }].map(str::to_owned)
        })
        .collect();
    assert!(!known.is_empty(), "the scenarios are not listed");
    let shown: BTreeSet<[String; 3]> = table(&page(), "scenario")
        .iter()
        .map(|row| [row[0].trim_matches('`').to_owned(), row[1].clone(), row[2].clone()])
        .collect();
    assert_eq!(shown, known);
}

#[test]
fn every_module_of_the_integration_tests_says_what_it_tests() {
    let main = text("tests/integration/main.rs");
    let mut above = "";
    let mut named = BTreeSet::new();
    for line in main.lines() {
        if let Some(module) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            assert!(above.starts_with("/// ") || above.starts_with("#[path"), "{module} has no description");
            named.insert(module.to_owned());
        }
        above = line;
    }
    for entry in fs::read_dir(repository().join("tests/integration")).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(named.contains(module), "main.rs has no module {module}");
        }
    }
}
