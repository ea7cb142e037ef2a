//! Entries that are made of other things: the proxy settings place by place, the errors met, the identity.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Collected, Content, Part};
use crate::clients::imds;
use crate::conditions::proxy_environment::other_files;
use crate::context::{Context, Facts};
use crate::formats::json::object;
use crate::host::commands::says_any;
use crate::host::files::Files;
use crate::host::link_local::{self, EXCHANGE};
use crate::proxy_files::{NO_PROXY_NAMES, PROXY_FILES, PROXY_NAMES};

/// The sidecar's pages besides a token: its health, and what azcmagent's install script asks to find out whether
/// this is an Azure VM.
pub const PAGES: [&str; 2] = ["/healthz", "/metadata/instance/compute?api-version=2019-06-01"];

/// Words of the lines in azcmagent's own log that tell an error.
const ERRORS: [&str; 5] = ["level=fatal", "level=error", "AZCM", "FATAL", "ERROR"];

/// Words of the lines in our own log that do, and of those with what azcmagent said.
const OUR_ERRORS: [&str; 3] = [r#""level":"warn""#, r#""level":"error""#, r#""event":"connect.output""#];

/// The variables that some program takes its proxy from.
const VARIABLES: [&[&str]; 3] = [&PROXY_NAMES, &NO_PROXY_NAMES, &["ALL_PROXY", "all_proxy"]];

/// Every file that may hold a proxy setting with its lines about a proxy, then what this process has of them.
pub fn places(files: &Files, environment: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut seen: Vec<String> = Vec::new();
    for place in &PROXY_FILES {
        let mut paths = other_files(files, place);
        paths.insert(0, place.path.to_owned());
        for path in paths {
            if seen.contains(&path) {
                continue;
            }
            let readers = if path == place.path { format!(" ({})", place.readers) } else { String::new() };
            let lines = match files.read(path.as_str()) {
                Ok(content) => lines_about_a_proxy(content.as_deref()),
                Err(error) => format!("({})\n", error.source),
            };
            text.push_str(&format!("== {path}{readers}\n{lines}"));
            seen.push(path);
        }
    }
    let mut set = String::new();
    for name in VARIABLES.iter().copied().flatten() {
        if let Some(value) = environment(name) {
            set.push_str(&format!("{name}={value}\n"));
        }
    }
    let set = if set.is_empty() { "(no proxy variable)\n" } else { &set };
    text + "== environment of this program\n" + set
}

fn lines_about_a_proxy(content: Option<&str>) -> String {
    let Some(content) = content else { return "(it is not there)\n".to_owned() };
    let mut lines = String::new();
    for line in content.lines().filter(|line| line.to_ascii_lowercase().contains("proxy")) {
        lines.push_str(line);
        lines.push('\n');
    }
    if lines.is_empty() {
        lines.push_str("(nothing about a proxy)\n");
    }
    lines
}

/// Asks one of the sidecar's pages; its name, and what it answers.
pub async fn ask(endpoint: &str, page: &'static str) -> (&'static str, String) {
    let url = format!("{endpoint}{page}");
    let answer = match link_local::get(&url, EXCHANGE.min(Duration::from_secs(14))).await {
        Ok(reply) => imds::words(&reply),
        Err(error) => error.to_string(),
    };
    (page, answer)
}

/// What is known of the identity, with the answers of the sidecar's pages.
pub fn identity(context: &Context, facts: &Facts, answers: Vec<(&str, String)>) -> Part {
    let answers: Map<String, Value> =
        answers.into_iter().map(|(page, answer)| (page.to_owned(), answer.into())).collect();
    let identity = object! {
        "configured": context.settings.identity.to_string(), "resource": context.settings.imds.resource,
        "endpoint": context.settings.imds.endpoint, "sidecar": Value::Object(answers),
        "claims_of_the_token": facts.identity.claims,
    };
    let from = "the sidecar's pages, and the claims of a token that was not kept";
    Part::new("identity.json", from, Content::Json(identity))
}

/// Adds the errors of the logs: our own warnings and errors with azcmagent's words, and those of azcmagent's log.
pub fn add_errors(collected: &mut Collected) {
    let mut text = String::new();
    for part in &collected.parts {
        let is_theirs = part.name.starts_with("azcmagent/log/azcmagent");
        let is_ours = part.name == "cloud-init/cloud-init-output.log" || part.name.starts_with("log/");
        if !is_theirs && !is_ours {
            continue;
        }
        let words: &[&str] = if is_theirs { &ERRORS } else { &OUR_ERRORS };
        text.push_str(&format!("== {} (newest last)\n", part.from));
        for line in part.text().unwrap_or_default().lines() {
            if (is_theirs || line.starts_with('{')) && says_any(line, words) {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    let from = "the warnings and errors of the logs, and what azcmagent connect said";
    collected.add(vec![Part::new("errors.txt", from, Content::Text(text, None, false))]);
}
