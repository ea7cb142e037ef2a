//! Sets azcmagent's override for Azure VMs for its services.

use super::{agent_services, systemctl, Repair, SERVICE_LIMIT};
use crate::clients::azcmagent::{AZURE_VM_OVERRIDE, PROGRAM};
use crate::context::Context;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;

pub(super) static REPAIR: Repair = Repair {
    id: RepairId::AllowAzureVm,
    action: "setting azcmagent's override for Azure VMs, as the configuration allows",
    bound: 1,
    limit: SERVICE_LIMIT,
    is_allowed: |settings| settings.agent.allow_azure_vm,
    run: |context, _session| Box::pin(run(context)),
};

/// The services read the override when they start, so they are restarted. `connect` gets it once `agent` observes it.
async fn run(context: &Context) -> Result<(), Fault> {
    systemctl(context, &["set-environment", &format!("{AZURE_VM_OVERRIDE}=true")]).await?;
    if context.host.commands.find(PROGRAM).is_some() {
        agent_services::all(context, "restart").await?;
    }
    Ok(())
}
