//! Condition 8: a token was issued to the identity asked for.

use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::{imds::unreachable, Evidence, Vm};
use crate::fault::{self, Entry, Fault};
use crate::host::link_local::{self, Reply};
use crate::imds::{self, Refusal, Token};
use crate::retry;
use crate::settings::Cloud;

/// A token that is about to expire would do so while connect runs.
const MARGIN: Duration = Duration::from_secs(120);

/// How often a token that looks expired is thrown away before it is used all the same.
const FRESH_TRIES: u32 = 2;

pub(super) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let held = vm.learnt.token.borrow().clone();
    if let Some(token) = held.filter(|token| !token.expires_within(MARGIN, SystemTime::now())) {
        return Ok(describe(&token));
    }
    acquire_checked(vm, true).await?;
    Ok(vm.learnt.token.borrow().as_ref().map(describe).unwrap_or_default())
}

/// A token that is not expired, as far as can be seen; `for_arm` also checks its audience and tenant.
pub(super) async fn acquire_checked(vm: &Vm, for_arm: bool) -> Result<(), Fault> {
    let mut token = acquire(vm).await?;
    for _ in 0..FRESH_TRIES {
        if !token.expires_within(Duration::ZERO, SystemTime::now()) {
            break;
        }
        warn!(event = "token.expired", "the token that was issued looks expired; asking for another one");
        token = acquire(vm).await?;
    }
    if token.expires_within(Duration::ZERO, SystemTime::now()) {
        // Azure judges by its own clock: a token that looks expired here is still the best there is.
        warn!(event = "token.expired", "the token still looks expired; using it, since Azure decides");
    }
    if for_arm {
        check(vm, &token)?;
    }
    *vm.learnt.token.borrow_mut() = Some(token);
    Ok(())
}

/// One request, as a token or as a fault.
async fn acquire(vm: &Vm) -> Result<Token, Fault> {
    let settings = &vm.settings;
    let attempt = vm.learnt.token_attempts.get() + 1;
    vm.learnt.token_attempts.set(attempt);
    info!(event = "token.attempt", attempt, "asking the sidecar for a token, attempt {attempt}");
    let limit = vm.within(link_local::EXCHANGE);
    let (imds, identity) = (&settings.imds, &settings.identity);
    let reply = imds::request_token(&imds.endpoint, &imds.resource, identity, limit).await;
    let reply = reply.map_err(unreachable)?;
    let token = imds::read_token(&reply, SystemTime::now()).map_err(|refusal| refused(&refusal, &reply))?;
    vm.host.mask.learn(&token.secret);
    *vm.learnt.claims.borrow_mut() = token.claims.clone();
    let expires =
        token.expires.map(|at| humantime::format_rfc3339_seconds(at).to_string()).unwrap_or_default();
    let claims = &token.claims;
    info!(
        event = "token.acquired",
        attempt,
        expires = %expires,
        tid = claims.tid.as_deref().unwrap_or_default(),
        oid = claims.oid.as_deref().unwrap_or_default(),
        "token acquired"
    );
    Ok(token)
}

fn refused(refusal: &Refusal, reply: &Reply) -> Fault {
    let entry: &'static Entry = match refusal {
        Refusal::Proxied => &fault::IMDS_PROXIED,
        Refusal::IdentityNotFound => &fault::IDENTITY_NONE,
        Refusal::SeveralIdentities => &fault::IDENTITY_AMBIGUOUS,
        Refusal::InvalidResource => &fault::IDENTITY_RESOURCE,
        Refusal::InvalidRequest => &fault::IDENTITY_REQUEST,
        Refusal::UnknownSource => &fault::IMDS_UNKNOWN_SOURCE,
        Refusal::NotReady => &fault::IDENTITY_NOT_READY,
        Refusal::Updating => &fault::IDENTITY_UPDATING,
        Refusal::Throttled => &fault::IDENTITY_THROTTLED,
        Refusal::ServerError => &fault::IDENTITY_SERVICE,
        Refusal::Refused => &fault::IDENTITY_REFUSED,
        Refusal::Unreadable => &fault::IDENTITY_UNREADABLE,
    };
    let sign = imds::signs_of_a_proxy(reply).map(|sign| format!("; {sign}")).unwrap_or_default();
    let wish = reply.header("retry-after").and_then(|value| retry::retry_after(value, SystemTime::now()));
    // The body of a success that cannot be read may hold half a token.
    let words =
        if *refusal == Refusal::Unreadable { format!("HTTP {}", reply.status) } else { imds::words(reply) };
    entry.seen(format!("{words}{sign}")).asked_to_wait(wish)
}

/// What the claims, where they can be read, say against using the token.
fn check(vm: &Vm, token: &Token) -> Result<(), Fault> {
    let claims = &token.claims;
    let wanted = vm.settings.azure.tenant_id.as_ref();
    if let (Some(wanted), Some(tid)) = (wanted, &claims.tid) {
        if !wanted.matches(tid) {
            let evidence = format!("the token's tenant is {tid}, azure.tenant_id is {wanted}");
            return Err(fault::IDENTITY_TENANT.seen(evidence));
        }
    }
    let is_arm =
        |audience: &String| arm_audiences(vm.settings.azure.cloud).contains(&audience.trim_end_matches('/'));
    if !claims.aud.is_empty() && !claims.aud.iter().any(is_arm) {
        return Err(fault::IDENTITY_AUDIENCE.seen(format!("the token is for {}", claims.aud.join(", "))));
    }
    Ok(())
}

/// The audiences that ARM accepts, without the slash at the end; the application id stands for either.
fn arm_audiences(cloud: Cloud) -> [&'static str; 3] {
    let id = "797f4846-ba00-4fd7-ba43-dac1f8f63013";
    match cloud {
        Cloud::Public => ["https://management.azure.com", "https://management.core.windows.net", id],
        Cloud::UsGovernment => {
            ["https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net", id]
        }
        Cloud::China => {
            ["https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn", id]
        }
    }
}

fn describe(token: &Token) -> String {
    let mut text = match &token.claims.oid {
        Some(oid) => format!("a token for {oid}"),
        None => "a token (its text tells nothing, which is fine)".to_owned(),
    };
    if let Some(left) = token.expires.and_then(|at| at.duration_since(SystemTime::now()).ok()) {
        text.push_str(&format!(", good for {} min", left.as_secs() / 60));
    }
    text
}
