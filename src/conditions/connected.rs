//! Condition 11: azcmagent says Connected, to the target asked for.

use super::{Evidence, Vm};
use crate::azcmagent::{self, show::Show};
use crate::fault::{self, Fault};
use crate::host::commands::tail;

pub(super) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    if vm.host.commands.find(azcmagent::PROGRAM).is_none() {
        return Err(fault::CONNECTED_NOT_YET.seen("azcmagent is not installed"));
    }
    let (show, finished) = azcmagent::show(&vm.host.commands)
        .await
        .map_err(|error| fault::AGENT_BROKEN.seen(error.to_string()))?;
    let Some(show) = show else {
        let said = vm.host.mask.apply(&tail(&finished.transcript));
        let evidence = format!("azcmagent show ({}) said nothing readable: {said}", finished.status());
        let entry = if vm.learnt.connected.get() { &fault::CONNECTED_PENDING } else { &fault::AGENT_BROKEN };
        return Err(entry.seen(evidence));
    };
    judge(vm, &show)
}

fn judge(vm: &Vm, show: &Show) -> Result<Evidence, Fault> {
    if !show.is_onboarded() {
        // Right after connect himds may not have read its new state yet.
        let entry =
            if vm.learnt.connected.get() { &fault::CONNECTED_PENDING } else { &fault::CONNECTED_NOT_YET };
        return Err(entry.seen(format!("azcmagent says {} and names no resource", show.status)));
    }
    if let Some(difference) = elsewhere(vm, show).filter(|_| vm.has_target) {
        return Err(
            fault::CONNECTED_ELSEWHERE.seen(format!("it is connected as {}: {difference}", show.place()))
        );
    }
    let error = if show.error.is_empty() { String::new() } else { format!(", {}", show.error) };
    if show.is("Connected") {
        return Ok(format!("Connected as {}", show.place()));
    }
    let evidence = format!("azcmagent says {}{error}", show.status);
    Err(match () {
        () if show.is("Expired") => fault::CONNECTED_EXPIRED.seen(evidence),
        () if vm.learnt.connected.get() => fault::CONNECTED_PENDING.seen(evidence),
        // Half-made by a connect that broke off. One that is whole answers that it is connected already.
        () if show.was_never_heard() => {
            fault::CONNECTED_NOT_YET.seen(format!("{evidence}, and Azure has never heard from it"))
        }
        () => fault::CONNECTED_DISCONNECTED.seen(evidence),
    })
}

/// What differs between where the machine is and where it should be; letter case does not count.
fn elsewhere(vm: &Vm, show: &Show) -> Option<String> {
    let azure = &vm.settings.azure;
    let from_id = |segment: &str| {
        let mut parts = show.resource_id.split('/');
        parts.find(|part| part.eq_ignore_ascii_case(segment)).and_then(|_| parts.next()).map(str::to_owned)
    };
    let or_id = |value: &str, segment: &str| {
        if value.is_empty() {
            from_id(segment).unwrap_or_default()
        } else {
            value.to_owned()
        }
    };
    let subscription = or_id(&show.subscription_id, "subscriptions");
    let group = or_id(&show.resource_group, "resourceGroups");
    let name = or_id(&show.resource_name, "machines");
    if !azure.subscription_id.matches(&subscription) {
        return Some(format!("the subscription asked for is {}", azure.subscription_id));
    }
    if !azure.resource_group.matches(&group) {
        return Some(format!("the resource group asked for is {}", azure.resource_group));
    }
    if let Some(wanted) = azure.resource_name.as_ref().filter(|wanted| !wanted.matches(&name)) {
        return Some(format!("the name asked for is {wanted}"));
    }
    if let Some(wanted) = azure.tenant_id.as_ref() {
        if !show.tenant_id.is_empty() && !wanted.matches(&show.tenant_id) {
            return Some(format!("the tenant asked for is {wanted}"));
        }
    }
    None
}
