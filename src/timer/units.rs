//! The text of the two units, filled with this VM's own values.
//!
//! What packages ship in `packaging/systemd` is what is filled in here, line by line: a unit is written in one
//! place only.

use std::path::Path;
use std::time::Duration;

use crate::settings::{Overrides, Settings, FLAGS};

/// The unit that packages ship and whose values are replaced.
const SERVICE: &str = include_str!("../../packaging/systemd/arc-enroll.service");

/// The timer that packages ship and whose values are replaced.
const TIMER: &str = include_str!("../../packaging/systemd/arc-enroll.timer");

/// The first look after a boot, unless looks come even more often.
const AFTER_BOOT: Duration = Duration::from_secs(120);

/// The widest spread of a fleet.
const WIDEST_SPREAD: Duration = Duration::from_secs(300);

/// What a run may take besides waiting: children that are told to stop, a connect that is finished.
const GRACE: Duration = Duration::from_secs(300);

/// One unit: its name, the section of its values, the shipped text, and its values.
pub struct Unit {
    /// Its file's name.
    pub name: &'static str,
    section: &'static str,
    shipped: &'static str,
    values: [(&'static str, String); 3],
}

/// How a run is repeated by the timer: what it was told besides the file at the default place.
#[derive(Clone, Debug, Default)]
pub struct Repeat {
    /// The configuration file that was named.
    pub config: Option<std::path::PathBuf>,
    /// What flags and environment said about the target; the timer has neither.
    pub overrides: Overrides,
}

/// How much later than its time a look may come, so that a fleet does not come at the same moment.
pub fn spread(every: Duration) -> Duration {
    (every / 10).clamp(Duration::from_secs(1), WIDEST_SPREAD)
}

/// The service and the timer, in the order in which they are written: the timer needs its service.
pub fn units(program: &Path, repeat: &Repeat, settings: &Settings) -> [Unit; 2] {
    let every = settings.repair.every;
    let seconds = |time: Duration| format!("{}s", time.as_secs());
    let mut command = format!("{} enroll --if-idle", quoted(&program.to_string_lossy()));
    if let Some(config) = &repeat.config {
        command.push_str(&format!(" --config {}", quoted(&config.to_string_lossy())));
    }
    for (flag, key) in FLAGS {
        if let Some(given) = repeat.overrides.get(key) {
            command.push_str(&format!(" --{flag} {}", quoted(&given.value)));
        }
    }
    // The one value of the target that has a name in the environment and no flag. A `$` means itself there.
    let identity = repeat.overrides.get("identity");
    let environment = identity
        .map(|given| quoted(&format!("UAMI_ID={}", given.value)).replace("$$", "$"))
        .unwrap_or_default();
    [
        Unit {
            name: "arc-enroll.service",
            section: "Service",
            shipped: SERVICE,
            values: [
                ("ExecStart", command),
                ("Environment", environment),
                ("TimeoutStartSec", seconds(settings.wait.boot + GRACE)),
            ],
        },
        Unit {
            name: "arc-enroll.timer",
            section: "Timer",
            shipped: TIMER,
            values: [
                ("OnBootSec", seconds(every.min(AFTER_BOOT))),
                ("OnUnitInactiveSec", seconds(every)),
                ("RandomizedDelaySec", seconds(spread(every))),
            ],
        },
    ]
}

impl Unit {
    /// The whole unit.
    pub fn text(&self) -> String {
        let fill = |line: &'static str| {
            let key = line.split('=').next().unwrap_or_default();
            let value = self.values.iter().find(|(name, _)| *name == key);
            value.map_or_else(|| format!("{line}\n"), |(name, value)| format!("{name}={value}\n"))
        };
        self.shipped.lines().map(fill).collect()
    }

    /// What has to be set beside a unit that a package installed; nothing where that says the same.
    pub fn drop_in(&self, packaged: &str) -> Option<String> {
        let lines: Vec<String> = self.values.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if lines.iter().all(|line| packaged.lines().any(|theirs| theirs == line)) {
            return None;
        }
        let mut text =
            format!("# Written by `arc-enroll enroll` from its configuration.\n[{}]\n", self.section);
        for ((key, _), line) in self.values.iter().zip(lines) {
            // Of these a unit may have several; nothing removes the ones before. OnBootSec stands for all times.
            if matches!(*key, "ExecStart" | "Environment" | "OnBootSec") {
                text.push_str(&format!("{key}=\n"));
            }
            text.push_str(&line);
            text.push('\n');
        }
        Some(text)
    }
}

/// One word of a command line as systemd.service(5) reads it; `%` and `$` would be replaced otherwise.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '%' | '$' => text.extend([c, c]),
            // A line of a unit ends where the file's line ends.
            c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const AZURE: &str =
        "azure: {subscription_id: 12345678-9abc-def0-1234-56789abcdef0, resource_group: g, location: l}\n";

    fn settings(more: &str) -> Settings {
        crate::settings::load(Some(&format!("{AZURE}{more}")), "f", &Overrides::default()).unwrap()
    }

    #[test]
    fn what_packages_ship_is_what_the_defaults_make() {
        let units = units(Path::new("/usr/bin/arc-enroll"), &Repeat::default(), &settings(""));
        for unit in &units {
            assert_eq!(unit.text(), unit.shipped, "{}", unit.name);
            assert_eq!(unit.drop_in(unit.shipped), None);
        }
    }

    #[test]
    fn a_drop_in_has_the_values_and_what_removes_the_old_ones() {
        let settings = settings("repair: {every: 30s}\nwait: {boot: 1m}\n");
        let [service, timer] = units(Path::new("/opt/arc-enroll"), &Repeat::default(), &settings);
        let text = service.drop_in(SERVICE).unwrap();
        assert!(text.ends_with(
            "[Service]\nExecStart=\nExecStart=/opt/arc-enroll enroll --if-idle\nEnvironment=\nEnvironment=\n\
             TimeoutStartSec=360s\n"
        ));
        let text = timer.drop_in(TIMER).unwrap();
        assert!(text
            .ends_with("[Timer]\nOnBootSec=\nOnBootSec=30s\nOnUnitInactiveSec=30s\nRandomizedDelaySec=3s\n"));
    }

    #[test]
    fn what_a_run_was_told_is_repeated_and_quoted() {
        let name = |name: &str| (name == "UAMI_ID").then(|| "/x/$a %b".to_owned());
        let mut overrides = Overrides::from_environment(&name);
        overrides.set_flag("tags", "A='50% of \"$HOME\"',B=a\\b;c\n".to_owned());
        overrides.set_flag("location", "eastus".to_owned());
        let repeat = Repeat { config: Some("/etc/a b.yaml".into()), overrides };
        let [service, _] = units(Path::new("/usr/bin/a"), &repeat, &settings(""));
        let text = service.text();
        let line = "ExecStart=/usr/bin/a enroll --if-idle --config \"/etc/a b.yaml\" --location eastus \
                    --tags \"A='50%% of \\\"$$HOME\\\"',B=a\\\\b;c\\x0a\"\nEnvironment=\"UAMI_ID=/x/$a %%b\"\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn the_spread_is_a_part_of_the_interval() {
        let spread = |seconds| spread(Duration::from_secs(seconds)).as_secs();
        assert_eq!([spread(10), spread(600), spread(3600), spread(86_400)], [1, 60, 300, 300]);
    }
}
