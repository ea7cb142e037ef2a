//! The timer that runs `enroll` again: after a first boot that ran out of its window, a reboot in the middle, or
//! drift weeks later.
//!
//! It is looked after early in every run. That it cannot be had is a warning: this run does its work all the same.

mod units;

pub use units::Repeat;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::context::Context;
use crate::host::commands::{tail, Program};
use crate::host::files::{FileError, Files, Readable};
use crate::host::{describe, system, Host};
use crate::output::progress::Progress;
use crate::output::terminal::{self, Mark, Style};
use crate::settings::{self, Settings, BINARY_PATH};
use units::{UnitFile, UNITS};

/// The timer's unit.
const NAME: &str = "arc-enroll.timer";

/// The unit that it starts.
const SERVICE: &str = "arc-enroll.service";

/// Where the links are that start timers at boot.
const WANTED_BY: &str = "/etc/systemd/system/timers.target.wants";

/// Ours among them.
const LINK: &str = "/etc/systemd/system/timers.target.wants/arc-enroll.timer";

/// Time limit of a call of systemctl.
const LIMIT: Duration = Duration::from_secs(30);

/// Where programs stay where they are and may be executed.
const LASTING: [&str; 3] = ["/usr/", "/opt/", "/var/lib/"];

/// Where files go at a reboot, or with the process that made them.
const PASSING: [&str; 5] = ["/tmp/", "/var/tmp/", "/run/", "/dev/", "/proc/"];

/// What systemd is asked about the timer.
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,\
                          NextElapseUSecMonotonic";

/// The timer as systemd sees it.
#[derive(Debug, Default)]
pub struct State {
    /// There is such a unit, and it comes back after a reboot.
    pub installed: bool,
    /// It runs.
    pub active: bool,
    /// It waits for the service that it started.
    pub working: bool,
    /// An administrator has forbidden it.
    masked: bool,
    /// A unit on the disk is not the one that systemd has read.
    outdated: bool,
    /// Since the boot, when it elapses next.
    next: Option<Duration>,
}

impl State {
    /// When it elapses next.
    pub fn next(&self, files: &Files) -> Option<SystemTime> {
        let uptime = files.uptime()?;
        let next = self.next.filter(|_| self.active && !self.working)?;
        SystemTime::now().checked_add(next.saturating_sub(uptime))
    }
}

/// Installs the timer and keeps it as the configuration wants it; whether it looks after this VM from here on.
pub async fn keep(context: &Context, repeat: &Repeat, progress: &Progress) -> bool {
    let is_wanted = context.settings.repair.timer;
    let done = arrange(context, repeat).await;
    let is_kept = is_wanted && done.is_ok();
    match done {
        Ok(false) => {}
        Ok(true) => {
            let every_s = context.settings.repair.every.as_secs();
            let (event, what) = if is_wanted {
                ("timer.installed", "is set up to look after this VM")
            } else {
                ("timer.removed", "is removed, as the configuration says")
            };
            info!(event, every_s, "{NAME} {what}");
        }
        Err(reason) => {
            let reason = context.host.mask.apply(&reason);
            warn!(event = "timer.not-installed", reason, "{NAME} is not set up: {reason}");
            let text = format!("not set up: {reason}");
            progress.say(&terminal::line(&Style::Plain, Mark::Skipped, "timer", &text));
        }
    }
    is_kept
}

/// When the timer has tried again at the latest.
pub fn latest(settings: &Settings) -> Option<SystemTime> {
    let every = settings.repair.every.as_secs();
    SystemTime::now().checked_add(Duration::from_secs(every + units::spread(every)))
}

/// What systemd says about the timer.
///
/// # Errors
/// Why it cannot be asked.
pub async fn look(host: &Host) -> Result<State, String> {
    let said = systemctl(host, &["show", PROPERTIES, NAME, SERVICE]).await?;
    let value = |name: &str| {
        said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().trim()
    };
    let is_loaded = value("LoadState") == "loaded";
    Ok(State {
        installed: is_loaded && value("UnitFileState") == "enabled",
        active: value("ActiveState") == "active",
        working: value("SubState") == "running",
        masked: said.contains("LoadState=masked"),
        outdated: said.contains("NeedDaemonReload=yes"),
        // A time span such as "1h 4min 5.123s"; "infinity" while the service runs.
        next: settings::parse_duration(value("NextElapseUSecMonotonic")),
    })
}

/// Makes the timer as the configuration wants it; whether anything had to be changed.
async fn arrange(context: &Context, repeat: &Repeat) -> Result<bool, String> {
    let mut calls: Vec<&[&str]> = Vec::new();
    if context.settings.repair.timer {
        let state = look(&context.host).await?;
        if state.masked {
            return Err(format!("an administrator has masked it; to have it again: systemctl unmask {NAME}"));
        }
        if write(context, repeat)? || state.outdated {
            calls.push(&["daemon-reload"]);
        }
        if !state.installed {
            calls.push(&["enable", NAME]);
        }
        if !state.active {
            // Not waited for: at first boot a job may have to wait for the one that this run is part of.
            calls.push(&["start", "--no-block", NAME]);
        }
    } else if remove(&context.host.files).map_err(|error| describe(&error))? {
        // The timer alone: the service may be this very run.
        calls.extend([&["stop", NAME][..], &["daemon-reload"]]);
    }
    for call in &calls {
        systemctl(&context.host, call).await?;
    }
    Ok(!calls.is_empty())
}

/// Writes both units, or what has to be set beside packaged ones; whether that was needed.
fn write(context: &Context, repeat: &Repeat) -> Result<bool, String> {
    let files = &context.host.files;
    let program = program(files)?;
    if let Some(config) = repeat.config.as_deref().filter(|path| is_below(path, &PASSING)) {
        let place = settings::DEFAULT_PATH;
        return Err(format!("the configuration {config} will not stay there; put it at {place}"));
    }
    let values = units::values(&program, repeat, &context.settings);
    let mut is_changed = false;
    for unit in &UNITS {
        is_changed |= write_unit(files, unit, &values).map_err(|error| describe(&error))?;
    }
    Ok(is_changed)
}

fn write_unit(files: &Files, unit: &UnitFile, values: &str) -> Result<bool, FileError> {
    let mut path = unit.own;
    let mut existing = files.read(path)?;
    let mut wanted = Some(unit.text(values));
    if existing.is_none() {
        for packaged in unit.packaged {
            if let Some(packaged) = files.read(packaged)? {
                path = unit.drop_in;
                existing = files.read(path)?;
                wanted = unit.beside(&packaged, values);
                break;
            }
        }
    }
    // An administrator forbids a unit by a link to /dev/null or an empty file (systemd.unit(5)); systemd says so.
    let is_masked = existing.as_ref().is_some_and(|text| text.trim().is_empty());
    if is_masked || wanted == existing {
        return Ok(false);
    }
    match wanted {
        Some(text) => files.write(path, text.as_bytes(), Readable::Everyone)?,
        None => files.remove(path)?,
    }
    Ok(true)
}

/// Removes what was written, and the link that starts the timer at boot; whether there was any of it.
fn remove(files: &Files) -> Result<bool, FileError> {
    let mut is_changed = false;
    for path in UNITS.iter().flat_map(|unit| [unit.own, unit.drop_in]) {
        // An administrator's link to /dev/null is not ours, and reads as nothing.
        if files.read(path)?.is_some_and(|text| !text.is_empty()) {
            files.remove(path)?;
            is_changed = true;
        }
    }
    if files.names(WANTED_BY).iter().any(|name| name == NAME) {
        files.remove(LINK)?;
        is_changed = true;
    }
    Ok(is_changed)
}

/// Where the timer finds this program.
fn program(files: &Files) -> Result<PathBuf, String> {
    if !files.is_real() {
        // As `systemctl --root` sees it: where the user-data puts it.
        return Ok(BINARY_PATH.into());
    }
    let own = system::own_program().ok_or("where this program is cannot be read in /proc/self/exe")?;
    lasting(&own, |path| files.exists(path))
        .ok_or_else(|| format!("this program runs from {}; put it at {BINARY_PATH}", own.display()))
}

/// This program where it stays, else the one that is installed: a copy in /tmp or /home is not the timer's.
fn lasting(own: &Path, exists: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    if own.to_str().is_some_and(|path| is_below(path, &LASTING)) {
        return Some(own.to_owned());
    }
    [BINARY_PATH, "/usr/bin/arc-enroll"].map(PathBuf::from).into_iter().find(|path| exists(path))
}

fn is_below(path: &str, directories: &[&str]) -> bool {
    directories.iter().any(|directory| path.starts_with(directory))
}

/// The standard output of a systemctl that succeeded, or what it said.
async fn systemctl(host: &Host, args: &[&str]) -> Result<String, String> {
    let finished =
        host.commands.run(Program::new("systemctl", args, LIMIT)).await.map_err(|error| describe(&error))?;
    if finished.succeeded() {
        return Ok(finished.stdout);
    }
    // The long list of properties says nothing to a person.
    let words: Vec<&str> = args.iter().copied().filter(|word| *word != PROPERTIES).collect();
    Err(format!("systemctl {}: {}", words.join(" "), tail(&finished.transcript)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_runs_a_program_that_stays() {
        let none = |_: &Path| false;
        for stays in ["/usr/local/bin/arc-enroll", "/usr/bin/arc-enroll", "/opt/a/b", "/var/lib/x"] {
            assert_eq!(lasting(Path::new(stays), none).as_deref(), Some(Path::new(stays)));
        }
        for goes in ["/tmp/arc-enroll", "/home/me/arc-enroll", "/usrlocal/x", "/root/arc-enroll"] {
            assert_eq!(lasting(Path::new(goes), none), None, "{goes}");
            let installed = Path::new("/usr/bin/arc-enroll");
            assert_eq!(lasting(Path::new(goes), |path| path == installed).as_deref(), Some(installed));
        }
    }
}
