//! Condition 11: azcmagent reports Connected, to the configured target.

use super::{identity, Notes, Observation};
use crate::catalogue;
use crate::clients::arm::Machine;
use crate::clients::azcmagent::{self, show::Show};
use crate::context::{ConnectionFacts, Context, Facts, Learned, Mode};
use crate::host::https::HttpsReply;
use crate::host::tasks::Task;
use crate::model::check::Evidence;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;
use crate::settings::ResourceName;

pub(super) async fn observe(context: &Context, facts: &Facts) -> Observation {
    if context.host.commands.find(azcmagent::PROGRAM).is_none() {
        return Err(catalogue::CONNECTED_NOT_YET.with_evidence("azcmagent is not installed")).into();
    }
    let show = match ask(context, facts).await {
        Ok(show) => show,
        Err(fault) => return Err(fault).into(),
    };
    let is_onboarded = show.is_onboarded();
    let learned = Learned::Connection(ConnectionFacts { is_onboarded });
    let mut notes = Notes { learned, ..Notes::default() };
    let outcome = evaluate(context, facts, &show, &mut notes).await;
    notes.observation(outcome)
}

/// Runs `azcmagent show`.
///
/// # Errors
/// `agent.not-answering`, or `connected.pending` right after a connect.
pub fn ask<'a>(context: &'a Context, facts: &'a Facts) -> Task<'a, Result<Show, Fault>> {
    Box::pin(ask_once(context, facts))
}

async fn ask_once(context: &Context, facts: &Facts) -> Result<Show, Fault> {
    let (show, finished) = azcmagent::show(&context.host.commands)
        .await
        .map_err(|error| catalogue::AGENT_BROKEN.with_evidence(error.to_string()))?;
    show.ok_or_else(|| {
        let said = context.host.output_tail(&finished);
        let evidence =
            format!("the output of azcmagent show ({}) cannot be parsed: {said}", finished.status());
        let was_connected = facts.has_run(RepairId::Connect);
        let kind = if was_connected { &catalogue::CONNECTED_PENDING } else { &catalogue::AGENT_BROKEN };
        kind.with_evidence(evidence)
    })
}

async fn evaluate(
    context: &Context,
    facts: &Facts,
    show: &Show,
    notes: &mut Notes,
) -> Result<Evidence, Fault> {
    let was_connected = facts.has_run(RepairId::Connect);
    let said = context.host.mask.apply(&show.status_text());
    if !show.is_onboarded() {
        // Right after connect, himds may not have read its new state yet.
        let kind = if was_connected { &catalogue::CONNECTED_PENDING } else { &catalogue::CONNECTED_NOT_YET };
        return Err(kind.with_evidence(format!("azcmagent says {said} and names no resource")));
    }
    if context.has_target {
        if let Some(difference) = target_difference(context, show) {
            return Err(catalogue::CONNECTED_ELSEWHERE
                .with_evidence(format!("it is connected as {}: {difference}", show.arm_id())));
        }
        match detect_clone(context, facts, show, notes).await {
            // A working machine may have been enrolled by hand under a chosen name.
            Some((evidence, Certainty::Likely)) if show.has_status("Connected") && !context.is_first_boot => {
                return Ok(format!("Connected as {}; note: {evidence}", show.arm_id()));
            }
            Some((evidence, _)) => return Err(catalogue::CONNECTED_CLONED.with_evidence(evidence)),
            None => {}
        }
    }
    if show.has_status("Connected") {
        return Ok(format!("Connected as {}", show.arm_id()));
    }
    let evidence = format!("azcmagent says {said}");
    if show.has_status("Expired") {
        return Err(catalogue::CONNECTED_EXPIRED.with_evidence(evidence));
    }
    if was_connected {
        return Err(catalogue::CONNECTED_PENDING.with_evidence(evidence));
    }
    if reports_clone(&show.error) {
        return Err(catalogue::CONNECTED_CLONED.with_evidence(evidence));
    }
    // Left incomplete by an interrupted connect. If it is complete, connect answers that it is already connected.
    if show.lacks_heartbeat() {
        return Err(catalogue::CONNECTED_NOT_YET
            .with_evidence(format!("{evidence}, and Azure has never received a heartbeat")));
    }
    Err(explain(context, facts, show, evidence).await)
}

/// The fault of a disconnected machine, with its state in ARM if a token is available.
async fn explain(context: &Context, facts: &Facts, show: &Show, evidence: String) -> Fault {
    let token = facts.identity.token.clone();
    // When observing, conditions run concurrently, so whether there is a token yet would depend on timing.
    let (Some(token), Some(name), true) =
        (token, machine_name(show), context.makes_changes() && context.has_target)
    else {
        return catalogue::CONNECTED_DISCONNECTED.with_evidence(evidence);
    };
    let Ok(reply) = context.arm(&token.secret).machine(name.as_str()).await else {
        return catalogue::CONNECTED_DISCONNECTED.with_evidence(evidence);
    };
    if is_gone(&reply) {
        return catalogue::CONNECTED_GONE
            .with_evidence(format!("{evidence}, and Azure has no machine {name}"));
    }
    let machine = Machine::parse(&reply.body);
    if reports_clone(&machine.reason) {
        return catalogue::CONNECTED_CLONED
            .with_evidence(format!("{evidence}; Azure says: {}", machine.reason));
    }
    let known =
        if machine.status.is_empty() { String::new() } else { format!("; Azure says {}", machine.status) };
    catalogue::CONNECTED_DISCONNECTED.with_evidence(evidence + &known)
}

/// Whether ARM has no such machine; an identity without access to the subscription gets a different 404.
pub fn is_gone(reply: &HttpsReply) -> bool {
    reply.status == 404 && reply.body.contains("ResourceNotFound")
}

/// The machine's name, if it is valid: it becomes part of a URL.
pub fn machine_name(show: &Show) -> Option<ResourceName> {
    ResourceName::new(&show.name()?).ok()
}

/// Azure throttles two machines that report as one (agent overview page, cloning guidelines).
fn reports_clone(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    let is_429 = || words.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "429");
    words.contains("too many requests") || words.contains("clone") || is_429()
}

/// How certain it is that this VM is a copy of another one.
enum Certainty {
    /// The firmware id differs from that at enrollment.
    Sure,
    /// The name is not this VM's, and there is no record of the enrollment.
    Likely,
}

/// Evidence that this VM is a copy: it is enrolled under a name that neither the configuration nor this VM has, and no
/// record shows that this VM enrolled it. With a record the name does not matter, since a host may be renamed later.
async fn detect_clone(
    context: &Context,
    facts: &Facts,
    show: &Show,
    notes: &mut Notes,
) -> Option<(String, Certainty)> {
    let enrolled = show.name()?;
    if context.settings.azure.resource_name.is_some()
        || context.resource_name(&facts.identity.claims).is_none_or(|own| own.matches(&enrolled))
    {
        return None;
    }
    let mut is_this = |vm_of_record: &str| {
        let own = context.firmware_id();
        if own.is_none() && !vm_of_record.is_empty() {
            let what = "whether this VM is the one that enrolled: its firmware id cannot be read".to_owned();
            notes.not_checked.push(what);
        }
        // If either id is unknown, the existence of the record is sufficient.
        vm_of_record.is_empty() || own.is_none_or(|own| own == vm_of_record)
    };
    let certainty = match context.recorded_vm() {
        Some(recorded) if is_this(&recorded) => return None,
        Some(_) => Certainty::Sure,
        None => Certainty::Likely,
    };
    if context.mode == Mode::ObserveLocally {
        return None;
    }
    let mut known = facts.identity.clone();
    if known.claims.vm_name().is_none() {
        let _only_claims_are_used = identity::acquire(context, facts, &mut known, true).await;
    }
    if known
        .claims
        .vm_name()
        .and_then(|name| ResourceName::from_hostname(&name))
        .is_some_and(|name| name.matches(&enrolled))
    {
        return None;
    }
    let own = context.resource_name(&known.claims).map(|name| name.to_string()).unwrap_or_default();
    let evidence = format!(
        "it is enrolled as {enrolled}, this VM is {own}, and no record says that this VM enrolled it"
    );
    Some((evidence, certainty))
}

/// The first difference between the machine and the configured target, ignoring case.
pub fn target_difference(context: &Context, show: &Show) -> Option<String> {
    let azure = &context.settings.azure;
    let or_id = |value: &str, segment: &str| {
        if value.is_empty() {
            show.id_segment(segment).unwrap_or_default()
        } else {
            value.to_owned()
        }
    };
    let subscription = or_id(&show.subscription_id, "subscriptions");
    let group = or_id(&show.resource_group, "resourceGroups");
    let name = show.name().unwrap_or_default();
    if !azure.subscription_id.matches(&subscription) {
        return Some(format!("the configured subscription is {}", azure.subscription_id));
    }
    if !azure.resource_group.matches(&group) {
        return Some(format!("the configured resource group is {}", azure.resource_group));
    }
    if let Some(wanted) = azure.resource_name.as_ref().filter(|wanted| !wanted.matches(&name)) {
        return Some(format!("the configured name is {wanted}"));
    }
    if let Some(wanted) = azure.tenant_id.as_ref() {
        if !show.tenant_id.is_empty() && !wanted.matches(&show.tenant_id) {
            return Some(format!("the configured tenant is {wanted}"));
        }
    }
    None
}
