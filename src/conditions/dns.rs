//! Condition 6: the Azure names resolve, on the VM or at the proxy.

use std::time::Duration;

use super::Observation;
use crate::catalogue;
use crate::clients::arm;
use crate::context::Context;
use crate::host::commands::CommandError;
use crate::host::names::{self, NameError};
use crate::model::check::Evidence;
use crate::model::fault::Fault;

/// Time limit of a lookup; a slower name server is of no use.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn observe(context: &Context) -> Observation {
    evaluate(context).await.into()
}

async fn evaluate(context: &Context) -> Result<Evidence, Fault> {
    if context.settings.proxy.url.is_some() {
        return Ok("the proxy resolves the Azure names".to_owned());
    }
    let host = arm::host(context.settings.azure.cloud);
    match names::resolve(&context.host.commands, host, LIMIT).await {
        Ok(address) => Ok(format!("{host} is {address}")),
        // Without the tool the state is unknown; curl reports the failure when it needs the name.
        Err(NameError::Command(error)) if matches!(*error, CommandError::NotFound { .. }) => {
            Ok(format!("not checked: {error}"))
        }
        Err(error) => Err(catalogue::DNS_UNRESOLVED.with_evidence(error.to_string())),
    }
}
