//! Client of the Connected Machine agent: its commands and the interpretation of their output.
//!
//! Error codes have changed between versions, so results are classified by code and text, and unknown messages are
//! reported unchanged.

pub mod connect;
pub mod show;
mod tags;

use std::time::Duration;

use crate::host::commands::{CommandError, CommandResult, Commands, Finished, Program};
use crate::host::tasks::Task;
use show::Show;

/// Name of the program.
pub const PROGRAM: &str = "azcmagent";

/// The service that is always required; the others depend on version and mode.
pub const MAIN_SERVICE: &str = "himdsd.service";

/// All services of the package (agent overview page).
pub const SERVICES: [&str; 4] = ["himdsd.service", "arcproxyd.service", "gcad.service", "extd.service"];

/// Variable that, set to `true`, lets azcmagent run on Azure VMs; documented for tests only.
pub const AZURE_VM_OVERRIDE: &str = "MSFT_ARC_TEST";

/// Time limit of short commands.
const SHORT: Duration = Duration::from_secs(60);

/// The installed version: the first `digits.digits…` in the output; `None` where there is none.
///
/// # Errors
/// azcmagent cannot be run.
pub async fn version(commands: &Commands) -> Result<Option<String>, Box<CommandError>> {
    let finished = commands.run(Program::new(PROGRAM, &["version"], SHORT)).await?;
    Ok(parse_version(&finished.transcript))
}

/// What `azcmagent show` says, if it can be parsed, and the run itself.
pub type Shown = (Option<Show>, Box<Finished>);

/// Runs `azcmagent show`; `None` where its output cannot be parsed, as while himds starts.
///
/// # Errors
/// azcmagent cannot be run; unparsable output is in the `Ok` pair.
pub fn show(commands: &Commands) -> Task<'_, Result<Shown, Box<CommandError>>> {
    Box::pin(async move {
        let finished = commands.run(Program::new(PROGRAM, &["show", "-j"], SHORT)).await?;
        let show = Show::parse(&finished.stdout).or_else(|| Show::parse(&finished.transcript));
        Ok((show, finished))
    })
}

/// The value of `proxy.url`; empty where it is not set, `None` where it cannot be read.
///
/// # Errors
/// azcmagent cannot be run.
pub async fn proxy_url(commands: &Commands) -> Result<Option<String>, Box<CommandError>> {
    let finished = commands.run(Program::new(PROGRAM, &["config", "get", "proxy.url"], SHORT)).await?;
    if finished.succeeded() {
        return Ok(Some(parse_url(&finished.stdout, "proxy.url")));
    }
    let listed = commands.run(Program::new(PROGRAM, &["config", "list"], SHORT)).await?;
    Ok(listed.succeeded().then(|| parse_url(&listed.stdout, "proxy.url")))
}

/// Runs azcmagent's own network test: each endpoint and whether it is reachable; empty where the output cannot be parsed.
///
/// # Errors
/// azcmagent cannot be run.
pub async fn check(
    commands: &Commands,
    location: &str,
    cloud: &str,
    limit: Duration,
) -> Result<Vec<(String, bool)>, Box<CommandError>> {
    let args = ["check", "--location", location, "--cloud", cloud, "-j"];
    let finished = commands.run(Program::new(PROGRAM, &args, limit)).await?;
    Ok(parse_check(&finished.stdout))
}

/// Parses `check -j`: an object keyed by endpoint, whose member `reachable` is a boolean or a text.
fn parse_check(output: &str) -> Vec<(String, bool)> {
    let object = output.find('{').and_then(|at| output.get(at..)).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(object).into_iter::<serde_json::Value>();
    let Some(Ok(serde_json::Value::Object(endpoints))) = values.next() else { return Vec::new() };
    let is_reachable = |value: &serde_json::Value| match value.get("reachable")? {
        serde_json::Value::Bool(is_reachable) => Some(*is_reachable),
        serde_json::Value::String(text) => Some(text.eq_ignore_ascii_case("true")),
        _ => None,
    };
    endpoints.into_iter().filter_map(|(name, value)| Some((name, is_reachable(&value)?))).collect()
}

/// Sets a property, or clears it where `value` is `None`.
///
/// # Errors
/// azcmagent cannot be run.
pub async fn configure(
    commands: &Commands,
    property: &str,
    value: Option<&str>,
    limit: Duration,
) -> CommandResult {
    let args = match value {
        Some(value) => vec!["config", "set", property, value],
        None => vec!["config", "clear", property],
    };
    commands.run(Program::new(PROGRAM, &args, limit)).await
}

fn parse_version(text: &str) -> Option<String> {
    let is_version = |word: &&str| {
        let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        word.split('.').count() >= 2 && word.split('.').all(digits)
    };
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '{' | '}'))
        .find(is_version)
        .map(str::to_owned)
}

/// Parses the URL in the output of `config get`, or after the property's name in that of `config list`: the bare value,
/// `name : value`, or with other separators.
fn parse_url(text: &str, property: &str) -> String {
    let is_wrapping = |c: char| matches!(c, '"' | '\'' | ',' | '[' | ']' | '{' | '}' | '=');
    let url_in = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || is_wrapping(c));
        words.find(|word| word.contains("://")).map(|word| word.trim_end_matches(':').to_owned())
    };
    let named = text.lines().find(|line| line.trim_start().starts_with(property));
    named.map_or_else(|| text.lines().rev().find_map(url_in), url_in).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed_in_every_form() {
        assert_eq!(parse_version("azcmagent version  1.7.21162.003\n").as_deref(), Some("1.7.21162.003"));
        assert_eq!(parse_version("{\"version\": \"1.58.03228.700\"}").as_deref(), Some("1.58.03228.700"));
        assert_eq!(parse_version("version unknown"), None);
    }

    #[test]
    fn the_network_test_is_parsed_in_both_forms() {
        let output = "INFO    Testing\n{\"https://a\":{\"reachable\":true},\"https://b\":{\"reachable\":\"False\"},\"c\":1}";
        assert_eq!(parse_check(output), [("https://a".to_owned(), true), ("https://b".to_owned(), false)]);
        for output in ["", "{", "[]", "Endpoint  Reachable\nx  true\n"] {
            assert!(parse_check(output).is_empty(), "{output}");
        }
    }

    #[test]
    fn the_proxy_url_is_parsed_from_get_and_list() {
        let list = "Local Configuration Settings\n  connection.type (preview)   : default\n  \
                    proxy.url      : http://169.254.0.11:3128\n  proxy.bypass   : []\n";
        for text in [
            list,
            "http://169.254.0.11:3128\n",
            "{\"proxy.url\":\"http://169.254.0.11:3128\"}",
            "proxy.url=http://169.254.0.11:3128",
        ] {
            assert_eq!(parse_url(text, "proxy.url"), "http://169.254.0.11:3128", "{text}");
        }
        let other = "proxy.url   : \nhelp.url : https://aka.ms/x\n";
        for text in [other, "\n", "", "not set"] {
            assert_eq!(parse_url(text, "proxy.url"), "", "{text}");
        }
    }
}
