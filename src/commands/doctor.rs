//! `doctor`: observes every condition, the independent ones at the same time, and changes nothing.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Notify;

use super::shutdown::look;
use super::{vm_to_look_at, Environment};
use crate::cli::{Invocation, Output};
use crate::conditions::sanity::{self, join_all};
use crate::conditions::Vm;
use crate::host::output;
use crate::model::condition::Condition;
use crate::model::fault::Fault;
use crate::model::json::object;
use crate::output::finding::{self, exit_code, millis, worst, Finding, State};
use crate::output::terminal::{self, Style};

/// When every probe has to have ended; a program that does not heed its end is killed 5 s later.
pub const LIMIT: Duration = Duration::from_secs(14);

pub(super) async fn run(invocation: &Invocation, environment: Environment<'_>) -> u8 {
    let mut vm = match vm_to_look_at(invocation, environment) {
        Ok(vm) => vm,
        Err(code) => return code,
    };
    let as_json = invocation.output == Some(Output::Json);
    let is_watched = !as_json && std::io::stdout().is_terminal();
    let meanwhile = is_watched.then(|| format!("  looking, at most {} s …", LIMIT.as_secs()));
    let host = vm.host.clone();
    let findings = match look(&host, meanwhile, examine(&mut vm)).await {
        Ok(findings) => findings,
        Err(code) => return code,
    };
    let text = if as_json {
        format!("{}\n", to_json(&vm, &findings))
    } else {
        to_text(&vm, if is_watched { Style::Colour } else { Style::Plain }, &findings)
    };
    output::print(&vm.host.mask.apply(&text));
    exit_code(&findings)
}

/// Observes everything, in the time of the slowest probe.
pub async fn examine(vm: &mut Vm) -> Vec<Finding> {
    vm.deadline = Instant::now() + LIMIT;
    vm.host.commands.end_by(vm.deadline);
    let vm = &*vm;
    let findings = RefCell::new(Vec::new());
    let news = Notify::new();
    let mut tests: Vec<sanity::Test<'_>> = vec![Box::pin(sanity::run(vm))];
    for condition in Condition::ALL {
        let (findings, news) = (&findings, &news);
        tests.push(Box::pin(async move {
            let cause = first_cause(condition, findings, news).await;
            let started = Instant::now();
            let state = match cause {
                Some(cause) => State::Skipped(cause.name()),
                None => match vm.observe(condition).await {
                    Ok(evidence) => State::Holds(evidence),
                    Err(fault) => State::Fails(fault),
                },
            };
            if let (Condition::Egress, Some(cause)) = (condition, cause) {
                sanity::skip_endpoints(vm, cause);
            }
            let elapsed = started.elapsed();
            let finding = Finding { check: None, condition, state, steps: None, elapsed };
            findings.borrow_mut().push(finding);
            news.notify_waiters();
        }));
    }
    join_all(tests).await;
    let mut findings = findings.into_inner();
    findings.sort_by_key(|finding| finding.condition);
    vm.learnt.probes.borrow_mut().sort_by_key(|probe| sanity::rank(probe.test));
    findings
}

/// Waits until what a condition needs is known; the first of it that does not hold.
async fn first_cause(
    condition: Condition,
    findings: &RefCell<Vec<Finding>>,
    news: &Notify,
) -> Option<Condition> {
    for needed in condition.needs() {
        loop {
            let changed = news.notified();
            let known =
                findings.borrow().iter().find(|finding| finding.condition == *needed).map(Finding::holds);
            match known {
                Some(true) => break,
                Some(false) => return Some(*needed),
                None => changed.await,
            }
        }
    }
    None
}

/// Everything that was measured; secrets are masked by whoever prints it.
pub fn to_json(vm: &Vm, findings: &[Finding]) -> Value {
    let network: Vec<Value> = vm
        .learnt
        .probes
        .borrow()
        .iter()
        .map(|probe| {
            object! {
                "test": probe.test, "target": probe.target, "verdict": probe.verdict.name(),
                "detail": probe.detail, "elapsed_ms": millis(probe.elapsed),
            }
        })
        .collect();
    let azure = &vm.settings.azure;
    object! {
        "version": 1,
        "agent": env!("CARGO_PKG_VERSION"),
        "exit_code": exit_code(findings),
        "worst": worst(findings).map(Fault::code),
        "conditions": findings.iter().map(|finding| finding.to_json(vm)).collect::<Vec<_>>(),
        "network": network,
        "unseen": *vm.learnt.unseen.borrow(),
        "vm": object! {
            "resource_name": vm.resource_name().map(|name| name.to_string()),
            "subscription_id": azure.subscription_id.as_str(), "resource_group": azure.resource_group.as_str(),
            "location": azure.location.as_str(), "tenant_id": vm.tenant(),
            "identity": vm.settings.identity.to_string(), "claims": *vm.learnt.claims.borrow(),
            "proxy": vm.settings.proxy.url.as_ref().map(|url| url.without_credentials()),
        },
    }
}

fn to_text(vm: &Vm, style: Style, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&finding.to_text(vm, style));
    }
    text.push_str("\nNetwork, as the agents reach it:\n");
    let probes = vm.learnt.probes.borrow();
    for (index, probe) in probes.iter().enumerate() {
        if index.checked_sub(1).and_then(|last| probes.get(last)).is_none_or(|last| last.test != probe.test) {
            text.push_str(&format!(" {}\n", probe.test));
        }
        text.push_str(&terminal::probe(&style, probe));
    }
    for unseen in vm.learnt.unseen.borrow().iter() {
        text.push_str(&terminal::paragraph("\nNot seen: ", unseen));
    }
    text.push_str(&finding::verdict(findings, style, "NOT ENROLLED", "Every condition holds."));
    text
}
