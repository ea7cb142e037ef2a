//! Tables of the documents that are made from the library.
//!
//! With ARC_ENROLL_WRITE_TABLE set, they are written instead of compared.

use std::fs;

use arc_enroll::catalogue;
use arc_enroll::cli::table::{CONDITION_FAILS, EXIT_CODES};
use arc_enroll::model::condition::Condition;

use super::{repository, text, FAULTS, SOURCES};

/// How the tables are written again.
pub const WRITE_TABLE: &str = "ARC_ENROLL_WRITE_TABLE=1 cargo test --test integration table_of";

/// Compares the table between its marks in a document with what the library makes, or writes it.
fn hold(page: &str, name: &str, wanted: &str) {
    let (start, end) = (format!("<!-- table of {name} -->\n"), "<!-- end of the table -->");
    let document = text(page);
    let (before, rest) = document.split_once(&start).expect("the mark before the table");
    let (table, after) = rest.split_once(end).expect("the mark behind the table");
    if std::env::var_os("ARC_ENROLL_WRITE_TABLE").is_some() {
        let document = format!("{before}{start}{wanted}{end}{after}");
        fs::write(repository().join(page), document).expect("the document can be written");
    } else {
        assert!(table == wanted, "the table of {name} in {page} is not the library's; run: {WRITE_TABLE}");
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn table_of_faults() {
    let mut table = "| fault | exit | what it means | by itself | from |\n|---|---|---|---|---|\n".to_owned();
    for kind in catalogue::all() {
        let [summary, automatic, guide] = [kind.summary, kind.automatic, kind.guide].map(cell);
        let (code, exit_code) = (kind.code, kind.exit_code());
        table.push_str(&format!("| `{code}` | {exit_code} | {summary} | {automatic} | {guide} |\n"));
    }
    hold(FAULTS, "faults", &table);
}

#[test]
fn table_of_conditions() {
    let mut table = "| # | condition | holds when | prerequisite |\n|---|---|---|---|\n".to_owned();
    for (index, condition) in Condition::ALL.iter().enumerate() {
        let prerequisite = if condition.entry().is_prerequisite { "yes" } else { "" };
        let (name, holds_when) = (condition.name(), cell(condition.holds_when()));
        table.push_str(&format!("| {} | `{name}` | {holds_when} | {prerequisite} |\n", index + 1));
    }
    hold(SOURCES, "conditions", &table);
}

#[test]
fn table_of_exit_codes() {
    let mut table = "| code | meaning |\n|---|---|\n".to_owned();
    let [before @ .., last] = &EXIT_CODES;
    for (code, meaning) in before {
        table.push_str(&format!("| {code} | {meaning} |\n"));
    }
    for condition in Condition::ALL {
        let only_a_person = CONDITION_FAILS.trim_start_matches("the condition ");
        let code = condition.entry().exit_code;
        table.push_str(&format!("| {code} | `{}` {only_a_person} |\n", condition.name()));
    }
    table.push_str(&format!("| {} | {} |\n", last.0, last.1));
    hold("README.md", "exit codes", &table);
}
