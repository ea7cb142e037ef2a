//! Deletes an Expired Arc machine in Azure and its state on the VM, so that the VM can be enrolled again.

use std::time::{Duration, Instant};

use tracing::info;

use super::Repair;
use crate::catalogue;
use crate::clients::arm::{self, Machine};
use crate::clients::azcmagent::PROGRAM;
use crate::conditions::{connected, identity};
use crate::context::{Context, Facts};
use crate::host::commands::Program;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;
use crate::model::secret::Secret;

pub(super) static REPAIR: Repair = Repair {
    id: RepairId::RecreateExpired,
    action: "removing the Expired Arc machine, as the configuration allows",
    bound: 1,
    // Applies to ARM's deletion after the request was accepted, and again to `azcmagent disconnect`.
    limit: Duration::from_secs(2 * 60),
    is_allowed: |settings| settings.repair.recreate_expired,
    run: |context, session| Box::pin(run(context, &session.facts)),
};

/// Deletes the machine in Azure first: if interrupted afterwards, azcmagent still reports Expired and the next run
/// continues.
async fn run(context: &Context, facts: &Facts) -> Result<(), Fault> {
    let show = connected::ask(context, facts).await?;
    let target = connected::machine_name(&show).filter(|_| show.has_status("Expired") && show.is_onboarded());
    let (Some(name), None) = (target, connected::target_difference(context, &show)) else {
        return Err(catalogue::CONNECTED_RECREATE.with_evidence("what azcmagent shows has changed meanwhile"));
    };
    let token = identity::held_token(facts)?;
    delete_machine(context, &token.secret, name.as_str(), &show.vm_id).await?;
    let args = ["disconnect", "--force-local-only"];
    let run = Program::new(PROGRAM, &args, context.within(REPAIR.limit));
    match context.host.commands.run(run).await {
        Ok(finished) if finished.succeeded() => Ok(()),
        Ok(finished) => Err(catalogue::CONNECTED_RECREATE.with_evidence(format!(
            "azcmagent disconnect ({}): {}",
            finished.status(),
            context.host.output_tail(&finished)
        ))),
        Err(error) => Err(catalogue::CONNECTED_RECREATE.with_evidence(error.to_string())),
    }
}

/// Deletes this machine of the configured group if it belongs to this VM, and waits until it is gone.
async fn delete_machine(context: &Context, token: &Secret, name: &str, vm_id: &str) -> Result<(), Fault> {
    let failed = |what: &str, status: u16| {
        catalogue::CONNECTED_RECREATE.with_evidence(format!("deleting {name} in Azure: {what} HTTP {status}"))
    };
    let arm = context.arm(token);
    let until = Instant::now() + context.within(REPAIR.limit);
    let mut method = "GET";
    let mut is_deleted = false;
    loop {
        let reply = arm.on_machine(method, name).await;
        let reply = reply.map_err(|error| catalogue::CONNECTED_NETWORK.with_evidence(error.to_string()))?;
        // It can be gone at the first request: an earlier run may have been interrupted after this step.
        if connected::is_gone(&reply) {
            info!(event = "machine.deleted", name, "the Arc machine {name} is gone from Azure");
            return Ok(());
        }
        match (method, reply.status) {
            ("DELETE", 200 | 202 | 204) => (method, is_deleted) = ("GET", true),
            ("GET", 200) if !is_deleted => {
                check_ownership(&Machine::parse(&reply.body), name, vm_id)?;
                method = "DELETE";
                continue;
            }
            ("GET", _) if is_deleted && Instant::now() < until => {}
            ("GET", status) if is_deleted => return Err(failed("it still exists, GET returns", status)),
            (_, status) => {
                return Err(
                    arm::classify_refusal(&reply).unwrap_or_else(|| failed("the response is", status))
                );
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Checks that the machine in Azure belongs to this VM: a machine with an expired identity cannot be Connected.
fn check_ownership(known: &Machine, name: &str, vm_id: &str) -> Result<(), Fault> {
    if known.vm_id.eq_ignore_ascii_case(vm_id) && !known.status.eq_ignore_ascii_case("Connected") {
        return Ok(());
    }
    Err(catalogue::CONNECTED_CLONED.with_evidence(format!(
        "azcmagent says Expired for VM id {vm_id}, but Azure says {} for {name}, of the VM with id {}",
        known.status, known.vm_id
    )))
}
