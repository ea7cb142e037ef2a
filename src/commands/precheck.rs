//! `precheck`: what the operator can see from outside, on a workstation where `az` is signed in; changes nothing.

use std::io::IsTerminal;

use serde_json::Value;

use super::shutdown::look;
use super::{load_or_report, vm, Environment};
use crate::cli::{Invocation, Output};
use crate::conditions::Vm;
use crate::host::output;
use crate::model::exit_code::USAGE;
use crate::model::fault::Fault;
use crate::model::json::object;
use crate::operator::precheck::place::Place;
use crate::operator::precheck::{az, examine, Wanted, CSN, LIMIT, VM};
use crate::output::finding::{self, exit_code, worst, Finding};
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
    let mut vm = vm(invocation, environment, loaded, false);
    // In place of the Nexus VM's proxy, the way to Azure that this workstation has.
    vm.host = az::host(invocation.root.clone(), environment);
    let mut wanted = Wanted::default();
    for (option, text, kind, place) in
        [("--csn", csn, CSN, &mut wanted.csn), ("--vm", name, VM, &mut wanted.vm)]
    {
        let Some(text) = text else { continue };
        *place = Place::named(text, kind, &vm.settings.azure);
        if place.is_none() {
            output::write_stderr(&format!(
                "arc-enroll: {option} takes a name or the id of a {kind}, not {text:?}\n"
            ));
            return USAGE;
        }
    }
    let as_json = invocation.output == Some(Output::Json);
    let is_watched = !as_json && std::io::stdout().is_terminal();
    let meanwhile = is_watched.then(|| format!("  asking az, at most {} s …", LIMIT.as_secs()));
    let findings = match look(&vm.host, meanwhile, examine(&vm, &vm.host, &wanted)).await {
        Ok(findings) => findings,
        Err(code) => return code,
    };
    let style = if is_watched { Style::Colour } else { Style::Plain };
    let text =
        if as_json { format!("{}\n", to_json(&vm, &findings)) } else { to_text(&vm, style, &findings) };
    output::print(&vm.host.mask.apply(&text));
    exit_code(&findings)
}

fn to_json(vm: &Vm, findings: &[Finding]) -> Value {
    object! {
        "version": 1, "agent": env!("CARGO_PKG_VERSION"), "exit_code": exit_code(findings),
        "worst": worst(findings).map(Fault::code),
        "conditions": findings.iter().map(|finding| finding.to_json(vm)).collect::<Vec<_>>(),
    }
}

fn to_text(vm: &Vm, style: Style, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&finding.to_text(vm, style));
    }
    text + &finding::verdict(
        findings,
        style,
        "NOT READY",
        "Nothing that can be seen from here stands in the way.",
    )
}
