//! The subcommands that print one thing: `explain`, `env`, `validate`.

use std::path::PathBuf;

use super::{existing_no_proxy, load_or_report, load_to_look, vm, vm_to_look_at, Environment};
use crate::catalogue;
use crate::cli::{Invocation, Output};
use crate::host::{output, Host};
use crate::model::exit_code::USAGE;
use crate::model::fault::FaultKind;
use crate::model::json::object;
use crate::output::record;
use crate::output::terminal;
use crate::proxy_files::{self, Wanted};
use crate::settings::nearest;

pub(super) fn explain(invocation: &Invocation, environment: Environment<'_>, code: Option<&str>) -> u8 {
    let as_json = invocation.output == Some(Output::Json);
    let entries: Vec<&FaultKind> = match code.map(catalogue::find) {
        None => catalogue::all().collect(),
        Some(Some(entry)) => vec![entry],
        Some(None) => {
            let code = code.unwrap_or_default();
            let near = nearest(code, &catalogue::all().map(|entry| entry.code).collect::<Vec<_>>());
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            output::write_stderr(&format!(
                "arc-enroll: there is no fault {code:?}{hint}\nTry 'arc-enroll explain'\n"
            ));
            return USAGE;
        }
    };
    let text = match (as_json, code) {
        (true, Some(_)) => entries.iter().map(|entry| format!("{}\n", to_json(entry))).collect(),
        (true, None) => {
            format!(
                "{}\n",
                serde_json::Value::from(entries.iter().map(|entry| to_json(entry)).collect::<Vec<_>>())
            )
        }
        (false, Some(_)) => entries.iter().map(|entry| explanation(invocation, environment, entry)).collect(),
        (false, None) => terminal::catalogue(),
    };
    output::print(&text);
    0
}

/// With this VM's own values where it is known: as the last run met the fault, or as the configuration has them.
fn explanation(invocation: &Invocation, environment: Environment<'_>, entry: &FaultKind) -> String {
    let host = Host::new(invocation.root.clone(), "", Vec::new());
    let record = record::read(&host.files).ok().flatten();
    if let Some(record) = record.filter(|record| record.fault.as_deref() == Some(entry.code)) {
        let seen = format!("{}, {}", record.finished, record.evidence.unwrap_or_default());
        let text = terminal::explanation(entry, &record.remedy);
        return text + &terminal::paragraph("  Met here: ", &seen);
    }
    let known = load_to_look(invocation).ok().filter(|loaded| loaded.has_target);
    let steps = match known.map(|loaded| vm(invocation, environment, loaded, false)) {
        Some(vm) => entry.steps(|step| vm.fill(step)),
        None => entry.steps(str::to_owned),
    };
    terminal::explanation(entry, &steps)
}

fn to_json(entry: &FaultKind) -> serde_json::Value {
    object! {
        "code": entry.code, "condition": entry.condition.name(), "exit_code": entry.exit_code(),
        "means": entry.summary, "causes": entry.causes, "agent": entry.agent,
        "person": crate::model::fault::unmarked(entry.steps(str::to_owned)),
        "guide": entry.guide,
    }
}

pub(super) fn env(invocation: &Invocation, environment: Environment<'_>) -> u8 {
    let vm = match vm_to_look_at(invocation, environment) {
        Ok(vm) => vm,
        Err(code) => return code,
    };
    let existing = existing_no_proxy(environment, &vm.host);
    let existing: Vec<&str> = existing.iter().map(String::as_str).collect();
    output::print(&proxy_files::exports(&Wanted::from(&vm.settings.proxy), &existing));
    0
}

pub(super) fn validate(invocation: &Invocation, file: Option<&PathBuf>) -> u8 {
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
