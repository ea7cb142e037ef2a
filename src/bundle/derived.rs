//! Entries derived from other data: the proxy settings of each file, the errors in the logs, the identity.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Collected, Content, Part};
use crate::clients::imds;
use crate::conditions::proxy_environment::other_files;
use crate::context::{Context, Facts};
use crate::formats::json::object;
use crate::host::commands::contains_any;
use crate::host::files::Files;
use crate::host::link_local::{self, EXCHANGE};
use crate::proxy_files::{NO_PROXY_NAMES, PROXY_FILES, PROXY_NAMES};

/// The sidecar's pages besides the token: its health page, and the page by which azcmagent's install script detects an
/// Azure VM.
pub const PAGES: [&str; 2] = [imds::HEALTH, imds::AZURE_VM];

/// Patterns of error lines in azcmagent's log.
const ERRORS: [&str; 5] = ["level=fatal", "level=error", "AZCM", "FATAL", "ERROR"];

/// Patterns of error lines and of azcmagent's output in our own log.
const OUR_ERRORS: [&str; 3] = [r#""level":"warn""#, r#""level":"error""#, r#""event":"connect.output""#];

/// The environment variables that hold proxy settings.
const VARIABLES: [&[&str]; 3] = [&PROXY_NAMES, &NO_PROXY_NAMES, &["ALL_PROXY", "all_proxy"]];

/// The lines about a proxy in every proxy file, and the proxy variables of this process.
pub fn list_proxy_settings(files: &Files, environment: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut seen: Vec<String> = Vec::new();
    for file in &PROXY_FILES {
        let mut paths = other_files(files, file);
        paths.insert(0, file.path.to_owned());
        for path in paths {
            if seen.contains(&path) {
                continue;
            }
            let readers = if path == file.path { format!(" ({})", file.readers) } else { String::new() };
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

/// Requests one of the sidecar's pages; returns its path and a summary of the response.
pub async fn fetch_page(endpoint: &str, page: &'static str) -> (&'static str, String) {
    let url = format!("{endpoint}{page}");
    let answer = match link_local::get(url, EXCHANGE.min(Duration::from_secs(14))).await {
        Ok(reply) => imds::describe_reply(&reply),
        Err(error) => error.to_string(),
    };
    (page, answer)
}

/// The configured identity, the claims of its token, and the responses of the sidecar's pages.
pub fn identity_part(context: &Context, facts: &Facts, responses: Vec<(&str, String)>) -> Part {
    let responses: Map<String, Value> =
        responses.into_iter().map(|(page, response)| (page.to_owned(), response.into())).collect();
    let identity = object! {
        "configured": context.settings.identity.to_string(), "resource": context.settings.imds.resource,
        "endpoint": context.settings.imds.endpoint, "sidecar": Value::Object(responses),
        "claims_of_the_token": facts.identity.claims,
    };
    let from = "the sidecar's pages, and the claims of a token that was not kept";
    Part::new("identity.json", from, Content::Json(identity))
}

/// Adds the errors of the logs: our own warnings and errors, azcmagent's output, and the errors in azcmagent's log.
pub fn add_errors(collected: &mut Collected) {
    let mut text = String::new();
    for part in &collected.parts {
        let is_azcmagent_log = part.name.starts_with("azcmagent/log/azcmagent");
        let is_own_log = part.name == "cloud-init/cloud-init-output.log" || part.name.starts_with("log/");
        if !is_azcmagent_log && !is_own_log {
            continue;
        }
        let patterns: &[&str] = if is_azcmagent_log { &ERRORS } else { &OUR_ERRORS };
        text.push_str(&format!("== {} (newest last)\n", part.from));
        for line in part.text().unwrap_or_default().lines() {
            if (is_azcmagent_log || line.starts_with('{')) && contains_any(line, patterns) {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    let from = "the warnings and errors of the logs, and what azcmagent connect said";
    collected.prepend(vec![Part::new("errors.txt", from, Content::Text(text, None, false))]);
}
