//! The main configuration of dnf, yum and tdnf, which share the option names.
//!
//! dnf.conf(5), yum.conf(5) and tdnf's configuration: `proxy`, `proxy_username` and `proxy_password` in
//! `[main]`. The URL holds no credentials; they have separate options, which are not percent-encoded.

use super::format::{Format, RenderInput, UnwritableValue};
use super::lines::{self, Dialect, LineAssignment, Setting};
use crate::formats::percent::decode_leniently;
use crate::formats::url::Url;

pub(super) static FORMAT: Format = Format { parse: parse_options, no_proxy_names: &[], render };

const DIALECT: Dialect = Dialect { assignment, section: Some("[main]"), continues: true };

/// The new content of the file.
fn render(input: &RenderInput<'_>) -> Result<Option<String>, UnwritableValue> {
    let Some(url) = input.desired.url() else {
        return Ok(input.existing.map(str::to_owned));
    };
    let parts = ProxyOptions::from_url(url);
    let existing_proxy = parse_main_proxy(input.text());
    // An existing user name and password for this same proxy are kept.
    let keep_credentials = parts.username.is_none() && existing_proxy.as_deref() == Some(parts.bare.as_str());
    let mut settings = vec![setting(input, "proxy", Some(parts.bare))?];
    if !keep_credentials {
        settings.push(setting(input, "proxy_username", parts.username)?);
        settings.push(setting(input, "proxy_password", parts.password)?);
    }
    Ok(Some(lines::apply(input.text(), &DIALECT, &settings)))
}

fn setting(
    input: &RenderInput<'_>,
    name: &'static str,
    value: Option<String>,
) -> Result<Setting, UnwritableValue> {
    if let Some(value) = &value {
        input.check(name, value, &[(' ', "a space")])?;
    }
    let desired = value.map(|value| {
        let line = format!("{name}={value}");
        (value, line)
    });
    Ok(Setting { name, desired, keep_old: true })
}

/// The proxy of `[main]`, as the only option.
fn parse_options(text: &str) -> Vec<(String, String)> {
    parse_main_proxy(text).map(|proxy| ("proxy".to_owned(), proxy)).into_iter().collect()
}

/// The proxy that `[main]` sets; the last one wins.
fn parse_main_proxy(text: &str) -> Option<String> {
    let mut in_main = false;
    let mut proxy = None;
    for line in text.lines() {
        if line.trim().starts_with('[') {
            in_main = line.trim() == "[main]";
        } else if let Some(found) = assignment(line).filter(|found| in_main && found.name == "proxy") {
            proxy = Some(found.value);
        }
    }
    proxy
}

fn assignment(line: &str) -> Option<LineAssignment> {
    if line.starts_with(['#', ';', '[', ' ', '\t']) {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    Some(LineAssignment {
        prefix: String::new(),
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
    })
}

/// The options for a proxy URL.
struct ProxyOptions {
    bare: String,
    username: Option<String>,
    password: Option<String>,
}

impl ProxyOptions {
    fn from_url(url: &str) -> Self {
        let unsplit = || Self { bare: url.to_owned(), username: None, password: None };
        let Some(Url { scheme, credentials, authority, target }) = Url::split(url) else { return unsplit() };
        let Some(credentials) = credentials else { return unsplit() };
        let (username, password) = match credentials.split_once(':') {
            Some((username, password)) => (username, Some(decode_leniently(password))),
            None => (credentials, None),
        };
        Self {
            bare: format!("{scheme}://{authority}{target}"),
            username: Some(decode_leniently(username)),
            password,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_options() {
        let parts = ProxyOptions::from_url("http://us%40er:p%3Aw%2@h:3128");
        assert_eq!(parts.bare, "http://h:3128");
        assert_eq!(parts.username.as_deref(), Some("us@er"));
        assert_eq!(parts.password.as_deref(), Some("p:w%2"));
        assert_eq!(ProxyOptions::from_url("http://h:1").bare, "http://h:1");
    }
}
