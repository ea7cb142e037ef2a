//! SUSE's `/etc/sysconfig/proxy`, read by libzypp (`proxyinfosysconfig.cc`) and by SUSE's login scripts.
//!
//! Nothing in it counts unless PROXY_ENABLED is "yes". That libzypp takes credentials from the URL is
//! inferred from its handing the URL to curl.

use super::lines::{self, Assignment, Dialect, Setting};
use super::{Context, Error};

const DIALECT: Dialect = Dialect { assignment, section: None, continues: false };

/// The names that hold the exceptions here: only upper case counts.
pub(super) const NO_PROXY_NAMES: [&str; 1] = ["NO_PROXY"];

/// The new content of the file.
pub(super) fn content(context: &Context<'_>) -> Result<Option<String>, Error> {
    let mut settings = Vec::new();
    if let Some(url) = context.wanted.url() {
        settings.push(setting(context, "PROXY_ENABLED", "yes".to_owned(), false)?);
        settings.push(setting(context, "HTTP_PROXY", url.to_owned(), true)?);
        settings.push(setting(context, "HTTPS_PROXY", url.to_owned(), true)?);
    }
    let own: Vec<String> = assignments(context.text())
        .into_iter()
        .filter(|(name, _)| NO_PROXY_NAMES.contains(&name.as_str()))
        .map(|(_, value)| value)
        .collect();
    settings.push(setting(context, "NO_PROXY", context.no_proxy(&own), false)?);
    Ok(Some(lines::apply(context.text(), &DIALECT, &settings)))
}

/// Every name and value, in the file's order.
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    text.lines().filter_map(assignment).map(|found| (found.name, found.value)).collect()
}

fn assignment(line: &str) -> Option<Assignment> {
    let line = line.trim();
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let value = value.trim();
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
    Some(Assignment {
        prefix: String::new(),
        name: name.to_owned(),
        value: inner.unwrap_or(value).to_owned(),
    })
}

fn setting(
    context: &Context<'_>,
    name: &'static str,
    value: String,
    keep_old: bool,
) -> Result<Setting, Error> {
    context.check(name, &value, &[('\'', "an apostrophe"), ('"', "a quotation mark")])?;
    // A shell reads this file too, and would expand these between double quotes.
    let quote = if value.contains(['$', '`', '\\']) { '\'' } else { '"' };
    let line = format!("{name}={quote}{value}{quote}");
    Ok(Setting { name, wanted: Some((value, line)), keep_old })
}
