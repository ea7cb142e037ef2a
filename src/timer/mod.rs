//! The timer that runs `enroll` again: after a first boot that ran out of its window, a reboot in the middle, or
//! drift weeks later.
//!
//! It is looked after early in every run. That it cannot be had is a warning: this run does its work all the same.

mod units;

pub use units::Repeat;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::conditions::Vm;
use crate::host::commands::{tail, Run};
use crate::host::files::{Files, Readable};
use crate::host::{describe, system, Host};
use crate::progress::Progress;
use crate::report::{self, Mark, Style};
use crate::user_data::BINARY_PATH;
use units::Unit;

/// The timer's unit.
const NAME: &str = "arc-enroll.timer";

/// Where the administrator's units are, and ours as long as no package brings them.
const OWN: &str = "/etc/systemd/system";

/// Where packages put units (file-hierarchy(7)); the second is a link to the first where /usr is merged.
const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/// The name of our drop-in beside a packaged unit.
const DROP_IN: &str = "50-arc-enroll.conf";

/// Time limit of a call of systemctl.
const LIMIT: Duration = Duration::from_secs(30);

/// Where programs stay where they are and may be executed.
const LASTING: [&str; 3] = ["/usr", "/opt", "/var/lib"];

/// Where files go at a reboot, or with the process that made them.
const PASSING: [&str; 5] = ["/tmp", "/var/tmp", "/run", "/dev", "/proc"];

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
        let uptime = files.read("/proc/uptime").ok().flatten()?;
        let uptime = Duration::try_from_secs_f64(uptime.split_whitespace().next()?.parse().ok()?).ok()?;
        let next = self.next.filter(|_| self.active && !self.working)?;
        SystemTime::now().checked_add(next.saturating_sub(uptime))
    }
}

/// Installs the timer and keeps it as the configuration wants it, once in a run.
pub async fn keep(vm: &Vm, progress: &Progress) {
    if !vm.exclusive || vm.learnt.timer.get().is_some() {
        return;
    }
    let is_wanted = vm.settings.repair.timer;
    let done = if is_wanted { install(vm).await } else { remove(vm).await };
    vm.learnt.timer.set(Some(is_wanted && done.is_ok()));
    let every = report::span(vm.settings.repair.every);
    match done {
        Ok(false) => {}
        Ok(true) if is_wanted => {
            let every_s = vm.settings.repair.every.as_secs();
            info!(event = "timer.installed", every_s, "{NAME} looks after the enrollment every {every}");
        }
        Ok(true) => info!(event = "timer.removed", "{NAME} is removed, as the configuration says"),
        Err(reason) => {
            let reason = vm.host.mask.apply(&reason);
            warn!(event = "timer.not-installed", reason, "{NAME} is not set up: {reason}");
            progress.say(&report::line(
                &Style::Plain,
                Mark::Skipped,
                "timer",
                &format!("not set up: {reason}"),
            ));
        }
    }
}

/// When the timer has tried again at the latest, if it is there.
pub fn latest(vm: &Vm) -> Option<SystemTime> {
    let every = vm.settings.repair.every;
    vm.learnt.timer.get().filter(|is_there| *is_there)?;
    SystemTime::now().checked_add(every + units::spread(every))
}

/// What systemd says about the timer.
///
/// # Errors
/// Why it cannot be asked.
pub async fn look(host: &Host) -> Result<State, String> {
    let said = systemctl(host, &["show", PROPERTIES, NAME, "arc-enroll.service"]).await?;
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
        next: humantime::parse_duration(value("NextElapseUSecMonotonic")).ok(),
    })
}

/// Whether anything had to be changed.
async fn install(vm: &Vm) -> Result<bool, String> {
    let files = &vm.host.files;
    let program = program(files)?;
    if let Some(config) = vm.repeat.config.as_deref().filter(|path| is_below(path, &PASSING)) {
        return Err(format!(
            "the configuration {} will not stay there; put it at {}",
            config.display(),
            crate::settings::DEFAULT_PATH
        ));
    }
    let mut is_changed = false;
    for unit in units::units(&program, &vm.repeat, &vm.settings) {
        is_changed |= write(files, &unit)?;
    }
    if is_changed {
        systemctl(&vm.host, &["daemon-reload"]).await?;
    }
    let state = look(&vm.host).await?;
    if state.masked {
        return Err(masked());
    }
    if state.outdated {
        systemctl(&vm.host, &["daemon-reload"]).await?;
    }
    if !state.installed {
        systemctl(&vm.host, &["enable", NAME]).await?;
    }
    if !state.active {
        // Not waited for: at first boot a job may have to wait for the one that this run is part of.
        systemctl(&vm.host, &["start", "--no-block", NAME]).await?;
    }
    Ok(is_changed || state.outdated || !state.installed || !state.active)
}

/// Writes a unit, or what has to be set beside a packaged one; whether that was needed.
fn write(files: &Files, unit: &Unit) -> Result<bool, String> {
    let own = format!("{OWN}/{}", unit.name);
    let read = |path: &str| files.read(path).map_err(|error| describe(&error));
    let existing = read(&own)?;
    // A link to /dev/null, or an empty file, is how an administrator forbids a unit (systemd.unit(5)).
    if existing.as_deref().is_some_and(|text| text.trim().is_empty()) {
        return Err(masked());
    }
    let packaged = PACKAGED.iter().find_map(|directory| read(&format!("{directory}/{}", unit.name)).ok()?);
    let (path, wanted, existing) = match packaged {
        Some(packaged) if existing.is_none() => {
            let path = format!("{own}.d/{DROP_IN}");
            let existing = read(&path)?;
            (path, unit.drop_in(&packaged), existing)
        }
        _ => (own, Some(unit.text()), existing),
    };
    if wanted == existing {
        return Ok(false);
    }
    let done = match wanted {
        Some(text) => files.write(&path, text.as_bytes(), Readable::Everyone),
        None => files.remove(&path),
    };
    done.map(|()| true).map_err(|error| describe(&error))
}

fn masked() -> String {
    format!("an administrator has masked it; to have it again: systemctl unmask {NAME}")
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
    if is_below(own, &LASTING) {
        return Some(own.to_owned());
    }
    [BINARY_PATH, "/usr/bin/arc-enroll"].map(PathBuf::from).into_iter().find(|path| exists(path))
}

fn is_below(path: &Path, directories: &[&str]) -> bool {
    directories.iter().any(|directory| path.starts_with(directory))
}

/// Stops, disables and removes what [`install`] made; whether there was anything.
async fn remove(vm: &Vm) -> Result<bool, String> {
    let files = &vm.host.files;
    let names = [NAME, "arc-enroll.service"];
    let paths = names.iter().flat_map(|name| [format!("{OWN}/{name}"), format!("{OWN}/{name}.d/{DROP_IN}")]);
    let ours: Vec<String> = paths
        .filter(|path| files.read(path).is_ok_and(|text| text.is_some_and(|text| !text.trim().is_empty())))
        .collect();
    let is_enabled = files.names(format!("{OWN}/timers.target.wants")).iter().any(|name| name == NAME);
    if ours.is_empty() && !is_enabled {
        return Ok(false);
    }
    // Of the timer alone: the service may be this very run. One that does not run cannot be stopped.
    let _stopped = systemctl(&vm.host, &["stop", NAME]).await;
    systemctl(&vm.host, &["disable", NAME]).await?;
    for path in ours {
        files.remove(&path).map_err(|error| describe(&error))?;
    }
    systemctl(&vm.host, &["daemon-reload"]).await?;
    Ok(true)
}

/// The standard output of a systemctl that succeeded, or what it said.
async fn systemctl(host: &Host, args: &[&str]) -> Result<String, String> {
    let finished =
        host.commands.run(Run::new("systemctl", args, LIMIT)).await.map_err(|error| describe(&error))?;
    if finished.succeeded() {
        return Ok(finished.stdout);
    }
    Err(format!("systemctl {}: {}", args.join(" "), tail(&finished.transcript)))
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
