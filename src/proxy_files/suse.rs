//! SUSE's `/etc/sysconfig/proxy`, read by libzypp (`proxyinfosysconfig.cc`) and by SUSE's login scripts.
//!
//! The file is ignored unless PROXY_ENABLED is "yes". libzypp passes the URL to curl, from which we infer that it
//! accepts credentials in the URL.

use super::format::{Format, RenderInput, UnwritableValue};
use super::lines::{self, Dialect, LineAssignment, Setting};

/// The format of the file; of the two names of NO_PROXY only the upper-case one is read.
pub(super) static FORMAT: Format = Format { parse: assignments, no_proxy_names: &["NO_PROXY"], render };

const DIALECT: Dialect = Dialect { assignment, section: None, continues: false };

/// The new content of the file.
fn render(input: &RenderInput<'_>) -> Result<Option<String>, UnwritableValue> {
    let mut settings = Vec::new();
    if let Some(url) = input.desired.url() {
        settings.push(setting(input, "PROXY_ENABLED", "yes".to_owned(), false)?);
        settings.push(setting(input, "HTTP_PROXY", url.to_owned(), true)?);
        settings.push(setting(input, "HTTPS_PROXY", url.to_owned(), true)?);
    }
    let own = FORMAT.no_proxy_values(input.text());
    settings.push(setting(input, "NO_PROXY", input.no_proxy(&own), false)?);
    Ok(Some(lines::apply(input.text(), &DIALECT, &settings)))
}

/// Every name and value, in file order.
fn assignments(text: &str) -> Vec<(String, String)> {
    text.lines().filter_map(assignment).map(|found| (found.name, found.value)).collect()
}

fn assignment(line: &str) -> Option<LineAssignment> {
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
    Some(LineAssignment {
        prefix: String::new(),
        name: name.to_owned(),
        value: inner.unwrap_or(value).to_owned(),
    })
}

fn setting(
    input: &RenderInput<'_>,
    name: &'static str,
    value: String,
    keep_old: bool,
) -> Result<Setting, UnwritableValue> {
    input.check(name, &value, &[('\'', "an apostrophe"), ('"', "a quotation mark")])?;
    // Shells read this file too and expand these characters between double quotes.
    let quote = if value.contains(['$', '`', '\\']) { '\'' } else { '"' };
    let line = format!("{name}={quote}{value}{quote}");
    Ok(Setting { name, desired: Some((value, line)), keep_old })
}
