//! The text of the two units, filled with this VM's own values.
//!
//! What packages ship in `packaging/systemd` is what is filled in here, line by line: a unit is written in one
//! place only.
//!
//! The service is hardened as far as its job allows: it runs apt or dnf, whose maintainer scripts are root's. Left
//! out for them are ProtectSystem and ReadOnlyPaths (packages), ProtectHome (scripts use `$HOME`), RestrictSUIDSGID
//! (packages hold such files), ProtectKernelModules and ProtectKernelTunables (an interrupted dpkg that is finished
//! may make an initrd or set sysctls), PrivateDevices and ProtectClock (both close the disks to GRUB's scripts),
//! RestrictNamespaces (rpm's plug-in "unshare"), NoNewPrivileges (stops SELinux from giving scripts their domain),
//! MemoryDenyWriteExecute (interpreters), SystemCallFilter (whatever a script may call). An old systemd says what it
//! does not know of the rest, and goes on.

use std::path::Path;

use crate::settings::targets::TARGETS;
use crate::settings::{Overrides, Settings};

/// The first look after a boot, unless looks come even more often.
const AFTER_BOOT: u64 = 120;

/// The widest spread of a fleet.
const WIDEST_SPREAD: u64 = 300;

/// What a run may take besides waiting: children that are told to stop, a connect that is finished.
const GRACE: u64 = 300;

/// One unit: where it is, and the text that packages ship, whose values are replaced.
pub struct UnitFile {
    /// Where the administrator's is, and ours as long as no package brings one.
    pub own: &'static str,
    /// What we set beside a packaged one.
    pub drop_in: &'static str,
    /// Where packages put theirs (file-hierarchy(7)); the second is the first where /usr is merged.
    pub packaged: [&'static str; 2],
    section: &'static str,
    shipped: &'static str,
}

/// Paths and text of a unit by its name.
macro_rules! unit {
    ($name:literal, $section:literal) => {
        UnitFile {
            own: concat!("/etc/systemd/system/", $name),
            drop_in: concat!("/etc/systemd/system/", $name, ".d/50-arc-enroll.conf"),
            packaged: [concat!("/usr/lib/systemd/system/", $name), concat!("/lib/systemd/system/", $name)],
            section: $section,
            shipped: include_str!(concat!("../../packaging/systemd/", $name)),
        }
    };
}

/// The service and the timer, in the order in which they are written: the timer needs its service.
pub static UNITS: [UnitFile; 2] =
    [unit!("arc-enroll.service", "Service"), unit!("arc-enroll.timer", "Timer")];

/// How a run is repeated by the timer: what it was told besides the file at the default place.
#[derive(Clone, Debug, Default)]
pub struct Repeat {
    /// The configuration file that was named.
    pub config: Option<String>,
    /// More arguments, each quoted, with a space in front.
    arguments: String,
    /// What has a name in the environment and no flag, quoted.
    environment: String,
}

impl Repeat {
    /// What flags and environment said about the target; the timer has neither.
    pub fn new(config: Option<String>, overrides: &Overrides) -> Self {
        let mut arguments = String::new();
        if let Some(config) = &config {
            arguments = format!(" --config {}", systemd_quoted(config));
        }
        for target in TARGETS.iter().filter(|target| !target.flag.name.is_empty()) {
            if let Some(given) = overrides.get(target.key) {
                arguments.push_str(&format!(" --{} {}", target.flag.name, systemd_quoted(&given.value)));
            }
        }
        // A `$` means itself there.
        let identity = overrides.get("identity");
        let environment =
            identity.map(|given| systemd_quoted(&format!("UAMI_ID={}", given.value)).replace("$$", "$"));
        Self { config, arguments, environment: environment.unwrap_or_default() }
    }
}

/// How much later than its time a look may come, in seconds, so that a fleet does not come at the same moment.
pub fn spread(every: u64) -> u64 {
    (every / 10).clamp(1, WIDEST_SPREAD)
}

/// The lines of both units that hold a value of this VM.
pub fn values(program: &Path, repeat: &Repeat, settings: &Settings) -> String {
    let every = settings.repair.every.as_secs();
    format!(
        "ExecStart={} enroll --if-idle{}\nEnvironment={}\nTimeoutStartSec={}s\n\
         OnBootSec={}s\nOnUnitInactiveSec={every}s\nRandomizedDelaySec={}s\n",
        systemd_quoted(&program.to_string_lossy()),
        repeat.arguments,
        repeat.environment,
        settings.wait.boot.as_secs() + GRACE,
        every.min(AFTER_BOOT),
        spread(every),
    )
}

fn key(line: &str) -> &str {
    line.split('=').next().unwrap_or_default()
}

impl UnitFile {
    /// The whole unit, with these values.
    pub fn text(&self, values: &str) -> String {
        let mut text = String::new();
        for line in self.shipped.lines() {
            let value = values.lines().find(|value| key(value) == key(line));
            text.push_str(value.unwrap_or(line));
            text.push('\n');
        }
        text
    }

    /// What has to be set beside a unit that a package installed; nothing where that says the same.
    pub fn beside(&self, packaged: &str, values: &str) -> Option<String> {
        let mut text =
            format!("# Written by `arc-enroll enroll` from its configuration.\n[{}]\n", self.section);
        let mut differs = false;
        for line in
            values.lines().filter(|line| self.shipped.lines().any(|shipped| key(shipped) == key(line)))
        {
            differs |= !packaged.lines().any(|theirs| theirs == line);
            let key = key(line);
            // Of these a unit may have several; nothing removes the ones before. OnBootSec stands for all times.
            if matches!(key, "ExecStart" | "Environment" | "OnBootSec") {
                text.push_str(key);
                text.push_str("=\n");
            }
            text.push_str(line);
            text.push('\n');
        }
        differs.then_some(text)
    }
}

/// One word of a command line as systemd.service(5) reads it; `%` and `$` would be replaced otherwise.
fn systemd_quoted(word: &str) -> String {
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
        let values = values(Path::new("/usr/bin/arc-enroll"), &Repeat::default(), &settings(""));
        for unit in &UNITS {
            assert_eq!(unit.text(&values), unit.shipped, "{}", unit.own);
            assert_eq!(unit.beside(unit.shipped, &values), None);
        }
    }

    #[test]
    fn a_drop_in_has_the_values_and_what_removes_the_old_ones() {
        let settings = settings("repair: {every: 30s}\nwait: {boot: 1m}\n");
        let values = values(Path::new("/opt/arc-enroll"), &Repeat::default(), &settings);
        let [service, timer] = &UNITS;
        let text = service.beside(service.shipped, &values).unwrap();
        assert!(text.ends_with(
            "[Service]\nExecStart=\nExecStart=/opt/arc-enroll enroll --if-idle\nEnvironment=\nEnvironment=\n\
             TimeoutStartSec=360s\n"
        ));
        let text = timer.beside(timer.shipped, &values).unwrap();
        assert!(text
            .ends_with("[Timer]\nOnBootSec=\nOnBootSec=30s\nOnUnitInactiveSec=30s\nRandomizedDelaySec=3s\n"));
    }

    #[test]
    fn what_a_run_was_told_is_repeated_and_quoted() {
        let name = |name: &str| (name == "UAMI_ID").then(|| "/x/$a %b".to_owned());
        let mut overrides = Overrides::from_environment(&name);
        overrides.set_flag("tags", "A='50% of \"$HOME\"',B=a\\b;c\n".to_owned());
        overrides.set_flag("location", "eastus".to_owned());
        let repeat = Repeat::new(Some("/etc/a b.yaml".into()), &overrides);
        let text = UNITS[0].text(&values(Path::new("/usr/bin/a"), &repeat, &settings("")));
        let line = "ExecStart=/usr/bin/a enroll --if-idle --config \"/etc/a b.yaml\" --location eastus \
                    --tags \"A='50%% of \\\"$$HOME\\\"',B=a\\\\b;c\\x0a\"\nEnvironment=\"UAMI_ID=/x/$a %%b\"\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn the_spread_is_a_part_of_the_interval() {
        assert_eq!([10, 600, 3600, 86_400].map(spread), [1, 60, 300, 300]);
    }
}
