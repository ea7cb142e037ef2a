//! `tests/README.md`: its folders, commands, limit and variables are those of the repository.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{repository, spans, table, text, TESTS};

#[test]
fn every_folder_of_the_tests_is_named() {
    let page = text(TESTS);
    for entry in fs::read_dir(repository().join("tests")).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            assert!(page.contains(&format!("`tests/{name}/")), "tests/README.md does not name tests/{name}");
        }
    }
}

#[test]
fn every_command_of_the_levels_can_be_run() {
    for row in table(&text(TESTS), "level") {
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
    let page = text(TESTS);
    for name in ["HANG_LIMIT", "NEXUS_KEEP", "ARC_ENROLL_STATIC"] {
        assert!(page.contains(name), "tests/README.md does not name {name}");
    }
    assert!(text("tests/nexus/run.rs").contains("pub const HANG_LIMIT"));
    assert!(text("tests/nexus/vm.rs").contains("\"NEXUS_KEEP\""));
    assert!(text("tests/integration/docs/commands.rs").contains("\"ARC_ENROLL_STATIC\""));
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
