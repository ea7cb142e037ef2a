//! `/etc/profile.d/zz-arc-enroll-proxy.sh`, sourced by login shells. arc-enroll owns the file.

use super::environment;
use super::format::{Format, RenderInput, UnwritableValue};
use super::variables::{variables, DesiredProxy, NO_PROXY_NAMES};
use crate::formats::shell::single_quoted;

pub(super) static FORMAT: Format = Format { parse: assignments, no_proxy_names: &NO_PROXY_NAMES, render };

const HEADER: &str = "\
# Written by arc-enroll; changes here are overwritten.
# The proxy of the cloud services network, for login shells.
";

/// The new content of the file.
fn render(input: &RenderInput<'_>) -> Result<Option<String>, UnwritableValue> {
    let no_proxy = input.no_proxy(&[]);
    let mut text = HEADER.to_owned();
    for (name, value) in variables(input.desired, &[&no_proxy]) {
        input.check(name, value.reveal(), &[])?;
        text.push_str(&export(name, value.reveal()));
    }
    Ok(Some(text))
}

/// The assignments of a shell script, without expansion; an unexpanded value is not a plain entry of NO_PROXY and is
/// ignored there.
fn assignments(text: &str) -> Vec<(String, String)> {
    let statements = text.lines().flat_map(|line| line.split(';'));
    statements.flat_map(environment::assignments).collect()
}

/// The variables as export statements for `eval "$(arc-enroll env)"`, including credentials.
pub fn exports(desired: &DesiredProxy, existing: &[&str]) -> String {
    let lines = variables(desired, existing);
    lines.iter().map(|(name, value)| export(name, value.reveal())).collect()
}

/// A statement that sets and exports a variable in any POSIX shell, with the value quoted.
fn export(name: &str, value: &str) -> String {
    format!("export {name}={}\n", single_quoted(value))
}
