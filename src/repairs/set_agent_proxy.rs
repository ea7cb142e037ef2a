//! Sets azcmagent's `proxy.url`.

use std::time::Duration;

use super::{always, Repair};
use crate::catalogue;
use crate::clients::azcmagent;
use crate::context::Context;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;

pub(super) static REPAIR: Repair = Repair {
    id: RepairId::SetAgentProxy,
    action: "setting azcmagent's proxy.url",
    bound: 2,
    limit: Duration::from_secs(60),
    is_allowed: always,
    run: |context, _session| Box::pin(run(context)),
};

/// A proxy with a password is set only in the environment: azcmagent's arguments can be read by every process.
async fn run(context: &Context) -> Result<(), Fault> {
    let Some(proxy) = &context.settings.proxy.url else { return Ok(()) };
    let value = proxy.credentials().is_none().then(|| proxy.without_credentials());
    let limit = context.within(REPAIR.limit);
    let finished = azcmagent::configure(&context.host.commands, "proxy.url", value.as_deref(), limit)
        .await
        .map_err(|error| catalogue::AGENT_BROKEN.with_evidence(error.to_string()))?;
    if finished.succeeded() {
        return Ok(());
    }
    let said = context.host.output_tail(&finished);
    Err(catalogue::AGENT_BROKEN.with_evidence(format!("azcmagent did not accept proxy.url: {said}")))
}
