//! `/etc/profile.d/zz-arc-enroll-proxy.sh`, sourced by login shells; the whole file is ours.

use super::{variables, Context, Error};
use crate::model::shell::single_quoted;

const HEADER: &str = "\
# Written by arc-enroll; changes here are overwritten.
# The proxy of the cloud services network, for login shells.
";

/// The new content of the file.
pub(super) fn content(context: &Context<'_>) -> Result<Option<String>, Error> {
    let no_proxy = context.no_proxy(&[]);
    let mut text = HEADER.to_owned();
    for (name, value) in variables(context.wanted, &[&no_proxy]) {
        context.check(name, value.reveal(), &[])?;
        text.push_str(&export(name, value.reveal()));
    }
    Ok(Some(text))
}

/// A line that sets and exports a variable in any POSIX shell, whatever the value holds.
pub(super) fn export(name: &str, value: &str) -> String {
    format!("export {name}={}\n", single_quoted(value))
}
