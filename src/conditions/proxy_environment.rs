//! Condition 2: the proxy settings hold in every place where something reads them.

use std::io::ErrorKind;
use std::time::Duration;

use super::{Evidence, Vm};
use crate::catalogue;
use crate::host::commands::Run;
use crate::host::files::{FileError, Files, Readable};
use crate::host::system;
use crate::model::fault::Fault;
use crate::model::pairs::Pairs;
use crate::proxy_files::{
    self, DesiredProxy, Edit, FileText, Mismatch, Presence, ProxyFile, TakesEffect, PROXY_FILES,
};

/// Time limit of a question to systemd.
const LIMIT: Duration = Duration::from_secs(10);

/// What is wrong with one place.
struct Finding {
    /// The place and who reads it.
    place: String,
    wrong: Mismatch,
    /// In words, when there is more to say than that nothing is set.
    detail: String,
}

pub(crate) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    if !vm.settings.proxy.persist {
        return Ok("set for this run only, as the configuration says".to_owned());
    }
    let mut findings = Vec::new();
    for (edit, existing) in edits(vm)? {
        check_writable(vm, edit.file.path)?;
        findings.push(judge(vm, &edit, existing.as_deref()));
    }
    findings.extend(manager(vm).await);
    let Some(worst) = findings.iter().map(|finding| finding.wrong).max() else {
        let mut evidence = format!("{} in every place", DesiredProxy::from(&vm.settings.proxy).shown);
        let shell = vm.learnt.shell.borrow();
        if !shell.is_empty() {
            evidence.push_str(&format!("; but in the environment of this command {shell}"));
        }
        return Ok(evidence);
    };
    let entry = match worst {
        Mismatch::Contradictory => &catalogue::PROXY_ENV_CONTRADICTORY,
        Mismatch::Incomplete => &catalogue::PROXY_ENV_MISSING,
        Mismatch::NoProxy => &catalogue::PROXY_ENV_NO_PROXY,
    };
    let colon = |detail: &str| if detail.is_empty() { String::new() } else { format!(": {detail}") };
    let places = findings.iter().map(|finding| format!("{}{}", finding.place, colon(&finding.detail)));
    Err(entry.with_evidence(format!("not yet right: {}", places.collect::<Vec<_>>().join("; "))))
}

fn judge(vm: &Vm, edit: &Edit, existing: Option<&str>) -> Finding {
    let found = edit.file.values(existing.unwrap_or_default());
    let right = edit.file.values(&edit.content);
    let (wrong, mut detail) = proxy_files::compare(&found, &right, &vm.settings.proxy.no_proxy);
    if existing == Some(edit.content.as_str()) {
        "everybody may read the password in it".clone_into(&mut detail);
    }
    Finding { place: format!("{} ({})", edit.file.path, edit.file.readers), wrong, detail }
}

/// What the running systemd gives to services, where it is something else than what the files say.
///
/// A run that was killed before `daemon-reexec` leaves it behind the files; `systemctl set-environment` overrides
/// them (systemctl(1)). Once it was told, the next boot does the rest: nothing here waits for that.
async fn manager(vm: &Vm) -> Option<Finding> {
    if vm.learnt.manager_told.get()
        || !proxy_files::taking_effect(TakesEffect::ManagerReexec).any(|place| applies(vm, place))
    {
        return None;
    }
    let found = of_manager(vm).await?;
    let wanted = DesiredProxy::from(&vm.settings.proxy);
    let right = proxy_files::variables(&wanted, &[]).into_iter();
    let right: Pairs = right.map(|(name, value)| (name.to_owned(), value.reveal().to_owned())).collect();
    let (wrong, detail) = proxy_files::compare(&found, &right, &wanted.no_proxy);
    let is_right = detail.is_empty() && right.keys().any(|name| found.contains_key(name));
    // It always has variables of its own; a listing without any tells nothing.
    let is_telling = !found.is_empty();
    (is_telling && !is_right).then(|| Finding {
        place: "the running systemd (services)".to_owned(),
        wrong,
        detail,
    })
}

/// The environment that the running systemd gives to services; nothing where it does not say.
pub(crate) async fn of_manager(vm: &Vm) -> Option<Pairs> {
    let run = Run::new("systemctl", &["show-environment"], vm.within(LIMIT));
    let shown = vm.host.commands.run(run).await.ok().filter(|finished| finished.succeeded())?;
    Some(read_environment(&shown.stdout))
}

/// The lines of `systemctl show-environment`, which quotes as `$'…'` what a shell would take apart.
fn read_environment(text: &str) -> Pairs {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let plain = |value: &str| {
        let inner = value.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\''));
        inner.map_or_else(|| value.to_owned(), |inner| inner.replace("\\'", "'").replace("\\\\", "\\"))
    };
    pairs.map(|(name, value)| (name.to_owned(), plain(value))).collect()
}

/// Writes what is missing; the arguments of systemctl that make the running systemd follow.
pub(crate) async fn persist(vm: &Vm) -> Result<Vec<Vec<&'static str>>, Fault> {
    let mut for_manager = false;
    for (edit, _) in edits(vm)? {
        let readable = if edit.private { Readable::Owner } else { Readable::Everyone };
        vm.host
            .files
            .write(edit.file.path, edit.content.as_bytes(), readable)
            .map_err(|error| not_writable(vm, &error))?;
        for_manager |= edit.file.takes_effect == TakesEffect::ManagerReexec;
    }
    let manager = manager(vm).await;
    vm.learnt.manager_told.set(true);
    // Only a re-executed manager reads DefaultEnvironment= anew, in every version of systemd.
    let reexec = vec!["daemon-reexec"];
    Ok(match manager {
        // What was set by hand would go on to win over the files.
        Some(finding) if finding.wrong != Mismatch::Incomplete => {
            let wanted = DesiredProxy::from(&vm.settings.proxy);
            let names = proxy_files::variables(&wanted, &[]).into_iter().map(|(name, _)| name);
            vec![["unset-environment"].into_iter().chain(names).collect(), reexec]
        }
        Some(_) => vec![reexec],
        None if for_manager => vec![reexec],
        None => Vec::new(),
    })
}

/// A file that cannot be written, as a fault.
pub(crate) fn not_writable(vm: &Vm, error: &FileError) -> Fault {
    let source = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    vm.learnt.path.replace(Some(error.path.display().to_string()));
    if error.source.kind() != ErrorKind::StorageFull {
        return catalogue::HOST_READ_ONLY.with_evidence(format!("{error}{source}"));
    }
    let free = system::free_bytes(&error.path, true).unwrap_or_default() >> 20;
    catalogue::HOST_DISK_FULL.with_evidence(format!("{error}{source}; {free} MiB free"))
}

/// Who only looks says as well that a repair would fail.
fn check_writable(vm: &Vm, path: &str) -> Result<(), Fault> {
    let path = vm.host.files.path(path);
    match system::refusal_to_write(&path) {
        Some(source) => Err(not_writable(vm, &FileError { action: "write", path, source })),
        None => Ok(()),
    }
}

/// What has to be written where, and what stands there.
fn edits(vm: &Vm) -> Result<Vec<(Edit, Option<String>)>, Fault> {
    let wanted = DesiredProxy::from(&vm.settings.proxy);
    let mut edits = Vec::new();
    for place in &PROXY_FILES {
        if applies(vm, place) {
            edits.extend(edit(vm, place, &wanted)?);
        }
    }
    Ok(edits)
}

fn applies(vm: &Vm, place: &ProxyFile) -> bool {
    match place.presence {
        Presence::Always => true,
        Presence::Directory(directory) => vm.host.files.is_dir(directory),
        Presence::File => vm.host.files.exists(place.path),
    }
}

fn edit(
    vm: &Vm,
    place: &'static ProxyFile,
    wanted: &DesiredProxy,
) -> Result<Option<(Edit, Option<String>)>, Fault> {
    let is_unseen = std::cell::Cell::new(false);
    let read = |path: &str| match vm.host.files.read(path) {
        // Who only looks goes on without what only root may read.
        Err(error) if !vm.exclusive && error.source.kind() == ErrorKind::PermissionDenied => {
            vm.learnt.unseen.borrow_mut().push(format!("{error}: {}", error.source));
            is_unseen.set(true);
            Ok(None)
        }
        other => other.map_err(|error| not_writable(vm, &error)),
    };
    let existing = read(place.path)?;
    if is_unseen.get() {
        return Ok(None);
    }
    let mut texts = Vec::new();
    for path in others(&vm.host.files, place) {
        if let Some(text) = read(&path)? {
            texts.push((path, text));
        }
    }
    let others: Vec<FileText<'_>> = texts.iter().map(|(path, text)| FileText { path, text }).collect();
    let edit = place
        .edit(wanted, existing.as_deref(), &others)
        .map_err(|error| catalogue::AGENT_CONFIGURATION.with_evidence(error.to_string()))?;
    // The right text with a password in it is not right as long as everybody can read it.
    let is_exposed = place.private(wanted) && vm.host.files.is_world_readable(place.path);
    let edit = match (edit, &existing) {
        (None, Some(content)) if is_exposed => {
            Some(Edit { file: place, content: content.clone(), private: true })
        }
        (edit, _) => edit,
    };
    Ok(edit.map(|edit| (edit, existing)))
}

/// The files that a place wants to see, its patterns resolved.
pub fn others(files: &Files, place: &ProxyFile) -> Vec<String> {
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
    fn the_environment_of_systemd_is_read_with_its_quotes() {
        let values = read_environment("LANG=C.UTF-8\nNO_PROXY=$'*,a\\'b'\nempty=\nno line\n");
        let found: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("LANG", "C.UTF-8"), ("NO_PROXY", "*,a'b"), ("empty", "")]);
    }
}
