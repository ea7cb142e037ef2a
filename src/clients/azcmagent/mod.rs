//! The Connected Machine agent: its commands, and what their output means.
//!
//! Its numbers have moved over the years, so outcomes are judged by code and text together, and words that
//! are not known are passed on as they are.

pub mod connect;
pub mod show;
mod tags;

use std::time::Duration;

use crate::host::commands::{CommandError, CommandResult, Commands, Finished, Program};
use show::Show;

/// The program.
pub const PROGRAM: &str = "azcmagent";

/// The service without which nothing works; the others depend on version and mode.
pub const MAIN_SERVICE: &str = "himdsd.service";

/// All services of the package (agent overview page).
pub const SERVICES: [&str; 4] = ["himdsd.service", "arcproxyd.service", "gcad.service", "extd.service"];

/// With this variable set to `true` azcmagent does not refuse Azure VMs; documented for tests only.
pub const AZURE_VM_OVERRIDE: &str = "MSFT_ARC_TEST";

/// Time limit of the short commands.
const SHORT: Duration = Duration::from_secs(60);

/// The installed version, if the program runs: the first `digits.digits…` of what it says.
///
/// # Errors
/// When it cannot be run.
pub async fn version(commands: &Commands) -> Result<Option<String>, Box<CommandError>> {
    let finished = commands.run(Program::new(PROGRAM, &["version"], SHORT)).await?;
    Ok(read_version(&finished.transcript))
}

/// What `azcmagent show` says; `None` when it printed nothing that can be read, as himds does while it starts.
///
/// # Errors
/// When it cannot be run; the output of a run that says nothing readable is in the `Ok` pair.
pub async fn show(commands: &Commands) -> Result<(Option<Show>, Box<Finished>), Box<CommandError>> {
    let finished = commands.run(Program::new(PROGRAM, &["show", "-j"], SHORT)).await?;
    let show = Show::read(&finished.stdout).or_else(|| Show::read(&finished.transcript));
    Ok((show, finished))
}

/// The value of `proxy.url`; an empty text when it is not set.
///
/// # Errors
/// When it cannot be run.
pub async fn proxy_url(commands: &Commands) -> Result<Option<String>, Box<CommandError>> {
    let finished = commands.run(Program::new(PROGRAM, &["config", "get", "proxy.url"], SHORT)).await?;
    if finished.succeeded() {
        return Ok(Some(read_url(&finished.stdout, "proxy.url")));
    }
    let listed = commands.run(Program::new(PROGRAM, &["config", "list"], SHORT)).await?;
    Ok(listed.succeeded().then(|| read_url(&listed.stdout, "proxy.url")))
}

/// Which endpoints azcmagent reaches by its own test; empty when what it prints cannot be read.
///
/// # Errors
/// When it cannot be run.
pub async fn check(
    commands: &Commands,
    location: &str,
    cloud: &str,
    limit: Duration,
) -> Result<Vec<(String, bool)>, Box<CommandError>> {
    let args = ["check", "--location", location, "--cloud", cloud, "-j"];
    let finished = commands.run(Program::new(PROGRAM, &args, limit)).await?;
    Ok(read_check(&finished.stdout))
}

/// `check -j`: an object keyed by endpoint, whose member `reachable` is a truth value or its name.
fn read_check(output: &str) -> Vec<(String, bool)> {
    let object = output.find('{').and_then(|at| output.get(at..)).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(object).into_iter::<serde_json::Value>();
    let Some(Ok(serde_json::Value::Object(endpoints))) = values.next() else { return Vec::new() };
    let reached = |value: &serde_json::Value| match value.get("reachable")? {
        serde_json::Value::Bool(reached) => Some(*reached),
        serde_json::Value::String(text) => Some(text.eq_ignore_ascii_case("true")),
        _ => None,
    };
    endpoints.into_iter().filter_map(|(name, value)| Some((name, reached(&value)?))).collect()
}

/// Sets a property, or clears it.
///
/// # Errors
/// When it cannot be run.
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

fn read_version(text: &str) -> Option<String> {
    let is_version = |word: &&str| {
        let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        word.split('.').count() >= 2 && word.split('.').all(digits)
    };
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '{' | '}'))
        .find(is_version)
        .map(str::to_owned)
}

/// The URL in the output of `config get`, or behind the property's name in that of `config list`: the bare value,
/// `name : value`, or whatever a later version puts around it.
fn read_url(text: &str, property: &str) -> String {
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
    fn versions_are_found_in_all_forms() {
        assert_eq!(read_version("azcmagent version  1.7.21162.003\n").as_deref(), Some("1.7.21162.003"));
        assert_eq!(read_version("{\"version\": \"1.58.03228.700\"}").as_deref(), Some("1.58.03228.700"));
        assert_eq!(read_version("version unknown"), None);
    }

    #[test]
    fn the_check_is_read_in_both_forms() {
        let output = "INFO    Testing\n{\"https://a\":{\"reachable\":true},\"https://b\":{\"reachable\":\"False\"},\"c\":1}";
        assert_eq!(read_check(output), [("https://a".to_owned(), true), ("https://b".to_owned(), false)]);
        for output in ["", "{", "[]", "Endpoint  Reachable\nx  true\n"] {
            assert!(read_check(output).is_empty(), "{output}");
        }
    }

    #[test]
    fn the_proxy_is_found_in_get_and_list() {
        let list = "Local Configuration Settings\n  connection.type (preview)   : default\n  \
                    proxy.url      : http://169.254.0.11:3128\n  proxy.bypass   : []\n";
        for text in [
            list,
            "http://169.254.0.11:3128\n",
            "{\"proxy.url\":\"http://169.254.0.11:3128\"}",
            "proxy.url=http://169.254.0.11:3128",
        ] {
            assert_eq!(read_url(text, "proxy.url"), "http://169.254.0.11:3128", "{text}");
        }
        let other = "proxy.url   : \nhelp.url : https://aka.ms/x\n";
        for text in [other, "\n", "", "not set"] {
            assert_eq!(read_url(text, "proxy.url"), "", "{text}");
        }
    }
}
