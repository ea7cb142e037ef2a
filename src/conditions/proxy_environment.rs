//! Condition 2: every proxy file has the configured settings.

use std::io::ErrorKind;
use std::time::Duration;

use super::{Notes, Observation};
use crate::catalogue;
use crate::context::{not_writable, Context, Facts};
use crate::host::commands::Program;
use crate::host::files::{FileError, Files};
use crate::host::{describe, system};
use crate::model::check::Evidence;
use crate::model::fault::Fault;
use crate::model::pairs::Pairs;
use crate::model::repair::RepairId;
use crate::proxy_files::{
    self, DesiredProxy, Edit, FileText, Mismatch, Presence, ProxyFile, TakesEffect, PROXY_FILES,
};

/// Time limit of a systemctl query.
const LIMIT: Duration = Duration::from_secs(10);

/// A proxy file or the systemd manager with wrong settings.
pub struct Finding {
    /// The file and its readers.
    place: String,
    /// How the settings differ.
    pub mismatch: Mismatch,
    /// Details; empty if nothing is set.
    detail: String,
}

pub(super) async fn observe(context: &Context, facts: &Facts) -> Observation {
    let mut notes = Notes::default();
    let outcome = evaluate_all(context, facts, &mut notes).await;
    notes.observation(outcome)
}

async fn evaluate_all(context: &Context, facts: &Facts, notes: &mut Notes) -> Result<Evidence, Fault> {
    if !context.settings.proxy.persist {
        return Ok("set for this run only, as the configuration says".to_owned());
    }
    let mut findings = Vec::new();
    for (edit, existing) in edits(context, &mut notes.not_checked)? {
        check_writable(context, edit.file.path)?;
        findings.push(evaluate(context, &edit, existing.as_deref()));
    }
    findings.extend(manager(context, facts).await);
    let Some(worst) = findings.iter().map(|finding| finding.mismatch).max() else {
        let mut evidence = format!("{} in every place", DesiredProxy::from(&context.settings.proxy).shown);
        let shell = &context.shell_mismatch;
        if !shell.is_empty() {
            evidence.push_str(&format!("; but in the environment of this command {shell}"));
        }
        return Ok(evidence);
    };
    let kind = match worst {
        Mismatch::Contradictory => &catalogue::PROXY_ENV_CONTRADICTORY,
        Mismatch::Incomplete => &catalogue::PROXY_ENV_MISSING,
        Mismatch::NoProxy => &catalogue::PROXY_ENV_NO_PROXY,
    };
    let colon = |detail: &str| if detail.is_empty() { String::new() } else { format!(": {detail}") };
    let places = findings.iter().map(|finding| format!("{}{}", finding.place, colon(&finding.detail)));
    Err(kind.with_evidence(format!("not yet right: {}", places.collect::<Vec<_>>().join("; "))))
}

fn evaluate(context: &Context, edit: &Edit, existing: Option<&str>) -> Finding {
    let found = edit.file.values(existing.unwrap_or_default());
    let right = edit.file.values(&edit.content);
    let (mismatch, mut detail) = proxy_files::compare(&found, &right, &context.settings.proxy.no_proxy);
    if existing == Some(edit.content.as_str()) {
        "any user can read the password in it".clone_into(&mut detail);
    }
    Finding { place: format!("{} ({})", edit.file.path, edit.file.readers), mismatch, detail }
}

/// A finding if the environment that the running systemd passes to services differs from the files.
///
/// A run that was killed before `daemon-reexec` leaves the manager outdated; `systemctl set-environment` overrides the
/// files (systemctl(1)). After a repair in this run the manager is not checked again.
pub async fn manager(context: &Context, facts: &Facts) -> Option<Finding> {
    let mut read_by_manager = proxy_files::taking_effect(TakesEffect::ManagerReexec);
    if facts.has_run(RepairId::PersistProxy) || !read_by_manager.any(|file| applies(context, file)) {
        return None;
    }
    let found = manager_environment(context).await?;
    let wanted = DesiredProxy::from(&context.settings.proxy);
    let right = wanted.environment();
    let (mismatch, detail) = proxy_files::compare(&found, &right, &wanted.no_proxy);
    let is_right = detail.is_empty() && right.keys().any(|name| found.contains_key(name));
    // The manager always has some variables, so an empty listing is not evidence.
    let is_listed = !found.is_empty();
    (is_listed && !is_right).then(|| Finding {
        place: "the running systemd (services)".to_owned(),
        mismatch,
        detail,
    })
}

/// The environment that the running systemd passes to services; none if systemctl fails.
pub(super) async fn manager_environment(context: &Context) -> Option<Pairs> {
    let run = Program::new("systemctl", &["show-environment"], context.within(LIMIT));
    let shown = context.host.commands.run(run).await.ok().filter(|finished| finished.succeeded())?;
    Some(parse_environment(&shown.stdout))
}

/// Parses `systemctl show-environment`, which quotes values with shell syntax as `$'…'`.
fn parse_environment(text: &str) -> Pairs {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let plain = |value: &str| {
        let inner = value.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\''));
        inner.map_or_else(|| value.to_owned(), |inner| inner.replace("\\'", "'").replace("\\\\", "\\"))
    };
    pairs.map(|(name, value)| (name.to_owned(), plain(value))).collect()
}

/// Checks that a repair could write the file, also when only observing.
fn check_writable(context: &Context, path: &str) -> Result<(), Fault> {
    let path = context.host.files.path(path);
    match system::read_only_error(&path) {
        Some(source) => Err(not_writable(&FileError { action: "write", path, source })),
        None => Ok(()),
    }
}

/// The required edits, each with the present content of the file.
///
/// # Errors
/// The fault of a file that cannot be read or edited.
pub fn edits(context: &Context, not_checked: &mut Vec<String>) -> Result<Vec<(Edit, Option<String>)>, Fault> {
    let wanted = DesiredProxy::from(&context.settings.proxy);
    let mut edits = Vec::new();
    for file in &PROXY_FILES {
        if applies(context, file) {
            edits.extend(edit(context, file, &wanted, not_checked)?);
        }
    }
    Ok(edits)
}

fn applies(context: &Context, file: &ProxyFile) -> bool {
    match file.presence {
        Presence::Always => true,
        Presence::Directory(directory) => context.host.files.is_dir(directory),
        Presence::File => context.host.files.exists(file.path),
    }
}

fn edit(
    context: &Context,
    file: &'static ProxyFile,
    wanted: &DesiredProxy,
    not_checked: &mut Vec<String>,
) -> Result<Option<(Edit, Option<String>)>, Fault> {
    let Some(existing) = read(context, file.path, not_checked)? else { return Ok(None) };
    let mut texts = Vec::new();
    for path in other_files(&context.host.files, file) {
        if let Some(Some(text)) = read(context, &path, not_checked)? {
            texts.push((path, text));
        }
    }
    let others: Vec<FileText<'_>> = texts.iter().map(|(path, text)| FileText { path, text }).collect();
    let edit = file
        .edit(wanted, existing.as_deref(), &others)
        .map_err(|error| catalogue::AGENT_CONFIGURATION.with_evidence(error.to_string()))?;
    // Correct content that includes a password still needs an edit while any user can read it.
    let is_exposed = file.private(wanted) && context.host.files.is_world_readable(file.path);
    let edit = match (edit, &existing) {
        (None, Some(content)) if is_exposed => Some(Edit { file, content: content.clone(), private: true }),
        (edit, _) => edit,
    };
    Ok(edit.map(|edit| (edit, existing)))
}

/// The content of a file, `Some(None)` if it does not exist. None if an observing user may not read it; the other files
/// are still observed.
fn read(
    context: &Context,
    path: &str,
    not_checked: &mut Vec<String>,
) -> Result<Option<Option<String>>, Fault> {
    match context.host.files.read(path) {
        Err(error) if !context.makes_changes() && error.source.kind() == ErrorKind::PermissionDenied => {
            not_checked.push(describe(&error));
            Ok(None)
        }
        other => other.map(Some).map_err(|error| not_writable(&error)),
    }
}

/// The other files that a proxy file's format depends on, with patterns resolved.
pub fn other_files(files: &Files, place: &ProxyFile) -> Vec<String> {
    let mut paths = Vec::new();
    for other in place.others {
        match other.pattern.rsplit_once('/') {
            Some((directory, name)) if name.contains('*') => {
                let names = files.names(directory).into_iter();
                paths.extend(
                    names.map(|name| format!("{directory}/{name}")).filter(|path| place.looks_at(path)),
                );
            }
            _ => paths.push(other.pattern.to_owned()),
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_environment_is_parsed_with_quotes() {
        let values = parse_environment("LANG=C.UTF-8\nNO_PROXY=$'*,a\\'b'\nempty=\nno line\n");
        let found: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("LANG", "C.UTF-8"), ("NO_PROXY", "*,a'b"), ("empty", "")]);
    }
}
