//! Condition 6: names resolve, here or at the proxy.

use std::time::Duration;

use super::{Evidence, Vm};
use crate::arm;
use crate::fault::{self, Fault};

/// A name server that needs longer is as good as none; with a proxy the answer is information only.
const LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    if vm.settings.proxy.url.is_some() {
        return Ok("the proxy resolves the Azure names".to_owned());
    }
    let host = arm::host(vm.settings.azure.cloud);
    match tokio::time::timeout(LIMIT, tokio::net::lookup_host((host, 443))).await {
        Ok(Ok(mut addresses)) => Ok(match addresses.next() {
            Some(address) => format!("{host} is {}", address.ip()),
            None => format!("{host} resolves"),
        }),
        Ok(Err(error)) => Err(fault::DNS_UNRESOLVED.seen(format!("{host}: {error}"))),
        Err(_) => Err(fault::DNS_UNRESOLVED.seen(format!("{host}: no answer within {} s", LIMIT.as_secs()))),
    }
}
