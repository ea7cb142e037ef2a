//! `explain`: explains a fault, or lists all faults.

use serde_json::Value as Json;

use super::{context, load_for_observation, Environment};
use crate::catalogue;
use crate::cli::{Invocation, Output};
use crate::context::{value, Facts, Mode};
use crate::formats::json::{list, object};
use crate::host::files::Files;
use crate::host::output;
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
        Some(None) => return report_unknown_code(code.unwrap_or_default()),
    };
    let text = match (as_json, code) {
        (true, Some(_)) => kinds.iter().map(|kind| format!("{}\n", to_json(kind))).collect(),
        (true, None) => {
            format!("{}\n", list(&mut kinds.iter().map(|kind| to_json(kind))))
        }
        (false, Some(_)) => kinds.iter().map(|kind| explain(invocation, environment, kind)).collect(),
        (false, None) => terminal::catalogue(&kinds),
    };
    output::print(&text);
    0
}

fn report_unknown_code(code: &str) -> u8 {
    let near = nearest(code, &catalogue::all().map(|kind| kind.code).collect::<Vec<_>>());
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let elsewhere = if cfg!(feature = "operator") {
        ""
    } else {
        "\nThose that only precheck meets are explained by the workstation's build"
    };
    let text = format!("arc-enroll: there is no fault {code:?}{hint}{elsewhere}\nTry 'arc-enroll explain'\n");
    output::write_stderr(&text);
    USAGE
}

/// The explanation, with the values of this VM if the last run recorded this fault or the target is configured.
fn explain(invocation: &Invocation, environment: Environment<'_>, kind: &FaultKind) -> String {
    let record = record::read(&Files::new(invocation.root.clone())).ok().flatten();
    if let Some(record) = record.filter(|record| record.fault.as_deref() == Some(kind.code)) {
        let seen = format!("{}, {}", record.finished, record.evidence.as_deref().unwrap_or_default());
        return terminal::explanation(kind, &record.steps())
            + &terminal::paragraph("  Last seen here: ", &seen);
    }
    let known = load_for_observation(invocation).ok().filter(|loaded| loaded.has_target);
    let steps = match known.map(|loaded| context(invocation, environment, loaded, Mode::Observe)) {
        Some(context) => kind.remediation(&|var| value(&context, &Facts::default(), var)),
        None => kind.remediation(&placeholder),
    };
    terminal::explanation(kind, &steps)
}

/// The placeholder of a variable, as in the catalogue.
fn placeholder(var: Var) -> Option<Words> {
    Some(vec![Word::Shell(var.template())])
}

fn to_json(kind: &FaultKind) -> Json {
    let person: Vec<String> = kind.remediation(&placeholder).iter().map(RenderedStep::line).collect();
    object! {
        "code": kind.code, "condition": kind.condition.name(), "exit_code": kind.exit_code(),
        "means": kind.summary, "causes": kind.causes.iter().map(|cause| cause.text).collect::<Vec<_>>(),
        "agent": kind.automatic, "person": person, "guide": kind.guide,
    }
}
