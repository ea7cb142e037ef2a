//! Condition 10: the identity may create the Arc machine.

use super::{identity, Evidence, Vm};
use crate::arm::{self, Arm, Permission};
use crate::fault::{self, Fault};
use crate::host::https::HttpsError;

/// Asks ARM what the identity may do. Where ARM does not say, azcmagent's own attempt decides.
pub(super) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    if !vm.has_target {
        return Ok("not checked: the configuration with the target could not be read".to_owned());
    }
    let held = vm.learnt.token.borrow().clone();
    let Some(token) = held else {
        return Err(fault::IDENTITY_TOKEN_REJECTED.seen("the token is spent"));
    };
    let arm = Arm {
        commands: &vm.host.commands,
        proxy: vm.settings.proxy.url.as_ref(),
        azure: &vm.settings.azure,
        token: &token.secret,
    };
    let reply = match arm.permissions().await {
        Ok(reply) => reply,
        Err(HttpsError::NoCurl) => return Ok("not checked: there is no curl".to_owned()),
        Err(error) => return Ok(format!("not known: {error}; azcmagent's own attempt decides")),
    };
    if let Some(fault) = arm::read_refusal(&reply) {
        *vm.learnt.token.borrow_mut() = None;
        return Err(identity::blame(vm, fault));
    }
    match arm::may_write_machines(&reply.body) {
        Permission::Granted => Ok("the identity may write Arc machines".to_owned()),
        Permission::Missing(instead) => {
            // A role that was granted meanwhile may need a token that was issued after it.
            *vm.learnt.token.borrow_mut() = None;
            let has = if instead.is_empty() { "none at all".to_owned() } else { format!("only {instead}") };
            let evidence =
                format!("it lacks Microsoft.HybridCompute/machines/write; of actions there it has {has}");
            Err(identity::blame(vm, fault::ACCESS_ROLE.seen(evidence)))
        }
        Permission::Unknown => Ok(format!(
            "not known: ARM answered {} without a listing; azcmagent's own attempt decides",
            reply.status
        )),
    }
}
