//! `token`: prints an access token, for scripts; it replaces the guide's recipes with `az rest` and curl.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{context_to_observe, Environment};
use crate::cli::{Invocation, Output};
use crate::clients::imds::Token;
use crate::conditions::identity;
use crate::context::{Context, Facts};
use crate::engine::RetryBudget;
use crate::formats::json::object;
use crate::host::output;
use crate::model::fault::{Fault, Resolution};
use crate::output::terminal;
use crate::settings::Identity;

/// Longest retry window: a little more than the longest documented update of IMDS, 70 s.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

pub(super) async fn run(
    invocation: &Invocation,
    environment: Environment<'_>,
    resource: Option<&str>,
    identity: Option<&Identity>,
) -> u8 {
    let mut context = match context_to_observe(invocation, environment) {
        Ok((context, _)) => context,
        Err(code) => return code,
    };
    if let Some(resource) = resource {
        context.settings.imds.resource = resource.to_owned();
    }
    if let Some(identity) = identity {
        context.settings.identity = identity.clone();
    }
    let token = match acquire(&context, resource.is_none()).await {
        Ok(token) => token,
        Err(fault) => {
            let fault_text = context.host.mask.apply(&fault.to_string());
            output::write_stderr(&format!("arc-enroll: {fault_text}\n"));
            output::write_stderr(&format!("More: arc-enroll explain {}\n", fault.code()));
            return fault.kind.exit_code();
        }
    };
    let expires = token.expires.map(|at| humantime::format_rfc3339_seconds(at).to_string());
    let text = if invocation.output == Some(Output::Json) {
        object! { "access_token": token.secret.reveal(), "expires_on": expires, "claims": token.claims }
            .to_string()
    } else {
        token.secret.reveal().to_owned()
    };
    output::print(&format!("{text}\n"));
    0
}

/// Requests a token and retries while waiting can help. Reports the first retry on standard error.
async fn acquire(context: &Context, for_arm: bool) -> Result<Rc<Token>, Fault> {
    let limit = LONGEST_WAIT.min(context.settings.wait.token);
    let mut budget = RetryBudget::new(Instant::now() + limit);
    let mut facts = Facts::default();
    loop {
        let mut known = facts.identity.clone();
        let fault = match identity::acquire(context, &facts, &mut known, for_arm).await {
            Ok(token) => return Ok(token),
            Err(fault) => fault,
        };
        facts.identity = known;
        let repeat = budget.count(&fault);
        let delay = budget.delay(&fault, limit).filter(|_| fault.kind.resolution == Resolution::Retry);
        let Some(delay) = delay else { return Err(fault) };
        if repeat == 1 {
            let left = terminal::duration(budget.left(&fault, limit));
            let text = format!("arc-enroll: {fault}; retrying for at most {left}\n");
            output::write_stderr(&context.host.mask.apply(&text));
        }
        tokio::time::sleep(delay).await;
    }
}
