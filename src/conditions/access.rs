//! Condition 10: the identity may create the Arc machine, and the subscription is registered for Arc.

use serde_json::Value;

use super::{identity, Notes, Observation};
use crate::catalogue;
use crate::clients::arm::{self, role_for, Permissions, LIST_ACCESS, READ, REGISTER, WRITE};
use crate::context::{Context, Facts, Learned};
use crate::host::https::{HttpsError, HttpsReply};
use crate::model::check::Evidence;
use crate::model::fault::Fault;

/// Requests the identity's permissions from ARM. If ARM does not list them, the result of `azcmagent connect` decides.
pub(super) async fn observe(context: &Context, facts: &Facts) -> Observation {
    let mut notes = Notes::default();
    let outcome = ask(context, facts, &mut notes).await;
    notes.observation(outcome)
}

async fn ask(context: &Context, facts: &Facts, notes: &mut Notes) -> Result<Evidence, Fault> {
    if !context.has_target {
        return Ok("not checked: the configuration with the target could not be read".to_owned());
    }
    let token = identity::held_token(facts)?;
    let arm = context.arm(&token.secret);
    let (reply, provider) = tokio::join!(arm.permissions(), arm.provider());
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) if matches!(*error, HttpsError::NoCurl) => {
            return Ok("not checked: there is no curl".to_owned())
        }
        Err(error) => return Ok(format!("unknown: {error}; azcmagent connect will show")),
    };
    if let Some(fault) = arm::classify_refusal(&reply) {
        return Err(identity::attribute_missing_role(context, facts, fault));
    }
    let Some(permissions) = Permissions::parse(&reply.body) else {
        return Ok(format!(
            "unknown: ARM answered {} without a listing; azcmagent connect will show",
            reply.status
        ));
    };
    let outcome = evaluate(context, facts, &permissions, &registration(provider.ok().as_ref()));
    notes.learned = Learned::Permissions(permissions);
    outcome
}

fn evaluate(
    context: &Context,
    facts: &Facts,
    permissions: &Permissions,
    registration: &str,
) -> Result<Evidence, Fault> {
    if let Some(action) = [WRITE, READ].into_iter().find(|action| permissions.lacks(action)) {
        let fault = catalogue::ACCESS_ROLE.with_evidence(format!(
            "it lacks {action} (role {}); its actions there: {}",
            role_for(action).unwrap_or_default(),
            permissions.describe_actions()
        ));
        return Err(identity::attribute_missing_role(context, facts, fault));
    }
    let is_unregistered = matches!(registration, "NotRegistered" | "Unregistered");
    if is_unregistered && permissions.lacks(REGISTER) {
        return Err(catalogue::ACCESS_PROVIDER.with_evidence(format!(
            "Microsoft.HybridCompute is {registration} in the subscription, and the identity lacks {REGISTER}"
        )));
    }
    let mut text = match permissions.grants(WRITE) {
        true => "the identity may write Arc machines".to_owned(),
        false => "unknown: ARM's listing is incomplete; azcmagent connect will show".to_owned(),
    };
    if permissions.lacks(LIST_ACCESS) {
        text.push_str(&format!(
            "; it lacks {LIST_ACCESS} (role {})",
            role_for(LIST_ACCESS).unwrap_or_default()
        ));
    }
    if is_unregistered || registration == "Registering" {
        text.push_str(&format!("; Microsoft.HybridCompute is {registration}, azcmagent registers it"));
    }
    Ok(text)
}

/// The registration state of the subscription; empty if the identity may not read it, which most roles do not allow.
fn registration(reply: Option<&HttpsReply>) -> String {
    let body: Value = reply
        .filter(|reply| reply.status == 200)
        .and_then(|reply| serde_json::from_str(&reply.body).ok())
        .unwrap_or_default();
    body.get("registrationState").and_then(Value::as_str).unwrap_or_default().to_owned()
}
