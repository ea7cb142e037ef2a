//! The text of the two units with the values of this VM.
//!
//! The templates are the units that packages ship, in `packaging/systemd`; lines with values are replaced.
//!
//! The service is hardened as far as apt and dnf allow, which run maintainer scripts as root. These options are
//! therefore not set: ProtectSystem and ReadOnlyPaths (packages write there), ProtectHome (scripts use `$HOME`),
//! RestrictSUIDSGID (packages contain such files), ProtectKernelModules and ProtectKernelTunables (finishing an
//! interrupted dpkg may build an initrd or set sysctls), PrivateDevices and ProtectClock (both hide disks from GRUB's
//! scripts), RestrictNamespaces (rpm's plug-in "unshare"), NoNewPrivileges (prevents SELinux domain transitions of
//! scripts), MemoryDenyWriteExecute (interpreters), SystemCallFilter (scripts may use any system call). An old systemd
//! logs the options that it does not know, and ignores them.

use std::path::Path;

use crate::settings::targets::TARGETS;
use crate::settings::{Overrides, Settings};

/// Delay of the first run after boot, in seconds, where the interval is not shorter.
const AFTER_BOOT: u64 = 120;

/// Upper limit of the random delay, in seconds.
const WIDEST_SPREAD: u64 = 300;

/// Time that a run may take in addition to its waiting time, in seconds: terminating children, finishing a connect.
const GRACE: u64 = 300;

/// One unit: its paths, and the text that packages ship.
pub struct UnitFile {
    /// Path of the unit of an administrator, and of ours where no package installed one.
    pub own: &'static str,
    /// Path of our drop-in for a packaged unit.
    pub drop_in: &'static str,
    /// Paths of a packaged unit (file-hierarchy(7)); the same file where /usr is merged.
    pub packaged: [&'static str; 2],
    section: &'static str,
    shipped: &'static str,
}

/// The paths and the text of a unit, by its name.
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

/// The service and the timer, in the order in which they are written: the timer requires its service.
pub static UNITS: [UnitFile; 2] =
    [unit!("arc-enroll.service", "Service"), unit!("arc-enroll.timer", "Timer")];

/// The arguments and environment with which the timer repeats a run.
#[derive(Clone, Debug, Default)]
pub struct Repeat {
    /// The configuration file of `--config`.
    pub config: Option<String>,
    /// Arguments, quoted, each preceded by a space.
    arguments: String,
    /// Variables without an equivalent flag, quoted.
    environment: String,
}

impl Repeat {
    /// The configuration file, and the target settings from flags and environment, which the timer does not inherit.
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
        // In `Environment=`, `$` is not special.
        let identity = overrides.get("identity");
        let environment =
            identity.map(|given| systemd_quoted(&format!("UAMI_ID={}", given.value)).replace("$$", "$"));
        Self { config, arguments, environment: environment.unwrap_or_default() }
    }
}

/// The random delay of a run in seconds, so that the VMs of a fleet do not run at the same time.
pub fn spread(every: u64) -> u64 {
    (every / 10).clamp(1, WIDEST_SPREAD)
}

/// The lines of both units that contain values of this VM.
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
    /// The complete unit with these values.
    pub fn text(&self, values: &str) -> String {
        let mut text = String::new();
        for line in self.shipped.lines() {
            let value = values.lines().find(|value| key(value) == key(line));
            text.push_str(value.unwrap_or(line));
            text.push('\n');
        }
        text
    }

    /// The drop-in for a packaged unit; `None` where the packaged unit has the same values.
    pub fn drop_in_text(&self, packaged: &str, values: &str) -> Option<String> {
        let mut text =
            format!("# Written by `arc-enroll enroll` from its configuration.\n[{}]\n", self.section);
        let mut differs = false;
        for line in
            values.lines().filter(|line| self.shipped.lines().any(|shipped| key(shipped) == key(line)))
        {
            differs |= !packaged.lines().any(|packaged| packaged == line);
            let key = key(line);
            // These keys accumulate; an empty value resets them. OnBootSec resets all timer expressions.
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

/// Quotes a word for a command line in a unit (systemd.service(5)); `%` and `$` are doubled so that they are literal.
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
            // Quotes do not protect line feeds in unit files.
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
    fn default_values_render_the_packaged_units() {
        let values = values(Path::new("/usr/bin/arc-enroll"), &Repeat::default(), &settings(""));
        for unit in &UNITS {
            assert_eq!(unit.text(&values), unit.shipped, "{}", unit.own);
            assert_eq!(unit.drop_in_text(unit.shipped, &values), None);
        }
    }

    #[test]
    fn a_drop_in_resets_and_sets_the_values() {
        let settings = settings("repair: {every: 30s}\nwait: {boot: 1m}\n");
        let values = values(Path::new("/opt/arc-enroll"), &Repeat::default(), &settings);
        let [service, timer] = &UNITS;
        let text = service.drop_in_text(service.shipped, &values).unwrap();
        assert!(text.ends_with(
            "[Service]\nExecStart=\nExecStart=/opt/arc-enroll enroll --if-idle\nEnvironment=\nEnvironment=\n\
             TimeoutStartSec=360s\n"
        ));
        let text = timer.drop_in_text(timer.shipped, &values).unwrap();
        assert!(text
            .ends_with("[Timer]\nOnBootSec=\nOnBootSec=30s\nOnUnitInactiveSec=30s\nRandomizedDelaySec=3s\n"));
    }

    #[test]
    fn arguments_and_environment_are_quoted() {
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
    fn the_spread_is_a_tenth_of_the_interval_within_limits() {
        assert_eq!([10, 600, 3600, 86_400].map(spread), [1, 60, 300, 300]);
    }
}
