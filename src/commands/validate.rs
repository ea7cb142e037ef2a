//! `validate`: checks a configuration file offline.

use std::path::PathBuf;

use super::load_or_report;
use crate::cli::{Invocation, Output};
use crate::formats::json::object;
use crate::host::output;
use crate::model::exit_code::USAGE;

pub(super) fn run(invocation: &Invocation, file: Option<&PathBuf>) -> u8 {
    if invocation.output == Some(Output::Json) {
        return validate_json(invocation, file);
    }
    match load_or_report(invocation, file) {
        Ok(_) => {
            output::print("the configuration is valid\n");
            0
        }
        Err(code) => code,
    }
}

fn validate_json(invocation: &Invocation, file: Option<&PathBuf>) -> u8 {
    let problems = super::load(invocation, file).err().unwrap_or_default();
    let listed: Vec<_> = problems
        .iter()
        .map(|problem| {
            object! { "place": problem.place, "key": problem.key, "line": problem.line, "message": problem.message }
        })
        .collect();
    output::print(&format!("{}\n", object! { "valid": listed.is_empty(), "problems": listed }));
    if listed.is_empty() {
        0
    } else {
        USAGE
    }
}
