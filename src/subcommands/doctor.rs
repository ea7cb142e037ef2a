//! `doctor`: observes every condition and changes nothing.

use std::io::IsTerminal;
use std::time::Instant;

use serde_json::json;

use super::{vm_to_look_at, Environment};
use crate::cli::{Invocation, Output};
use crate::condition::Condition;
use crate::fault::Fault;
use crate::host::output;
use crate::report::{self, Mark, Style};

/// What came of observing one condition.
enum Finding {
    Holds(String),
    Fails(Fault),
    /// Because of an earlier one.
    Skipped(Condition),
}

pub(super) async fn run(invocation: &Invocation, environment: Environment<'_>) -> u8 {
    let vm = match vm_to_look_at(invocation, environment) {
        Ok(vm) => vm,
        Err(code) => return code,
    };
    let style = if std::io::stdout().is_terminal() { Style::Colour } else { Style::Plain };
    let as_json = invocation.output == Some(Output::Json);
    let mut findings: Vec<(Condition, Finding, u128)> = Vec::new();
    for condition in Condition::ALL {
        let started = Instant::now();
        let not_holding = |needed: &&Condition| {
            findings
                .iter()
                .any(|(earlier, finding, _)| earlier == *needed && !matches!(finding, Finding::Holds(_)))
        };
        let finding = match condition.needs().iter().find(not_holding) {
            Some(cause) => Finding::Skipped(*cause),
            None => match vm.observe(condition).await {
                Ok(evidence) => Finding::Holds(vm.host.mask.apply(&evidence)),
                Err(fault) => Finding::Fails(fault),
            },
        };
        if !as_json {
            output::print(&vm.host.mask.apply(&line(style, condition, &finding)));
        }
        findings.push((condition, finding, started.elapsed().as_millis()));
    }
    let faults: Vec<&Fault> = findings
        .iter()
        .filter_map(|(_, finding, _)| match finding {
            Finding::Fails(fault) => Some(fault),
            _ => None,
        })
        .collect();
    // What only a person can mend is worse than what may pass; among equals the first, for the others may be its echo.
    let worst = faults.iter().min_by_key(|fault| fault.entry.outlook);
    let exit_code = worst.map_or(0, |fault| fault.entry.exit_code());
    if as_json {
        let conditions: Vec<_> =
            findings.iter().map(|(condition, finding, ms)| to_json(*condition, finding, *ms)).collect();
        let text = json!({ "conditions": conditions, "exit_code": exit_code }).to_string();
        output::print(&format!("{}\n", vm.host.mask.apply(&text)));
    } else if let Some(fault) = worst {
        output::print(&vm.host.mask.apply(&report::verdict(&vm, &style, fault)));
    } else {
        output::print("\nEvery condition holds.\n");
    }
    exit_code
}

fn line(style: Style, condition: Condition, finding: &Finding) -> String {
    let name = condition.name();
    match finding {
        Finding::Holds(evidence) => report::line(&style, Mark::Good, name, evidence),
        Finding::Fails(fault) => report::line(&style, Mark::Bad, name, &fault.to_string()),
        Finding::Skipped(cause) => report::line(
            &style,
            Mark::Skipped,
            name,
            &format!("not looked at: {} does not hold", cause.name()),
        ),
    }
}

fn to_json(condition: Condition, finding: &Finding, elapsed_ms: u128) -> serde_json::Value {
    let elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(u64::MAX);
    let name = condition.name();
    match finding {
        Finding::Holds(evidence) => {
            json!({ "condition": name, "state": "holds", "evidence": evidence, "elapsed_ms": elapsed_ms })
        }
        Finding::Fails(fault) => json!({
            "condition": name, "state": "fails", "fault": fault.code(), "means": fault.entry.means,
            "evidence": fault.evidence, "exit_code": fault.entry.exit_code(), "elapsed_ms": elapsed_ms,
        }),
        Finding::Skipped(cause) => json!({ "condition": name, "state": "skipped", "cause": cause.name() }),
    }
}
