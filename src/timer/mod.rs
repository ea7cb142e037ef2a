//! The systemd timer that repeats `enroll`: after a first boot that exceeded its window, an interrupted run, or later
//! drift.
//!
//! Each run configures it early. A failure is logged as a warning and does not stop the run.

mod units;

pub use units::Repeat;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::context::Context;
use crate::host::commands::{tail, Program};
use crate::host::files::{FileError, Files, Readable};
use crate::host::tasks::Task;
use crate::host::{describe, system, Host};
use crate::output::progress::Progress;
use crate::output::terminal::{self, Mark, Style};
use crate::settings::{self, Settings, BINARY_PATH};
use units::{UnitFile, UNITS};

/// Name of the timer unit.
const NAME: &str = "arc-enroll.timer";

/// Name of the unit that the timer starts.
const SERVICE: &str = "arc-enroll.service";

/// Directory of the links that start timers at boot.
const WANTED_BY: &str = "/etc/systemd/system/timers.target.wants";

/// The link that starts our timer.
const LINK: &str = "/etc/systemd/system/timers.target.wants/arc-enroll.timer";

/// Time limit of a call of systemctl.
const LIMIT: Duration = Duration::from_secs(30);

/// Directories from which the timer may run a program.
const PERMANENT: [&str; 3] = ["/usr/", "/opt/", "/var/lib/"];

/// Directories whose files disappear at a reboot or with a process.
const TEMPORARY: [&str; 5] = ["/tmp/", "/var/tmp/", "/run/", "/dev/", "/proc/"];

/// The properties that are requested from systemd.
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,\
                          NextElapseUSecMonotonic";

/// The state of the timer in systemd.
#[derive(Debug, Default)]
pub struct State {
    /// The unit exists and is enabled.
    pub installed: bool,
    /// The timer is active.
    pub active: bool,
    /// The service that it started is running.
    pub working: bool,
    /// An administrator has masked it.
    masked: bool,
    /// systemd has not loaded the unit files on the disk.
    outdated: bool,
    /// When it elapses next, as time since boot.
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

/// Installs, updates or removes the timer as configured; returns whether it is active. Failures are logged.
pub async fn configure(context: &Context, repeat: &Repeat, progress: &Progress) -> bool {
    let is_wanted = context.settings.repair.timer;
    let result = apply(context, repeat).await;
    let is_active = is_wanted && result.is_ok();
    match result {
        Ok(false) => {}
        Ok(true) if is_wanted => {
            let every_s = context.settings.repair.every.as_secs();
            info!(event = "timer.installed", every_s, "{NAME} is set up to repeat enroll on this VM");
        }
        Ok(true) => info!(event = "timer.removed", "{NAME} is removed, as the configuration says"),
        Err(reason) => {
            let reason = context.host.mask.apply(&reason);
            warn!(event = "timer.not-installed", reason, "{NAME} is not set up: {reason}");
            let text = format!("not set up: {reason}");
            progress.print(&terminal::line(&Style::Plain, Mark::Skipped, "timer", &text));
        }
    }
    is_active
}

/// The latest time of the next run.
pub fn latest_run(settings: &Settings) -> Option<SystemTime> {
    let every = settings.repair.every.as_secs();
    SystemTime::now().checked_add(Duration::from_secs(every + units::spread(every)))
}

/// Queries the state of the timer.
///
/// # Errors
/// The error message of systemctl.
pub fn query_state(host: &Host) -> Task<'_, Result<State, String>> {
    Box::pin(query(host))
}

async fn query(host: &Host) -> Result<State, String> {
    let output = systemctl(host, &["show", PROPERTIES, NAME, SERVICE]).await?;
    let value = |name: &str| {
        output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().trim()
    };
    let is_loaded = value("LoadState") == "loaded";
    Ok(State {
        installed: is_loaded && value("UnitFileState") == "enabled",
        active: value("ActiveState") == "active",
        working: value("SubState") == "running",
        masked: output.contains("LoadState=masked"),
        outdated: output.contains("NeedDaemonReload=yes"),
        // A time span such as "1h 4min 5.123s"; "infinity" while the service runs.
        next: settings::parse_duration(value("NextElapseUSecMonotonic")),
    })
}

/// Applies the configuration of the timer; returns whether anything was changed.
async fn apply(context: &Context, repeat: &Repeat) -> Result<bool, String> {
    let mut calls: Vec<&[&str]> = Vec::new();
    if context.settings.repair.timer {
        let state = query_state(&context.host).await?;
        if state.masked {
            return Err(format!("an administrator has masked it; to use it again: systemctl unmask {NAME}"));
        }
        if write(context, repeat)? || state.outdated {
            calls.push(&["daemon-reload"]);
        }
        if !state.installed {
            calls.push(&["enable", NAME]);
        }
        if !state.active {
            // `--no-block`, because at first boot the job may wait for the one that this run belongs to.
            calls.push(&["start", "--no-block", NAME]);
        }
    } else if remove(&context.host.files).map_err(|error| describe(&error))? {
        // The service is not stopped, because it may be this run.
        calls.extend([&["stop", NAME][..], &["daemon-reload"]]);
    }
    for call in &calls {
        systemctl(&context.host, call).await?;
    }
    Ok(!calls.is_empty())
}

/// Writes both units, or drop-ins for packaged ones; returns whether a file was changed.
fn write(context: &Context, repeat: &Repeat) -> Result<bool, String> {
    let files = &context.host.files;
    let program = program(files)?;
    if let Some(config) = repeat.config.as_deref().filter(|path| is_below(path, &TEMPORARY)) {
        let path = settings::DEFAULT_PATH;
        return Err(format!("the configuration {config} is in a temporary directory; put it at {path}"));
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
                wanted = unit.drop_in_text(&packaged, values);
                break;
            }
        }
    }
    // A link to /dev/null or an empty file masks a unit (systemd.unit(5)); `query_state` reports it.
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

/// Removes the units, the drop-ins and the link that starts the timer; returns whether any existed.
fn remove(files: &Files) -> Result<bool, FileError> {
    let mut is_changed = false;
    for path in UNITS.iter().flat_map(|unit| [unit.own, unit.drop_in]) {
        // An administrator's link to /dev/null reads as empty, and is kept.
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

/// The path of this program for the timer.
fn program(files: &Files) -> Result<PathBuf, String> {
    if !files.is_real() {
        // Below another root it is where the user-data installs it.
        return Ok(BINARY_PATH.into());
    }
    let own = system::own_program().ok_or("the path of this program cannot be read from /proc/self/exe")?;
    permanent_path(&own, |path| files.exists(path))
        .ok_or_else(|| format!("this program runs from {}; put it at {BINARY_PATH}", own.display()))
}

/// The path of this program where it is permanent, else that of an installed one: not a copy in /tmp or /home.
fn permanent_path(own: &Path, exists: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    if own.to_str().is_some_and(|path| is_below(path, &PERMANENT)) {
        return Some(own.to_owned());
    }
    [BINARY_PATH, "/usr/bin/arc-enroll"].map(PathBuf::from).into_iter().find(|path| exists(path))
}

fn is_below(path: &str, directories: &[&str]) -> bool {
    directories.iter().any(|directory| path.starts_with(directory))
}

/// Runs systemctl; returns its standard output, or an error message with the end of its output.
fn systemctl<'a>(host: &'a Host, args: &'a [&'a str]) -> Task<'a, Result<String, String>> {
    Box::pin(run_systemctl(host, args))
}

async fn run_systemctl(host: &Host, args: &[&str]) -> Result<String, String> {
    let finished =
        host.commands.run(Program::new("systemctl", args, LIMIT)).await.map_err(|error| describe(&error))?;
    if finished.succeeded() {
        return Ok(finished.stdout);
    }
    // The long list of properties would make the message unreadable.
    let shown: Vec<&str> = args.iter().copied().filter(|arg| *arg != PROPERTIES).collect();
    Err(format!("systemctl {}: {}", shown.join(" "), tail(&finished.transcript)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_runs_a_program_in_a_permanent_directory() {
        let none = |_: &Path| false;
        for stays in ["/usr/local/bin/arc-enroll", "/usr/bin/arc-enroll", "/opt/a/b", "/var/lib/x"] {
            assert_eq!(permanent_path(Path::new(stays), none).as_deref(), Some(Path::new(stays)));
        }
        for goes in ["/tmp/arc-enroll", "/home/me/arc-enroll", "/usrlocal/x", "/root/arc-enroll"] {
            assert_eq!(permanent_path(Path::new(goes), none), None, "{goes}");
            let installed = Path::new("/usr/bin/arc-enroll");
            let found = permanent_path(Path::new(goes), |path| path == installed);
            assert_eq!(found.as_deref(), Some(installed));
        }
    }
}
