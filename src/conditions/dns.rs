//! Condition 6: names resolve, here or at the proxy.

use std::time::Duration;

use super::Observation;
use crate::catalogue;
use crate::clients::arm;
use crate::context::Context;
use crate::host::commands::CommandError;
use crate::host::names::{self, NameError};
use crate::model::check::Evidence;
use crate::model::fault::Fault;

/// A name server that needs longer is as good as none; with a proxy the answer is information only.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn observe(context: &Context) -> Observation {
    judge(context).await.into()
}

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    if context.settings.proxy.url.is_some() {
        return Ok("the proxy resolves the Azure names".to_owned());
    }
    let host = arm::host(context.settings.azure.cloud);
    match names::resolve(&context.host.commands, host, LIMIT).await {
        Ok(address) => Ok(format!("{host} is {address}")),
        // Without its tool nothing is known; curl will tell when it needs the name.
        Err(NameError::Command(error)) if matches!(*error, CommandError::NotFound { .. }) => {
            Ok(format!("not checked: {error}"))
        }
        Err(error) => Err(catalogue::DNS_UNRESOLVED.with_evidence(error.to_string())),
    }
}
