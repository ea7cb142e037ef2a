//! Units that are files of the VM, for the systemctl stand-in.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use crate::guest::Guest;
use crate::nexus::spec::{System, Unit};

/// The unit directories, highest precedence first.
const FOLDERS: [&str; 3] = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// The uptime of a VM without a `/proc/uptime`.
const UPTIME: f64 = 600.0;

/// A unit's file and its drop-ins; an empty text where it is masked.
fn text(guest: &Guest, name: &str) -> Option<String> {
    let found = FOLDERS.iter().find_map(|folder| {
        let path = guest.path(&format!("{folder}/{name}"));
        match fs::read_link(&path) {
            Ok(target) if target.as_os_str() == "/dev/null" => Some(String::new()),
            _ => fs::read_to_string(path).ok(),
        }
    })?;
    let mut parts = vec![found];
    for folder in FOLDERS {
        let folder = guest.path(&format!("{folder}/{name}.d"));
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        parts.extend(files.iter().filter_map(|path| fs::read_to_string(path).ok()));
    }
    Some(parts.concat())
}

fn names(guest: &Guest) -> Vec<String> {
    let entries = FOLDERS.iter().flat_map(|folder| fs::read_dir(guest.path(folder)).into_iter().flatten());
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".service") || name.ends_with(".timer")).collect()
}

/// Where the link is that makes a unit start at boot, if the unit says so.
fn link_of(guest: &Guest, name: &str, text: &str) -> Option<PathBuf> {
    let target = text.lines().find_map(|line| line.strip_prefix("WantedBy="))?;
    Some(guest.path(&format!("etc/systemd/system/{target}.wants/{name}")))
}

/// Reloads the units: adds new ones, removes those without a file, keeps running ones.
pub fn read(guest: &Guest, system: &mut System) {
    system.units.retain(|name, unit| unit.text.is_none() || text(guest, name).is_some());
    for name in names(guest) {
        let Some(text) = text(guest, &name) else { continue };
        let fresh = || Unit { active: "inactive".into(), sub: "dead".into(), ..Unit::stopped() };
        let unit = system.units.entry(name.clone()).or_insert_with(fresh);
        let is_masked = text.trim().is_empty();
        unit.load = if is_masked { "masked" } else { "loaded" }.to_owned();
        unit.file = match link_of(guest, &name, &text) {
            _ if is_masked => "masked",
            None => "static",
            Some(link) if link.symlink_metadata().is_ok() => "enabled",
            Some(_) => "disabled",
        }
        .to_owned();
        unit.text = Some(text);
    }
}

/// Makes or removes the link by which a unit starts at boot.
pub fn link(guest: &Guest, name: &str, on: bool) -> io::Result<()> {
    let Some(text) = text(guest, name) else { return Ok(()) };
    if text.trim().is_empty() {
        return Err(io::Error::other(format!("Unit file /etc/systemd/system/{name} is masked.")));
    }
    let Some(link) = link_of(guest, name, &text) else { return Ok(()) };
    let is_there = link.symlink_metadata().is_ok();
    match (on, is_there) {
        (true, false) => {
            if let Some(folder) = link.parent() {
                fs::create_dir_all(folder)?;
            }
            symlink(format!("/etc/systemd/system/{name}"), link)
        }
        (false, true) => fs::remove_file(link),
        _ => Ok(()),
    }
}

/// Whether the loaded units match the files.
pub fn need_reload(guest: &Guest, name: &str, unit: &Unit) -> &'static str {
    let is_old = unit.text.is_some() && unit.text != text(guest, name);
    if is_old {
        "yes"
    } else {
        "no"
    }
}

/// When a timer elapses, as a time span since the boot: an interval after now.
pub fn next_elapse(guest: &Guest, unit: &Unit) -> String {
    let text = unit.text.as_deref().unwrap_or_default();
    let every = text.lines().rev().find_map(|line| line.strip_prefix("OnUnitInactiveSec="));
    let every = every.and_then(|every| every.strip_suffix('s')?.parse::<u64>().ok());
    let (Some(every), "active") = (every, unit.active.as_str()) else { return "infinity".to_owned() };
    let uptime = fs::read_to_string(guest.path("proc/uptime")).unwrap_or_default();
    let uptime = uptime.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(UPTIME);
    span(Duration::from_secs_f64(uptime) + Duration::from_secs(every))
}

/// As systemd writes time spans: `1h 4min 5.123456s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(86_400, "d", u64::MAX), (3600, "h", 24), (60, "min", 60)];
    let mut words: Vec<String> = parts
        .iter()
        .map(|(size, name, most)| (seconds / size % most, name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count}{name}"))
        .collect();
    let rest = Duration::from_secs(seconds % 60) + Duration::from_nanos(u64::from(time.subsec_nanos()));
    if !rest.is_zero() {
        words.push(format!("{:.6}s", rest.as_secs_f64()));
    }
    words.join(" ")
}
