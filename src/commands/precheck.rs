//! `precheck`: checks the Azure side from a workstation where `az` is signed in; changes nothing.

use std::io::IsTerminal;

use serde_json::Value;

use super::shutdown::run_until_shutdown;
use super::{context, load_or_report, Environment};
use crate::cli::{Invocation, Output};
use crate::context::Mode;
use crate::formats::json::{list, object};
use crate::host::output;
use crate::model::check::{exit_code, worst, CheckResult};
use crate::model::exit_code::USAGE;
use crate::model::fault::Fault;
use crate::operator::precheck::resource::AzureResource;
use crate::operator::precheck::{az, examine, PrecheckTarget, CSN, LIMIT, VM};
use crate::output::table;
use crate::output::terminal::Style;

pub(super) async fn run(
    invocation: &Invocation,
    environment: Environment<'_>,
    csn: Option<&str>,
    name: Option<&str>,
) -> u8 {
    let loaded = match load_or_report(invocation, None) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let mut context = context(invocation, environment, loaded, Mode::Observe);
    // The workstation has its own connection to Azure; the proxy of the Nexus VM does not apply.
    context.host = az::host(invocation.root.clone(), environment);
    let mut target = PrecheckTarget::default();
    for (option, text, kind, place) in
        [("--csn", csn, CSN, &mut target.csn), ("--vm", name, VM, &mut target.vm)]
    {
        let Some(text) = text else { continue };
        *place = AzureResource::named(text, kind, &context.settings.azure);
        if place.is_none() {
            output::write_stderr(&format!(
                "arc-enroll: {option} takes a name or the id of a {kind}, not {text:?}\n"
            ));
            return USAGE;
        }
    }
    let as_json = invocation.output == Some(Output::Json);
    let is_watched = !as_json && std::io::stdout().is_terminal();
    let status = is_watched.then(|| format!("  asking az, at most {} s …", LIMIT.as_secs()));
    let results =
        match run_until_shutdown(&context.host, status, examine(&context, &context.host, &target)).await {
            Ok(results) => results,
            Err(code) => return code,
        };
    let style = if is_watched { Style::Colour } else { Style::Plain };
    let text = if as_json { format!("{}\n", to_json(&results)) } else { to_text(style, &results) };
    output::print(&context.host.mask.apply(&text));
    exit_code(&results)
}

fn to_json(results: &[CheckResult]) -> Value {
    object! {
        "version": 1, "agent": env!("CARGO_PKG_VERSION"), "exit_code": exit_code(results),
        "worst": worst(results).map(Fault::code),
        "conditions": list(&mut results.iter().map(table::to_json)),
    }
}

fn to_text(style: Style, results: &[CheckResult]) -> String {
    let mut text = String::new();
    for result in results {
        text.push_str(&table::to_text(result, style));
    }
    text + &table::verdict(results, style, "NOT READY", "No problem found; enrollment can start.")
}
