//! Condition 8: a token was issued to the configured identity.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::imds::{ask_health, classify_error, health};
use super::{clock, Notes, Observation};
use crate::catalogue;
use crate::clients::imds::{self, Claims, Refusal, Token};
use crate::context::{Context, Facts, IdentityFacts, Learned};
use crate::host::link_local::{self, LinkLocalReply};
use crate::host::tasks::Task;
use crate::model::backoff;
use crate::model::fault::{Fault, FaultKind};
use crate::settings::{Cloud, Identity};

/// A held token with less remaining validity is replaced, since it could expire during connect.
const MARGIN: Duration = Duration::from_secs(120);

/// How often an apparently expired token is replaced before it is used anyway.
const FRESH_TRIES: u32 = 2;

pub(super) async fn observe(context: &Context, facts: &Facts) -> Observation {
    let held = facts.identity.token.as_ref();
    if let Some(token) = held.filter(|token| !token.expires_within(MARGIN, SystemTime::now())) {
        return Ok(describe(context, facts, token)).into();
    }
    let mut known = facts.identity.clone();
    let outcome = acquire(context, facts, &mut known, true).await;
    let outcome = outcome.map(|token| describe(context, facts, &token));
    Notes { learned: Learned::Identity(known), ..Notes::default() }.observation(outcome)
}

/// The token, unless it was invalidated.
///
/// # Errors
/// `identity.token-rejected`, for which the engine requests a new one.
pub fn held_token(facts: &Facts) -> Result<Rc<Token>, Fault> {
    let held = facts.identity.token.clone();
    held.ok_or_else(|| catalogue::IDENTITY_TOKEN_REJECTED.with_evidence("there is no valid token"))
}

/// Requests a token and checks its validity period; `for_arm` also checks its audience and tenant. Facts are stored in
/// `known` even if there is no token.
///
/// # Errors
/// The fault because of which there is no token.
pub fn acquire<'a>(
    context: &'a Context,
    facts: &'a Facts,
    known: &'a mut IdentityFacts,
    for_arm: bool,
) -> Task<'a, Result<Rc<Token>, Fault>> {
    Box::pin(acquire_fresh(context, facts, known, for_arm))
}

async fn acquire_fresh(
    context: &Context,
    facts: &Facts,
    known: &mut IdentityFacts,
    for_arm: bool,
) -> Result<Rc<Token>, Fault> {
    known.token = None;
    let is_expired = |token: &Token| token.expires_within(Duration::ZERO, SystemTime::now());
    let mut token = request(context, known).await?;
    for _ in 0..FRESH_TRIES {
        if !is_expired(&token) && check_times(facts, &token.claims).is_none() {
            break;
        }
        warn!(
            event = "token.expired",
            "the issued token appears to be outside its validity period; requesting another one"
        );
        token = request(context, known).await?;
    }
    if let Some(fault) = check_times(facts, &token.claims) {
        return Err(fault);
    }
    if is_expired(&token) {
        // Azure uses its own clock, so a token that appears expired here may still be valid.
        warn!(event = "token.expired", "the token still appears expired; using it, since Azure decides");
    }
    if for_arm {
        check_claims(context, &token)?;
    }
    let token = Rc::new(token);
    known.token = Some(token.clone());
    Ok(token)
}

/// Sends one token request.
async fn request(context: &Context, known: &mut IdentityFacts) -> Result<Token, Fault> {
    known.attempts += 1;
    let attempt = known.attempts;
    info!(event = "token.attempt", attempt, "requesting a token from the sidecar, attempt {attempt}");
    let limit = context.within(link_local::EXCHANGE);
    let (imds, identity) = (&context.settings.imds, &context.settings.identity);
    let reply = imds::request_token(&imds.endpoint, &imds.resource, identity, limit).await;
    let reply = reply.map_err(classify_error)?;
    let token = match imds::read_token(&reply, SystemTime::now()) {
        Ok(token) => token,
        Err(refusal) => return Err(refused(context, known, &refusal, &reply).await),
    };
    context.host.mask.learn(&token.secret);
    known.claims = token.claims.clone();
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

/// Checks the token's validity period by the sidecar's clock, if this VM's clock agrees with it.
fn check_times(facts: &Facts, claims: &Claims) -> Option<Fault> {
    let now = clock::sidecar_now(facts)?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    if claims.exp.is_some_and(|exp| exp <= now) {
        let evidence = "it had expired when it was issued, and so had the new ones that were requested";
        return Some(catalogue::IDENTITY_EXPIRED.with_evidence(evidence));
    }
    let is_early = claims.nbf.is_some_and(|nbf| nbf > now + clock::TOLERANCE.as_secs());
    is_early.then(|| {
        catalogue::IDENTITY_NOT_YET_VALID
            .with_evidence("its validity begins in the future, as does that of the new ones")
    })
}

async fn refused(
    context: &Context,
    known: &mut IdentityFacts,
    refusal: &Refusal,
    reply: &LinkLocalReply,
) -> Fault {
    let is_named = context.settings.identity != Identity::System;
    let mut more = imds::proxy_headers(reply).unwrap_or_default();
    let kind: &'static FaultKind = match refusal {
        Refusal::Proxied => &catalogue::IMDS_PROXIED,
        Refusal::Page => {
            "an HTML page".clone_into(&mut more);
            &catalogue::IMDS_NOT_IMDS
        }
        Refusal::IdentityNotFound if is_named => {
            let (kind, found) = request_any_identity(context, known).await;
            more = format!("asked for: {}; {found}", context.settings.identity);
            kind
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
            // The health may have changed since it was observed.
            match health(&ask_health(context).await) {
                Some((false, words)) => {
                    more = format!("/healthz: {words}");
                    &catalogue::IDENTITY_SIDECAR
                }
                Some((true, words)) => {
                    more = format!("but /healthz: {words}");
                    &catalogue::IDENTITY_SERVICE
                }
                None => &catalogue::IDENTITY_SERVICE,
            }
        }
        Refusal::Refused => &catalogue::IDENTITY_REFUSED,
        Refusal::Unreadable => &catalogue::IDENTITY_UNREADABLE,
    };
    let retry_after =
        reply.header("retry-after").and_then(|value| backoff::retry_after(value, SystemTime::now()));
    // An unreadable successful response may contain part of a token.
    let words = if *refusal == Refusal::Unreadable {
        format!("HTTP {}", reply.status)
    } else {
        imds::describe_reply(reply)
    };
    let semicolon = if more.is_empty() { "" } else { "; " };
    kind.with_evidence(format!("{words}{semicolon}{more}")).with_retry_after(retry_after)
}

/// Determines which identity the VM has if the configured one is missing; returns the fault and its evidence. The token
/// is used only for this and is not kept.
async fn request_any_identity(context: &Context, known: &mut IdentityFacts) -> (&'static FaultKind, String) {
    let imds = &context.settings.imds;
    let limit = context.within(link_local::EXCHANGE);
    let none = &catalogue::IDENTITY_NOT_ASSIGNED;
    let reply = match imds::request_token(&imds.endpoint, &imds.resource, &Identity::System, limit).await {
        Ok(reply) => reply,
        Err(error) => return (none, format!("request without an identity: {error}")),
    };
    match imds::read_token(&reply, SystemTime::now()) {
        Ok(token) => {
            context.host.mask.learn(&token.secret);
            let claims = &token.claims;
            // The VM's resource id is the same for every identity; the remediation needs it for the VM's name.
            known.claims.xms_az_rid =
                claims.vm_name().and(claims.xms_az_rid.clone().or_else(|| claims.xms_mirid.clone()));
            (
                none,
                format!(
                    "the VM has {}{}",
                    describe_identity(claims),
                    swapped_key_note(&context.settings.identity, claims)
                ),
            )
        }
        Err(Refusal::IdentityNotFound) => {
            (&catalogue::IDENTITY_NONE, "and there is no other on the VM".to_owned())
        }
        Err(Refusal::Unreadable) => (none, "request without an identity: unreadable response".to_owned()),
        Err(_) => (none, format!("request without an identity: {}", imds::describe_reply(&reply))),
    }
}

/// An identity as text, from the claims of its token.
fn describe_identity(claims: &Claims) -> String {
    let kind = if claims.is_user_assigned() { "user-assigned" } else { "system-assigned" };
    let Some(id) = &claims.xms_mirid else { return "another identity".to_owned() };
    let ids = [("client id", &claims.appid), ("object id", &claims.oid)];
    let ids = ids.iter().filter_map(|(name, id)| Some(format!(", {name} {}", id.as_ref()?)));
    format!("{kind} {id}{}", ids.collect::<String>())
}

/// A note if the configuration has an id of the right identity under the wrong key.
fn swapped_key_note(asked: &Identity, claims: &Claims) -> &'static str {
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

/// Converts a missing role into `identity.system-not-enabled` if no identity is configured and IMDS chose a user-assigned
/// one, which may not be the intended identity.
pub(super) fn attribute_missing_role(context: &Context, facts: &Facts, fault: Fault) -> Fault {
    let claims = &facts.identity.claims;
    let is_unexpected = context.settings.identity == Identity::System && claims.is_user_assigned();
    if !fault.is(&catalogue::ACCESS_ROLE) || !is_unexpected {
        return fault;
    }
    catalogue::IDENTITY_SYSTEM_NOT_ENABLED.with_evidence(format!(
        "{}; IMDS gave {}",
        fault.evidence,
        describe_identity(claims)
    ))
}

/// Checks tenant and audience, if the claims can be read.
fn check_claims(context: &Context, token: &Token) -> Result<(), Fault> {
    let claims = &token.claims;
    let wanted = context.settings.azure.tenant_id.as_ref();
    if let (Some(wanted), Some(tid)) = (wanted, &claims.tid) {
        if !wanted.matches(tid) {
            let evidence = format!("the token's tenant is {tid}, azure.tenant_id is {wanted}");
            return Err(catalogue::IDENTITY_TENANT.with_evidence(evidence));
        }
    }
    let is_arm = |audience: &String| {
        arm_audiences(context.settings.azure.cloud).contains(&audience.trim_end_matches('/'))
    };
    if !claims.aud.is_empty() && !claims.aud.iter().any(is_arm) {
        return Err(
            catalogue::IDENTITY_AUDIENCE.with_evidence(format!("the token is for {}", claims.aud.join(", ")))
        );
    }
    Ok(())
}

/// The audiences that ARM accepts, without a trailing slash: two URLs or the application id.
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

fn describe(context: &Context, facts: &Facts, token: &Token) -> String {
    let mut text = match &token.claims.oid {
        Some(oid) => format!("a token for {oid}"),
        None => "a token (opaque, which is fine)".to_owned(),
    };
    if let Some(left) = token.expires.and_then(|at| at.duration_since(SystemTime::now()).ok()) {
        text.push_str(&format!(", good for {} min", left.as_secs() / 60));
    }
    if context.settings.identity == Identity::System && token.claims.is_user_assigned() {
        text.push_str(&format!("; no identity is named, and IMDS gave {}", describe_identity(&token.claims)));
    }
    if let Some((false, words)) = &facts.sidecar.health {
        text.push_str(&format!("; but /healthz: {words}"));
    }
    text
}
