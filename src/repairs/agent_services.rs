//! Starts or restarts azcmagent's services.

use super::{always, systemctl, Repair, SERVICE_LIMIT};
use crate::catalogue;
use crate::clients::azcmagent::{MAIN_SERVICE, SERVICES};
use crate::context::Context;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;

pub(super) static START: Repair = Repair {
    id: RepairId::StartServices,
    action: "starting azcmagent's services",
    bound: 2,
    limit: SERVICE_LIMIT,
    is_allowed: always,
    run: |context, _session| Box::pin(all(context, "start")),
};

pub(super) static RESTART: Repair = Repair {
    id: RepairId::RestartServices,
    action: "restarting azcmagent's services",
    bound: 2,
    limit: SERVICE_LIMIT,
    is_allowed: always,
    run: |context, _session| Box::pin(all(context, "restart")),
};

/// Starts or restarts every service of the package.
pub(super) async fn all(context: &Context, verb: &str) -> Result<(), Fault> {
    let finished = systemctl(context, &[verb, MAIN_SERVICE]).await?;
    if !finished.succeeded() {
        let said = context.host.output_tail(&finished);
        let evidence = format!("systemctl {verb} {MAIN_SERVICE}: {said}");
        return Err(catalogue::AGENT_SERVICE_DOWN.with_evidence(evidence));
    }
    for service in SERVICES.iter().filter(|service| **service != MAIN_SERVICE) {
        // Which of the others exist depends on the version; the next observation evaluates them.
        let _evaluated_later = systemctl(context, &[verb, service]).await?;
    }
    Ok(())
}
