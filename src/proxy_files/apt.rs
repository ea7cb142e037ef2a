//! apt's proxy setting. arc-enroll owns the file.
//!
//! apt.conf(5): the last file that sets an option wins, and an option of apt overrides the environment. So a
//! scheme whose proxy is set in another file is left to that file. Quoted values have no escapes: the text
//! between the quotation marks is the value (tested with apt 2.6).

use super::format::{Format, RenderInput, UnwritableValue};

pub(super) static FORMAT: Format = Format { parse: parse_options, no_proxy_names: &[], render };

const HEADER: &str = "\
// Written by arc-enroll; changes here are overwritten.
// The proxy of the cloud services network. A scheme that another file sets is left to that file.
";

const SCHEMES: [&str; 2] = ["http", "https"];

/// The new content of the file; `None` when there is nothing to set and no existing file.
fn render(input: &RenderInput<'_>) -> Result<Option<String>, UnwritableValue> {
    let others: Vec<(String, String)> = input.others.iter().flat_map(|other| other.assignments()).collect();
    let mut text = HEADER.to_owned();
    let mut any = false;
    if let Some(url) = input.desired.url() {
        input.check("Acquire::http::Proxy", url, &[('"', "a quotation mark")])?;
        for scheme in SCHEMES {
            let name = format!("acquire::{scheme}::proxy");
            if !others.iter().any(|(other, value)| *other == name && !value.is_empty()) {
                text.push_str(&format!("Acquire::{scheme}::Proxy \"{url}\";\n"));
                any = true;
            }
        }
    }
    Ok((any || input.existing.is_some()).then_some(text))
}

#[derive(Debug, PartialEq)]
enum AptToken {
    Word(String),
    Open,
    Close,
    End,
}

/// The options that a file sets, in file order: full names in lower case, and values.
fn parse_options(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut scopes: Vec<String> = Vec::new();
    let mut statement: Vec<String> = Vec::new();
    for token in tokenize(text) {
        match token {
            AptToken::Word(word) => statement.push(word),
            AptToken::Open => {
                let tag = statement.drain(..).next().unwrap_or_default();
                scopes.push(tag);
            }
            AptToken::Close => {
                found.extend(finish_statement(&scopes, &mut statement));
                scopes.pop();
            }
            AptToken::End => found.extend(finish_statement(&scopes, &mut statement)),
        }
    }
    found
}

/// Finishes a statement: its first word is the name of the option, the others are its value.
fn finish_statement(scopes: &[String], statement: &mut Vec<String>) -> Option<(String, String)> {
    let mut words = statement.drain(..);
    let tag = words.next()?;
    let value = words.collect::<Vec<_>>().join(" ");
    let name: Vec<&str> = scopes.iter().map(String::as_str).chain([tag.as_str()]).collect();
    Some((name.join("::").to_ascii_lowercase(), value))
}

fn tokenize(text: &str) -> Vec<AptToken> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            '#' => skip_past(after, "\n"),
            '/' if after.starts_with('/') => skip_past(after, "\n"),
            '/' if after.starts_with('*') => skip_past(after, "*/"),
            '{' | '}' | ';' => {
                tokens.push(match c {
                    '{' => AptToken::Open,
                    '}' => AptToken::Close,
                    _ => AptToken::End,
                });
                after
            }
            '"' => {
                let (value, after) = after.split_once('"').unwrap_or((after, ""));
                tokens.push(AptToken::Word(value.to_owned()));
                after
            }
            c if c.is_whitespace() => after,
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "{};\"".contains(c)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                tokens.push(AptToken::Word(word.to_owned()));
                after
            }
        };
    }
    tokens
}

/// The text after the first `end`.
fn skip_past<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_set_a_proxy_is_recognised() {
        let rows = [
            ("Acquire::http::Proxy \"http://x:1\";", vec![("acquire::http::proxy", "http://x:1")]),
            ("Acquire { http { Proxy \"a\"; }; https::Proxy \"b\"; };", vec![("acquire::http::proxy", "a"), ("acquire::https::proxy", "b")]),
            ("acquire::HTTP\n{\n  proxy \"a\" };", vec![("acquire::http::proxy", "a")]),
            ("// Acquire::http::Proxy \"a\";\n# Acquire::http::Proxy \"b\";\n/* Acquire::http::Proxy\n\"c\"; */", vec![]),
            ("Acquire::http::Proxy::mirror.example \"DIRECT\";", vec![("acquire::http::proxy::mirror.example", "DIRECT")]),
            ("Acquire::http::Proxy \"a;b//c#d{\"; // end", vec![("acquire::http::proxy", "a;b//c#d{")]),
            ("Acquire::https::Proxy bare;", vec![("acquire::https::proxy", "bare")]),
        ];
        for (text, expected) in rows {
            let found = parse_options(text);
            let found: Vec<(&str, &str)> =
                found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
