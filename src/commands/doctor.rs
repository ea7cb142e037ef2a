//! `doctor`: observes every condition, the independent ones at the same time, and changes nothing.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::shutdown::run_until_shutdown;
use super::{context_to_observe, Environment};
use crate::cli::{Invocation, Output};
use crate::conditions::network_tests;
use crate::context::Context;
use crate::engine::{self, Examination};
use crate::formats::json::{list, object};
use crate::host::output;
use crate::host::tasks::Task;
use crate::model::check::{exit_code, worst, CheckState};
use crate::model::condition::Condition;
use crate::model::fault::Fault;
use crate::output::table::{self, probe_to_json};
use crate::output::terminal::{self, Style};

/// Time limit of all probes; a child process that does not end then is killed 5 s later.
pub const LIMIT: Duration = Duration::from_secs(14);

pub(super) async fn run(invocation: &Invocation, environment: Environment<'_>) -> u8 {
    let (mut context, unread) = match context_to_observe(invocation, environment) {
        Ok(found) => found,
        Err(code) => return code,
    };
    limit(&mut context);
    let as_json = invocation.output == Some(Output::Json);
    let is_watched = !as_json && std::io::stdout().is_terminal();
    let status = is_watched.then(|| format!("  checking, at most {} s …", LIMIT.as_secs()));
    let examination = match run_until_shutdown(&context.host, status, examine(&context, unread)).await {
        Ok(examination) => examination,
        Err(code) => return code,
    };
    let text = if as_json {
        format!("{}\n", to_json(&context, &examination))
    } else {
        to_text(if is_watched { Style::Colour } else { Style::Plain }, &examination)
    };
    output::print(&context.host.mask.apply(&text));
    exit_code(&examination.results)
}

/// Sets the deadline of an examination.
pub fn limit(context: &mut Context) {
    context.deadline = Instant::now() + LIMIT;
    context.host.commands.set_deadline(context.deadline);
}

/// Observes every condition and runs every probe concurrently; `unread` lists what could not be read before.
pub fn examine(context: &Context, unread: Vec<String>) -> Task<'_, Examination> {
    Box::pin(examine_all(context, unread))
}

async fn examine_all(context: &Context, unread: Vec<String>) -> Examination {
    let (mut examination, tests) =
        tokio::join!(engine::examine(context, Condition::ALL), network_tests::run(context));
    examination.probes.extend(tests);
    for result in &examination.results {
        if let (Condition::Egress, CheckState::Skipped(cause)) = (result.condition, &result.state) {
            examination.probes.extend(network_tests::skipped_endpoints(context, cause));
        }
    }
    examination.probes.sort_by_key(|probe| network_tests::rank(probe.test));
    examination.not_checked.splice(0..0, unread);
    examination
}

/// The examination as JSON; the caller redacts secrets.
pub fn to_json(context: &Context, examination: &Examination) -> Value {
    let azure = &context.settings.azure;
    let claims = &examination.facts.identity.claims;
    let results = &examination.results;
    object! {
        "version": 1,
        "agent": env!("CARGO_PKG_VERSION"),
        "exit_code": exit_code(results),
        "worst": worst(results).map(Fault::code),
        "conditions": list(&mut results.iter().map(table::to_json)),
        "network": list(&mut examination.probes.iter().map(probe_to_json)),
        "unseen": examination.not_checked,
        "vm": object! {
            "resource_name": context.resource_name(claims).map(|name| name.to_string()),
            "subscription_id": azure.subscription_id.as_str(), "resource_group": azure.resource_group.as_str(),
            "location": azure.location.as_str(), "tenant_id": context.tenant(claims),
            "identity": context.settings.identity.to_string(), "claims": claims,
            "proxy": context.settings.proxy.url.as_ref().map(|url| url.without_credentials()),
        },
    }
}

fn to_text(style: Style, examination: &Examination) -> String {
    let mut text = String::new();
    for result in &examination.results {
        text.push_str(&table::to_text(result, style));
    }
    text.push_str("\nNetwork, as the agents reach it:\n");
    let mut test = "";
    for probe in &examination.probes {
        if probe.test != test {
            test = probe.test;
            text.push_str(&format!(" {test}\n"));
        }
        text.push_str(&terminal::probe(&style, probe));
    }
    for unseen in &examination.not_checked {
        text.push_str(&terminal::paragraph("\nNot checked: ", unseen));
    }
    let verdict = table::verdict(&examination.results, style, "NOT ENROLLED", "Every condition holds.");
    text + &verdict
}
