//! `explain`: what a fault means, or the list of all.

use serde_json::Value as Json;

use super::{context, load_to_look, Environment};
use crate::catalogue;
use crate::cli::{Invocation, Output};
use crate::context::{value, Facts, Mode};
use crate::formats::json::object;
use crate::host::{output, Host};
use crate::model::exit_code::USAGE;
use crate::model::fault::FaultKind;
use crate::model::step::RenderedStep;
use crate::model::var::{Var, Word, Words};
use crate::output::{record, terminal};
use crate::settings::nearest;

pub(super) fn run(invocation: &Invocation, environment: Environment<'_>, code: Option<&str>) -> u8 {
    let as_json = invocation.output == Some(Output::Json);
    let kinds: Vec<&FaultKind> = match code.map(catalogue::find) {
        None => catalogue::all().collect(),
        Some(Some(kind)) => vec![kind],
        Some(None) => return unknown(code.unwrap_or_default()),
    };
    let text = match (as_json, code) {
        (true, Some(_)) => kinds.iter().map(|kind| format!("{}\n", to_json(kind))).collect(),
        (true, None) => {
            format!("{}\n", Json::from(kinds.iter().map(|kind| to_json(kind)).collect::<Vec<_>>()))
        }
        (false, Some(_)) => kinds.iter().map(|kind| explanation(invocation, environment, kind)).collect(),
        (false, None) => terminal::catalogue(&kinds),
    };
    output::print(&text);
    0
}

fn unknown(code: &str) -> u8 {
    let near = nearest(code, &catalogue::all().map(|kind| kind.code).collect::<Vec<_>>());
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let text = format!("arc-enroll: there is no fault {code:?}{hint}\nTry 'arc-enroll explain'\n");
    output::write_stderr(&text);
    USAGE
}

/// With this VM's own values where it is known: as the last run met the fault, or as the configuration has them.
fn explanation(invocation: &Invocation, environment: Environment<'_>, kind: &FaultKind) -> String {
    let host = Host::new(invocation.root.clone(), "", Vec::new());
    let record = record::read(&host.files).ok().flatten();
    if let Some(record) = record.filter(|record| record.fault.as_deref() == Some(kind.code)) {
        let seen = format!("{}, {}", record.finished, record.evidence.unwrap_or_default());
        let steps: Vec<RenderedStep> =
            record.remedy.iter().map(|step| RenderedStep::parse_marked(step)).collect();
        return terminal::explanation(kind, &steps) + &terminal::paragraph("  Met here: ", &seen);
    }
    let known = load_to_look(invocation).ok().filter(|loaded| loaded.has_target);
    let steps = match known.map(|loaded| context(invocation, environment, loaded, Mode::Observe)) {
        Some(context) => kind.remediation(&|var| value(&context, &Facts::default(), var)),
        None => kind.remediation(&unfilled),
    };
    terminal::explanation(kind, &steps)
}

/// Each variable as the catalogue writes it.
fn unfilled(var: Var) -> Option<Words> {
    Some(vec![Word::Shell(var.template())])
}

fn to_json(kind: &FaultKind) -> Json {
    let person: Vec<String> = kind.remediation(&unfilled).iter().map(RenderedStep::line).collect();
    object! {
        "code": kind.code, "condition": kind.condition.name(), "exit_code": kind.exit_code(),
        "means": kind.summary, "causes": kind.causes.iter().map(|cause| cause.text).collect::<Vec<_>>(),
        "agent": kind.automatic, "person": person, "guide": kind.guide,
    }
}
