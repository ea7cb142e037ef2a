//! Condition 8: a token was issued to the identity asked for.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::imds::{ask_health, unreachable};
use super::{clock, Evidence, Vm};
use crate::catalogue;
use crate::clients::imds::{self, Claims, Refusal, Token};
use crate::host::link_local::{self, Reply};
use crate::model::backoff;
use crate::model::fault::{Fault, FaultKind};
use crate::settings::{Cloud, Identity};

/// A token that is about to expire would do so while connect runs.
const MARGIN: Duration = Duration::from_secs(120);

/// How often a token that looks expired is thrown away before it is used all the same.
const FRESH_TRIES: u32 = 2;

pub(crate) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let held = vm.learnt.token.borrow().clone();
    if let Some(token) = held.filter(|token| !token.expires_within(MARGIN, SystemTime::now())) {
        return Ok(describe(vm, &token));
    }
    acquire_checked(vm, true).await?;
    Ok(vm.learnt.token.borrow().as_ref().map(|token| describe(vm, token)).unwrap_or_default())
}

/// A token that is not expired, as far as can be seen; `for_arm` also checks its audience and tenant.
pub(crate) async fn acquire_checked(vm: &Vm, for_arm: bool) -> Result<(), Fault> {
    let mut token = acquire(vm).await?;
    for _ in 0..FRESH_TRIES {
        if !token.expires_within(Duration::ZERO, SystemTime::now()) && untimely(vm, &token.claims).is_none() {
            break;
        }
        warn!(
            event = "token.expired",
            "the token that was issued looks out of its time; asking for another one"
        );
        token = acquire(vm).await?;
    }
    if let Some(fault) = untimely(vm, &token.claims) {
        return Err(fault);
    }
    if token.expires_within(Duration::ZERO, SystemTime::now()) {
        // Azure judges by its own clock: a token that looks expired here is still the best there is.
        warn!(event = "token.expired", "the token still looks expired; using it, since Azure decides");
    }
    if for_arm {
        check(vm, &token)?;
    }
    *vm.learnt.token.borrow_mut() = Some(Rc::new(token));
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
    let token = match imds::read_token(&reply, SystemTime::now()) {
        Ok(token) => token,
        Err(refusal) => return Err(refused(vm, &refusal, &reply).await),
    };
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

/// What the token says of its own times, judged by the sidecar's clock where ours agrees with it.
fn untimely(vm: &Vm, claims: &Claims) -> Option<Fault> {
    let now = clock::sidecars_now(vm)?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    if claims.exp.is_some_and(|exp| exp <= now) {
        let evidence = "it had expired when it came, and so had the fresh ones that were asked for";
        return Some(catalogue::IDENTITY_EXPIRED.with_evidence(evidence));
    }
    let is_early = claims.nbf.is_some_and(|nbf| nbf > now + clock::TOLERANCE.as_secs());
    is_early.then(|| {
        catalogue::IDENTITY_NOT_YET_VALID
            .with_evidence("it begins to be valid later than now, as did the fresh ones")
    })
}

async fn refused(vm: &Vm, refusal: &Refusal, reply: &Reply) -> Fault {
    let is_named = vm.settings.identity != Identity::System;
    let mut more = imds::signs_of_a_proxy(reply).unwrap_or_default();
    let entry: &'static FaultKind = match refusal {
        Refusal::Proxied => &catalogue::IMDS_PROXIED,
        Refusal::Page => {
            "an HTML page".clone_into(&mut more);
            &catalogue::IMDS_NOT_IMDS
        }
        Refusal::IdentityNotFound if is_named => {
            let (entry, found) = ask_without_a_name(vm).await;
            more = format!("asked for: {}; {found}", vm.settings.identity);
            entry
        }
        Refusal::IdentityNotFound => &catalogue::IDENTITY_NONE,
        Refusal::MalformedId if is_named => &catalogue::IDENTITY_ID_MALFORMED,
        Refusal::HeaderMissing => &catalogue::IDENTITY_HEADER,
        Refusal::SeveralIdentities => &catalogue::IDENTITY_AMBIGUOUS,
        Refusal::InvalidResource => &catalogue::IDENTITY_RESOURCE,
        Refusal::InvalidRequest | Refusal::MalformedId => &catalogue::IDENTITY_REQUEST,
        Refusal::UnknownSource => &catalogue::IMDS_UNKNOWN_SOURCE,
        Refusal::NotReady => &catalogue::IDENTITY_NOT_READY,
        Refusal::Updating => &catalogue::IDENTITY_UPDATING,
        Refusal::Throttled => &catalogue::IDENTITY_THROTTLED,
        Refusal::ServerError => {
            // What the page said before may have changed since.
            let _kept = ask_health(vm).await;
            match vm.learnt.health.borrow().as_ref() {
                Some((false, words)) => {
                    more = format!("/healthz: {words}");
                    &catalogue::IDENTITY_SIDECAR
                }
                Some((true, words)) => {
                    more = format!("/healthz says otherwise: {words}");
                    &catalogue::IDENTITY_SERVICE
                }
                None => &catalogue::IDENTITY_SERVICE,
            }
        }
        Refusal::Refused => &catalogue::IDENTITY_REFUSED,
        Refusal::Unreadable => &catalogue::IDENTITY_UNREADABLE,
    };
    let wish = reply.header("retry-after").and_then(|value| backoff::retry_after(value, SystemTime::now()));
    // The body of a success that cannot be read may hold half a token.
    let words =
        if *refusal == Refusal::Unreadable { format!("HTTP {}", reply.status) } else { imds::words(reply) };
    let semicolon = if more.is_empty() { "" } else { "; " };
    entry.with_evidence(format!("{words}{semicolon}{more}")).with_retry_after(wish)
}

/// Which identity the VM has when the one asked for is not there: the fault, and what was found. The token that may
/// come is for explanation only and is not kept.
async fn ask_without_a_name(vm: &Vm) -> (&'static FaultKind, String) {
    let imds = &vm.settings.imds;
    let limit = vm.within(link_local::EXCHANGE);
    let none = &catalogue::IDENTITY_NOT_ASSIGNED;
    let reply = match imds::request_token(&imds.endpoint, &imds.resource, &Identity::System, limit).await {
        Ok(reply) => reply,
        Err(error) => return (none, format!("asked without a name: {error}")),
    };
    match imds::read_token(&reply, SystemTime::now()) {
        Ok(token) => {
            vm.host.mask.learn(&token.secret);
            let claims = &token.claims;
            // The VM's own id is the same for every identity, and fills in its name in the remedy.
            vm.learnt.claims.borrow_mut().xms_az_rid =
                claims.vm_name().and(claims.xms_az_rid.clone().or_else(|| claims.xms_mirid.clone()));
            (none, format!("the VM has {}{}", name_of(claims), mix_up(&vm.settings.identity, claims)))
        }
        Err(Refusal::IdentityNotFound) => {
            (&catalogue::IDENTITY_NONE, "and there is no other on the VM".to_owned())
        }
        Err(Refusal::Unreadable) => (none, "asked without a name, IMDS says nothing readable".to_owned()),
        Err(_) => (none, format!("asked without a name: {}", imds::words(&reply))),
    }
}

/// An identity by what its token says.
fn name_of(claims: &Claims) -> String {
    let kind = if claims.is_user_assigned() { "user-assigned" } else { "system-assigned" };
    let Some(id) = &claims.xms_mirid else { return "another identity".to_owned() };
    let ids = [("client id", &claims.appid), ("object id", &claims.oid)];
    let ids = ids.iter().filter_map(|(name, id)| Some(format!(", {name} {}", id.as_ref()?)));
    format!("{kind} {id}{}", ids.collect::<String>())
}

/// Says so when the configuration has the right identity's id under the wrong key.
fn mix_up(asked: &Identity, claims: &Claims) -> &'static str {
    let is = |id: &Option<String>, wanted: &crate::settings::Guid| {
        id.as_ref().is_some_and(|id| wanted.matches(id))
    };
    match asked {
        Identity::ClientId(id) if is(&claims.oid, id) => ": what is configured as client_id is its object_id",
        Identity::ObjectId(id) if is(&claims.appid, id) => {
            ": what is configured as object_id is its client_id"
        }
        _ => "",
    }
}

/// A missing role is seen from another side where the configuration leaves the choice of the identity to IMDS, and
/// that gave one which nobody may have thought of.
pub(crate) fn blame(vm: &Vm, fault: Fault) -> Fault {
    let claims = vm.learnt.claims.borrow();
    let is_unexpected = vm.settings.identity == Identity::System && claims.is_user_assigned();
    if fault.code() != catalogue::ACCESS_ROLE.code || !is_unexpected {
        return fault;
    }
    catalogue::IDENTITY_SYSTEM_NOT_ENABLED.with_evidence(format!(
        "{}; IMDS gave {}",
        fault.evidence,
        name_of(&claims)
    ))
}

/// What the claims, where they can be read, say against using the token.
fn check(vm: &Vm, token: &Token) -> Result<(), Fault> {
    let claims = &token.claims;
    let wanted = vm.settings.azure.tenant_id.as_ref();
    if let (Some(wanted), Some(tid)) = (wanted, &claims.tid) {
        if !wanted.matches(tid) {
            let evidence = format!("the token's tenant is {tid}, azure.tenant_id is {wanted}");
            return Err(catalogue::IDENTITY_TENANT.with_evidence(evidence));
        }
    }
    let is_arm =
        |audience: &String| arm_audiences(vm.settings.azure.cloud).contains(&audience.trim_end_matches('/'));
    if !claims.aud.is_empty() && !claims.aud.iter().any(is_arm) {
        return Err(
            catalogue::IDENTITY_AUDIENCE.with_evidence(format!("the token is for {}", claims.aud.join(", ")))
        );
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

fn describe(vm: &Vm, token: &Token) -> String {
    let mut text = match &token.claims.oid {
        Some(oid) => format!("a token for {oid}"),
        None => "a token (its text tells nothing, which is fine)".to_owned(),
    };
    if let Some(left) = token.expires.and_then(|at| at.duration_since(SystemTime::now()).ok()) {
        text.push_str(&format!(", good for {} min", left.as_secs() / 60));
    }
    if vm.settings.identity == Identity::System && token.claims.is_user_assigned() {
        text.push_str(&format!("; no identity is named, and IMDS gave {}", name_of(&token.claims)));
    }
    if let Some((false, words)) = vm.learnt.health.borrow().as_ref() {
        text.push_str(&format!("; /healthz says otherwise: {words}"));
    }
    text
}
