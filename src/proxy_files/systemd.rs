//! A drop-in of systemd's manager configuration that sets the variables for every service. arc-enroll owns the file.
//!
//! systemd-system.conf(5): `DefaultEnvironment=` takes quoted words and C escapes, and since version 249 `%`
//! begins a specifier. Older versions take `%%` literally, which only matters for a proxy URL with
//! percent-encoded credentials.

use super::format::{Format, RenderInput, UnwritableValue};
use super::variables::{variables, NO_PROXY_NAMES};

pub(super) static FORMAT: Format = Format { parse: assignments, no_proxy_names: &NO_PROXY_NAMES, render };

const HEADER: &str = "\
# Written by arc-enroll; changes here are overwritten.
# The proxy of the cloud services network, for every service. Read by `systemctl daemon-reexec`.
[Manager]
";

/// The new content of the file.
fn render(input: &RenderInput<'_>) -> Result<Option<String>, UnwritableValue> {
    let no_proxy = input.no_proxy(&[]);
    let mut text = HEADER.to_owned();
    for (name, value) in variables(input.desired, &[&no_proxy]) {
        input.check(name, value.reveal(), &[])?;
        let value = value.reveal().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
        text.push_str(&format!("DefaultEnvironment=\"{name}={value}\"\n"));
    }
    Ok(Some(text))
}

/// The variables that a configuration file sets, in file order.
fn assignments(text: &str) -> Vec<(String, String)> {
    let values = text.lines().filter_map(|line| line.trim().strip_prefix("DefaultEnvironment"));
    let values = values.filter_map(|rest| rest.trim_start().strip_prefix('='));
    values
        .flat_map(split_words)
        .filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.replace("%%", "%")))
        })
        .collect()
}

/// Splits at blanks outside of quotes, and removes quotes and backslashes.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().extend(characters.next()),
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_and_variables_are_parsed() {
        let text = "[Manager]\n#DefaultEnvironment=X=1\nDefaultEnvironment=A=1 \"B=2 3\" 'C=\"'\n DefaultEnvironment = D=a\\ b E=%%\n";
        let expected = [("A", "1"), ("B", "2 3"), ("C", "\""), ("D", "a b"), ("E", "%")];
        let found = assignments(text);
        let found: Vec<(&str, &str)> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    }
}
