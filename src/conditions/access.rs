//! Condition 10: the identity may create the Arc machine, in a subscription that is registered for Arc.

use serde_json::Value;

use super::{identity, Evidence, Vm};
use crate::catalogue;
use crate::clients::arm::{self, role_of, Permissions, LIST_ACCESS, READ, REGISTER, WRITE};
use crate::host::https::{HttpsError, Reply};
use crate::model::fault::Fault;

/// Asks ARM what the identity may do. Where ARM does not say, azcmagent's own attempt decides.
pub(crate) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    if !vm.has_target {
        return Ok("not checked: the configuration with the target could not be read".to_owned());
    }
    let token = vm.token()?;
    let arm = vm.arm(&token.secret);
    let (reply, provider) = tokio::join!(arm.permissions(), arm.provider());
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) if matches!(*error, HttpsError::NoCurl) => {
            return Ok("not checked: there is no curl".to_owned())
        }
        Err(error) => return Ok(format!("not known: {error}; azcmagent's own attempt decides")),
    };
    if let Some(fault) = arm::read_refusal(&reply) {
        vm.invalidate_token();
        return Err(identity::blame(vm, fault));
    }
    let Some(permissions) = Permissions::read(&reply.body) else {
        return Ok(format!(
            "not known: ARM answered {} without a listing; azcmagent's own attempt decides",
            reply.status
        ));
    };
    let evidence = judge(vm, &permissions, &registration(provider.ok().as_ref()));
    *vm.learnt.permissions.borrow_mut() = Some(permissions);
    evidence
}

fn judge(vm: &Vm, permissions: &Permissions, registration: &str) -> Result<Evidence, Fault> {
    if let Some(action) = [WRITE, READ].into_iter().find(|action| permissions.lacks(action)) {
        // A role that was granted meanwhile may need a token that was issued after it.
        vm.invalidate_token();
        let fault = catalogue::ACCESS_ROLE.with_evidence(format!(
            "it lacks {action} (role {}); of actions there it has {}",
            role_of(action).unwrap_or_default(),
            permissions.some()
        ));
        return Err(identity::blame(vm, fault));
    }
    let is_unregistered = matches!(registration, "NotRegistered" | "Unregistered");
    if is_unregistered && permissions.lacks(REGISTER) {
        return Err(catalogue::ACCESS_PROVIDER.with_evidence(format!(
            "Microsoft.HybridCompute is {registration} in the subscription, and the identity lacks {REGISTER}"
        )));
    }
    let mut text = match permissions.grants(WRITE) {
        true => "the identity may write Arc machines".to_owned(),
        false => "not known: the listing is not whole; azcmagent's own attempt decides".to_owned(),
    };
    if permissions.lacks(LIST_ACCESS) {
        text.push_str(&format!(
            "; it lacks {LIST_ACCESS} (role {})",
            role_of(LIST_ACCESS).unwrap_or_default()
        ));
    }
    if is_unregistered || registration == "Registering" {
        text.push_str(&format!("; Microsoft.HybridCompute is {registration}, azcmagent registers it"));
    }
    Ok(text)
}

/// How far the subscription is registered; empty when it may not be read, which most roles do not allow.
fn registration(reply: Option<&Reply>) -> String {
    let body: Value = reply
        .filter(|reply| reply.status == 200)
        .and_then(|reply| serde_json::from_str(&reply.body).ok())
        .unwrap_or_default();
    body.get("registrationState").and_then(Value::as_str).unwrap_or_default().to_owned()
}
