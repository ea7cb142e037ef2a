//! Runs `azcmagent connect` once with a time limit, and logs its output line by line.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::{always, Repair};
use crate::catalogue;
use crate::clients::arm::{self, Machine};
use crate::clients::azcmagent::{connect, show::Show, AZURE_VM_OVERRIDE, PROGRAM};
use crate::clients::imds::Token;
use crate::conditions::{connected, identity};
use crate::context::{not_writable, ConnectDetail, Context, Facts, Session};
use crate::host::commands::{CommandError, Finished, Program};
use crate::host::https::HttpsReply;
use crate::host::memory_file::MemoryFile;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;
use crate::model::secret::Secret;
use crate::settings::TokenHandover;

pub(super) static REPAIR: Repair = Repair {
    id: RepairId::Connect,
    action: "connecting to Azure Arc",
    bound: 2,
    // azcmagent's internal limit is 10 minutes (release notes of 1.17).
    limit: Duration::from_secs(12 * 60),
    is_allowed: always,
    run: |context, session| Box::pin(run(context, session)),
};

async fn run(context: &Context, session: &mut Session) -> Result<(), Fault> {
    let token = identity::held_token(&session.facts)?;
    let claims = &session.facts.identity.claims;
    let Some(name) = context.resource_name(claims) else {
        let evidence = "no valid name can be derived from the hostname; set azure.resource_name";
        return Err(catalogue::AGENT_CONFIGURATION.with_evidence(evidence));
    };
    let Some(tenant) = context.tenant(claims) else {
        let evidence = "the token's claims cannot be read, and azure.tenant_id is not set";
        return Err(catalogue::IDENTITY_TENANT_UNKNOWN.with_evidence(evidence));
    };
    let azure = &context.settings.azure;
    let correlation =
        azure.correlation_id.as_ref().map_or_else(|| context.run_id.clone(), ToString::to_string);
    let name = name.as_str();
    let target = connect::ConnectTarget { azure, tenant: &tenant, name, correlation_id: &correlation };
    match attempt(context, session, &token, &target).await {
        Ok(Connected::Now) => {
            write_tags(context, &token.secret, name).await;
            Ok(())
        }
        Ok(Connected::Before) => Ok(()),
        Err(failure) => Err(explain(context, &session.facts, failure, &token.secret, name).await),
    }
}

/// A successful outcome.
enum Connected {
    /// Connected by this command.
    Now,
    /// Connected to this target before.
    Before,
}

/// A failed command: the fault and the output, which may contain Azure's error message.
struct ConnectFailure {
    fault: Fault,
    words: String,
}

/// Runs the command, and once more verbosely after a failure whose details would be missing in the log.
async fn attempt(
    context: &Context,
    session: &mut Session,
    token: &Token,
    target: &connect::ConnectTarget<'_>,
) -> Result<Connected, ConnectFailure> {
    let by_file = context.settings.agent.token == TokenHandover::File;
    let content = connect::configuration(target, by_file.then_some(&token.secret));
    let file = MemoryFile::create(&context.host.files, "connect.json", &content)
        .map_err(|error| ConnectFailure { fault: not_writable(&error), words: String::new() })?;
    let mut args = vec!["connect".to_owned(), "--config".to_owned(), file.path().display().to_string()];
    if !by_file {
        args.extend(["--access-token".to_owned(), token.secret.reveal().to_owned()]);
    }
    let is_verbose = context.verbose || session.connect_detail == ConnectDetail::Wanted;
    if session.connect_detail == ConnectDetail::Wanted {
        session.connect_detail = ConnectDetail::Logged;
    }
    let result = run_connect(context, &session.facts, &args, is_verbose).await;
    match &result {
        Err(failure) if !is_verbose && wants_detail(session, &failure.fault) => {
            // If the engine retries, that attempt is verbose; if the run ends here, it is repeated for the details.
            if is_tried_again(context, &failure.fault) || Instant::now() >= context.deadline {
                session.connect_detail = ConnectDetail::Wanted;
                return result;
            }
            session.connect_detail = ConnectDetail::Logged;
            info!(
                event = "connect.verbose",
                fault = failure.fault.code(),
                "connect failed; it is run once more verbosely, so that the log has the details"
            );
            run_connect(context, &session.facts, &args, true).await
        }
        _ => result,
    }
}

/// Whether a verbose run can add details: not after a timeout, a sign-in prompt, or a partly successful connect.
fn wants_detail(session: &Session, fault: &Fault) -> bool {
    let has_nothing_to_add = [
        &catalogue::CONNECTED_TIMEOUT,
        &catalogue::CONNECTED_TOKEN_NOT_TAKEN,
        &catalogue::CONNECTED_HALF_MADE,
        &catalogue::CONNECTED_ELSEWHERE,
        &catalogue::AGENT_ABSENT,
    ];
    session.connect_detail == ConnectDetail::NotNeeded && !has_nothing_to_add.contains(&fault.kind)
}

/// Whether the engine connects again after this failure: it waits, or it repairs something first.
fn is_tried_again(context: &Context, fault: &Fault) -> bool {
    let is_allowed = |repair| (super::find(repair).is_allowed)(&context.settings);
    fault.kind.backoff.is_some() || fault.kind.repair.is_some_and(is_allowed)
}

/// Runs azcmagent once.
async fn run_connect(
    context: &Context,
    facts: &Facts,
    args: &[String],
    is_verbose: bool,
) -> Result<Connected, ConnectFailure> {
    let mut log = |line: &str| {
        let line = context.host.mask.apply(line);
        info!(event = "connect.output", line = %line.trim_end(), "azcmagent: {}", line.trim());
        !line.contains(connect::SIGN_IN)
    };
    let mut run = Program::new(PROGRAM, &[], context.within(REPAIR.limit));
    run.args = args.to_vec();
    if is_verbose {
        run.args.push("--verbose".to_owned());
    }
    if facts.agent.is_azure_vm_allowed {
        run.env.push((AZURE_VM_OVERRIDE.to_owned(), "true".to_owned()));
    }
    run.watch = Some(&mut log);
    match context.host.commands.run(run).await {
        Ok(finished) => evaluate(context, &finished),
        Err(error) => {
            let kind = match *error {
                CommandError::TimedOut { .. } => &catalogue::CONNECTED_TIMEOUT,
                CommandError::Stopped { .. } => &catalogue::CONNECTED_TOKEN_NOT_TAKEN,
                CommandError::NotFound { .. } => &catalogue::AGENT_ABSENT,
                CommandError::Start { .. } => &catalogue::AGENT_BROKEN,
            };
            Err(ConnectFailure { fault: kind.with_evidence(error.to_string()), words: String::new() })
        }
    }
}

/// Evaluates exit code and output of a run.
fn evaluate(context: &Context, finished: &Finished) -> Result<Connected, ConnectFailure> {
    let transcript = context.host.mask.apply(&finished.transcript);
    if finished.succeeded() && !connect::reports_failure(&transcript) {
        return Ok(Connected::Now);
    }
    let already = Some(connect::ALREADY_CONNECTED);
    let fault = if finished.code == already || connect::parse_agent_code(&transcript) == already {
        match difference(context, &transcript) {
            None => return Ok(Connected::Before),
            Some(evidence) => catalogue::CONNECTED_ELSEWHERE.with_evidence(evidence),
        }
    } else {
        connect::classify_failure(finished.code, &transcript)
    };
    Err(ConnectFailure { fault, words: connect::without_verbose_lines(&transcript) })
}

/// The difference between the target and the machine that the output names as already connected, if any. Without one the
/// `connected` condition decides.
fn difference(context: &Context, transcript: &str) -> Option<String> {
    let id = connect::parse_machine_id(transcript)?;
    let named = Show { resource_id: id.to_owned(), ..Show::default() };
    let difference = connected::target_difference(context, &named)?;
    Some(format!("it is connected as {id}: {difference}"))
}

/// The fault of a failed connect, with details from Azure.
async fn explain(
    context: &Context,
    facts: &Facts,
    failure: ConnectFailure,
    token: &Secret,
    name: &str,
) -> Fault {
    let ConnectFailure { fault, words } = failure;
    if fault.is(&catalogue::CONNECTED_NAME_TAKEN) {
        return explain_name_taken(context, facts, fault, token, name).await;
    }
    let is_role = fault.is(&catalogue::ACCESS_ROLE) || fault.is(&catalogue::ACCESS_LIST_ROLE);
    let Some(action) = arm::refused_action(&words).filter(|_| is_role) else { return fault };
    let is_listed = facts.permissions.as_ref().is_some_and(|listed| listed.grants(action));
    let (kind, note) = match arm::role_for(action) {
        _ if is_listed => {
            (&catalogue::ACCESS_PROPAGATING, "Azure lists this action for the identity".to_owned())
        }
        Some(role) => (fault.kind, format!("the action {action} is part of the role {role}")),
        None => (fault.kind, format!("the action {action} is part of neither of the two roles")),
    };
    let evidence = format!("{note}; {}", fault.evidence);
    fault.as_kind(kind, evidence)
}

/// Compares the machine that has the name with this VM: a machine that this VM created is incomplete, not a conflict.
async fn explain_name_taken(
    context: &Context,
    facts: &Facts,
    fault: Fault,
    token: &Secret,
    name: &str,
) -> Fault {
    let machine = match context.arm(token).machine(name).await {
        Ok(reply) if reply.status == 200 => Machine::parse(&reply.body),
        _ => return fault,
    };
    let own = connected::ask(context, facts).await.map(|show| show.vm_id).unwrap_or_default();
    let is_own = !own.is_empty() && own.eq_ignore_ascii_case(&machine.vm_id);
    let kind = if is_own { &catalogue::CONNECTED_HALF_MADE } else { fault.kind };
    let evidence = format!(
        "Azure has a machine {name} that is {} since {}, of the VM with id {}{}; {}",
        machine.status,
        machine.changed,
        machine.vm_id,
        if is_own { ", which is this one" } else { "" },
        fault.evidence
    );
    fault.as_kind(kind, evidence)
}

/// Writes the tags through ARM if they differ in Azure. The quoting of `--tags` has changed between versions of azcmagent,
/// so tags with special characters are compared.
async fn write_tags(context: &Context, token: &Secret, name: &str) {
    let tags = &context.settings.azure.tags;
    let is_plain =
        |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if tags.iter().all(|(name, value)| is_plain(name) && is_plain(value)) {
        return;
    }
    let arm = context.arm(token);
    let answered = |reply: &HttpsReply| format!("ARM answered {}", reply.status);
    let found = match arm.machine(name).await {
        Ok(reply) if reply.status == 200 => Ok(reply.body),
        Ok(reply) => Err(answered(&reply)),
        Err(error) => Err(error.to_string()),
    };
    let machine = match found {
        Ok(machine) => machine,
        Err(why) => return warn!(event = "tags.unchecked", "the tags were not checked: {why}"),
    };
    let machine: serde_json::Value = serde_json::from_str(&machine).unwrap_or_default();
    let stored = |(name, value): (&String, &String)| {
        machine.get("tags").and_then(|tags| tags.get(name)).and_then(serde_json::Value::as_str) == Some(value)
    };
    if tags.iter().all(stored) {
        return info!(event = "tags.checked", "the tags in Azure are as configured");
    }
    let why = match arm.set_tags(name).await {
        Ok(reply) if (200..300).contains(&reply.status) => {
            return info!(event = "tags.written", "the tags were written again");
        }
        Ok(reply) => answered(&reply),
        Err(error) => error.to_string(),
    };
    warn!(event = "tags.differ", "the tags differ in Azure: {why}");
}
