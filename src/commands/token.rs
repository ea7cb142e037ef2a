//! `token`: prints an access token, for scripts; in place of the guide's recipes with `az rest` and curl.

use std::time::{Duration, Instant};

use super::{vm_to_look_at, Environment};
use crate::cli::{Invocation, Output};
use crate::conditions::Vm;
use crate::engine::RetryBudget;
use crate::host::output;
use crate::model::condition::Condition;
use crate::model::fault::{Fault, Resolution};
use crate::model::json::object;
use crate::output::terminal;
use crate::settings::Identity;

/// How long a script is kept waiting: a little longer than the longest documented update of IMDS, 70 s.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

pub(super) async fn run(
    invocation: &Invocation,
    environment: Environment<'_>,
    resource: Option<&str>,
    identity: Option<&Identity>,
) -> u8 {
    let mut vm = match vm_to_look_at(invocation, environment) {
        Ok(vm) => vm,
        Err(code) => return code,
    };
    if let Some(resource) = resource {
        vm.settings.imds.resource = resource.to_owned();
    }
    if let Some(identity) = identity {
        vm.settings.identity = identity.clone();
    }
    if let Err(fault) = acquire(&vm, resource.is_none()).await {
        output::write_stderr(&format!("arc-enroll: {}\n", vm.host.mask.apply(&fault.to_string())));
        output::write_stderr(&format!("More: arc-enroll explain {}\n", fault.code()));
        return fault.kind.exit_code();
    }
    let token = vm.learnt.token.borrow();
    let Some(token) = token.as_ref() else { return 10 + Condition::Identity.number() };
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

/// Asks again as long as waiting can help, and says so on standard error, which no script takes for the token.
async fn acquire(vm: &Vm, for_arm: bool) -> Result<(), Fault> {
    let limit = LONGEST_WAIT.min(vm.settings.wait.token);
    let mut budget = RetryBudget::new(Instant::now() + limit);
    loop {
        let fault = match vm.await_token(for_arm).await {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        let repeat = budget.count(&fault);
        let delay = budget.delay(&fault, limit).filter(|_| fault.kind.resolution == Resolution::Retry);
        let Some(delay) = delay else { return Err(fault) };
        if repeat == 1 {
            let left = terminal::span(budget.left(&fault, limit));
            let text = format!("arc-enroll: {fault}; asking again for at most {left}\n");
            output::write_stderr(&vm.host.mask.apply(&text));
        }
        tokio::time::sleep(delay).await;
    }
}
