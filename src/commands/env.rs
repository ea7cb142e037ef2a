//! `env`: the proxy variables as exports for a shell.

use super::{context_to_observe, existing_no_proxy, Environment};
use crate::cli::Invocation;
use crate::host::output;
use crate::proxy_files::{self, DesiredProxy};

pub(super) fn run(invocation: &Invocation, environment: Environment<'_>) -> u8 {
    let context = match context_to_observe(invocation, environment) {
        Ok((context, _)) => context,
        Err(code) => return code,
    };
    let existing = existing_no_proxy(environment, &context.host);
    let existing: Vec<&str> = existing.iter().map(String::as_str).collect();
    output::print(&proxy_files::exports(&DesiredProxy::from(&context.settings.proxy), &existing));
    0
}
