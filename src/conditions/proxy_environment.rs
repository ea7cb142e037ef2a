//! Condition 2: the proxy settings hold in every place where something reads them.

use super::{Evidence, Vm};
use crate::fault::{self, Fault};
use crate::host::files::{FileError, Files, Readable};
use crate::proxy_settings::{Edit, Other, Place, Presence, Wanted, PLACES};

pub(super) fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    if !vm.settings.proxy.persist {
        return Ok("set for this run only, as the configuration says".to_owned());
    }
    let edits = edits(vm)?;
    if edits.is_empty() {
        return Ok(format!("{} in every place", Wanted::from(&vm.settings.proxy).shown));
    }
    let readers =
        |path: &str| PLACES.iter().find(|place| place.path == path).map_or("", |place| place.readers);
    let places: Vec<String> =
        edits.iter().map(|edit| format!("{} ({})", edit.path, readers(edit.path))).collect();
    Err(fault::PROXY_ENV_MISSING.seen(format!("not yet right: {}", places.join(", "))))
}

/// Writes what is missing; whether the systemd manager has to read its settings anew.
pub(super) fn persist(vm: &Vm) -> Result<bool, Fault> {
    let mut for_manager = false;
    for edit in edits(vm)? {
        let readable = if edit.private { Readable::Owner } else { Readable::Everyone };
        vm.host
            .files
            .write(edit.path, edit.content.as_bytes(), readable)
            .map_err(|error| not_writable(&error))?;
        for_manager |= edit.path.starts_with("/etc/systemd/");
    }
    Ok(for_manager)
}

/// A file that cannot be written, as a fault.
pub(super) fn not_writable(error: &FileError) -> Fault {
    let source = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let is_full = error.source.kind() == std::io::ErrorKind::StorageFull;
    let entry = if is_full { &fault::HOST_DISK_FULL } else { &fault::HOST_READ_ONLY };
    entry.seen(format!("{error}{source}"))
}

fn edits(vm: &Vm) -> Result<Vec<Edit>, Fault> {
    let wanted = Wanted::from(&vm.settings.proxy);
    let mut edits = Vec::new();
    for place in PLACES {
        if applies(vm, &place) {
            edits.extend(edit(vm, &place, &wanted)?);
        }
    }
    Ok(edits)
}

fn applies(vm: &Vm, place: &Place) -> bool {
    match place.presence {
        Presence::Always => true,
        Presence::Directory(directory) => vm.host.files.is_dir(directory),
        Presence::File => vm.host.files.exists(place.path),
    }
}

fn edit(vm: &Vm, place: &Place, wanted: &Wanted) -> Result<Option<Edit>, Fault> {
    let read = |path: &str| vm.host.files.read(path).map_err(|error| not_writable(&error));
    let existing = read(place.path)?;
    let mut texts = Vec::new();
    for path in others(&vm.host.files, place) {
        if let Some(text) = read(&path)? {
            texts.push((path, text));
        }
    }
    let others: Vec<Other<'_>> = texts.iter().map(|(path, text)| Other { path, text }).collect();
    let edit = place
        .edit(wanted, existing.as_deref(), &others)
        .map_err(|error| fault::AGENT_CONFIGURATION.seen(error.to_string()))?;
    // The right text with a password in it is not right as long as everybody can read it.
    let is_exposed = place.private(wanted) && vm.host.files.is_world_readable(place.path);
    Ok(match (edit, existing) {
        (None, Some(content)) if is_exposed => Some(Edit { path: place.path, content, private: true }),
        (edit, _) => edit,
    })
}

/// The files that a place wants to see, its patterns resolved.
pub fn others(files: &Files, place: &Place) -> Vec<String> {
    let mut paths = Vec::new();
    for pattern in place.others {
        match pattern.rsplit_once('/') {
            Some((directory, name)) if name.contains('*') => {
                let names = files.names(directory).into_iter();
                paths.extend(
                    names.map(|name| format!("{directory}/{name}")).filter(|path| place.looks_at(path)),
                );
            }
            _ => paths.push((*pattern).to_owned()),
        }
    }
    paths
}
