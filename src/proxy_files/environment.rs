//! `/etc/environment`, as pam_env parses it (pam_env(8) and its `_parse_env_file`).
//!
//! NAME=VALUE lines: leading blanks and `export ` are skipped, a `#` ends the line at any position, one
//! pair of quotes around the value is removed, nothing is expanded. A carriage return is part of the
//! value, so rendered lines end in a newline only.

use super::format::{Format, RenderInput, UnwritableValue};
use super::lines::{self, Dialect, LineAssignment, Setting};
use super::variables::{NO_PROXY_NAMES, PROXY_NAMES};
use crate::model::pairs::Pairs;

pub(super) static FORMAT: Format = Format { parse: assignments, no_proxy_names: &NO_PROXY_NAMES, render };

const DIALECT: Dialect = Dialect { assignment, section: None, continues: false };

/// The new content of the file.
fn render(input: &RenderInput<'_>) -> Result<Option<String>, UnwritableValue> {
    let mut settings = Vec::new();
    if let Some(url) = input.desired.url() {
        for name in PROXY_NAMES {
            settings.push(setting(input, name, url.to_owned(), true)?);
        }
    }
    let no_proxy = input.no_proxy(&FORMAT.no_proxy_values(input.text()));
    for name in NO_PROXY_NAMES {
        settings.push(setting(input, name, no_proxy.clone(), false)?);
    }
    Ok(Some(lines::apply(input.text(), &DIALECT, &settings)))
}

/// The variables that a login gets from this file: the last value of each name. Values may hold credentials.
pub fn effective(text: &str) -> Pairs {
    assignments(text).into_iter().collect()
}

/// Every name and value, in file order.
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    text.split('\n').filter_map(assignment).map(|found| (found.name, found.value)).collect()
}

fn assignment(line: &str) -> Option<LineAssignment> {
    let line = line.trim_start_matches([' ', '\t']);
    let (prefix, rest) = match line.strip_prefix("export ") {
        Some(rest) => ("export ", rest),
        None => ("", line),
    };
    let rest = rest.split('#').next()?;
    let (name, value) = rest.split_once('=')?;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    Some(LineAssignment {
        prefix: prefix.to_owned(),
        name: name.to_owned(),
        value: unquote(value).to_owned(),
    })
}

fn unquote(value: &str) -> &str {
    match value.strip_prefix(['"', '\'']) {
        Some(inner) => inner.strip_suffix(['"', '\'']).unwrap_or(inner),
        None => value,
    }
}

fn setting(
    input: &RenderInput<'_>,
    name: &'static str,
    value: String,
    keep_old: bool,
) -> Result<Setting, UnwritableValue> {
    input.check(name, &value, &[('#', "#"), ('\'', "an apostrophe"), ('"', "a quotation mark")])?;
    // Shells and systemd read this file too and need quotes around a value that is more than one word.
    let plain = value.chars().all(|c| c.is_alphanumeric() || ":/._,@%+=*[]~^-".contains(c));
    let line = if plain { format!("{name}={value}") } else { format!("{name}='{value}'") };
    Ok(Setting { name, desired: Some((value, line)), keep_old })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed_as_by_pam_env() {
        let rows = [
            ("A=b", Some(("A", "b"))),
            ("  export A=b", Some(("A", "b"))),
            ("A=\"b c\"", Some(("A", "b c"))),
            ("A='b'", Some(("A", "b"))),
            ("A=b # c", Some(("A", "b "))),
            ("A=b\r", Some(("A", "b\r"))),
            ("A=", Some(("A", ""))),
            ("# A=b", None),
            ("A = b", None),
            ("just words", None),
            ("=b", None),
        ];
        for (line, expected) in rows {
            let found = assignment(line).map(|found| (found.name, found.value));
            assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())), "{line:?}");
        }
    }

    #[test]
    fn the_last_of_several_values_wins() {
        let map = effective("A=1\nB=2\nexport A=\"3\"\n");
        assert_eq!(map.get("A").map(String::as_str), Some("3"));
        assert_eq!(map.len(), 2);
    }
}
