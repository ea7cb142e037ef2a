//! Stand-in for systemctl: units and manager environment are in a file. Units that are files of the VM are read at
//! a daemon-reload, as systemd does.

use std::path::PathBuf;

use crate::guest::{perform, Guest};
use crate::nexus::spec::{System, Unit};
use crate::unit_files;

/// In systemd's order: properties of timers come first.
const PROPERTIES: [&str; 7] = [
    "NextElapseUSecMonotonic",
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
];

fn file(guest: &Guest) -> PathBuf {
    guest.home.join("system.json")
}

pub fn load(guest: &Guest) -> System {
    guest.read_json(&file(guest))
}

pub fn save(guest: &Guest, system: &System) {
    guest.write_json(&file(guest), system);
}

pub fn run(guest: &Guest) -> u8 {
    let words: Vec<&str> =
        guest.arguments.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let verb = words.first().copied().unwrap_or("list-units");
    let name = format!("systemctl {verb}");
    // The value of `-p` is not a unit.
    let wanted = property_list(guest);
    let units: Vec<String> = words
        .iter()
        .skip(1)
        .filter(|word| wanted.as_deref() != Some(**word))
        .map(|word| if word.contains('.') { (*word).to_owned() } else { format!("{word}.service") })
        .collect();
    let exact = units.first().map_or(name.clone(), |unit| format!("{name} {unit}"));
    let outcome = guest.called(&[&exact, &name], None);
    if let Some(code) = perform(&outcome, "") {
        return code;
    }
    let mut system = load(guest);
    if system.state == "offline" {
        return without_systemd(verb);
    }
    let before = system.clone();
    let code = work(&mut system, verb, &units, guest, wanted.as_deref());
    // Calls may be concurrent, so a writing call must not interfere with a reading one.
    if system != before {
        save(guest, &system);
    }
    code
}

fn property_list(guest: &Guest) -> Option<String> {
    let mut words = guest.arguments.iter();
    while let Some(word) = words.next() {
        if word == "-p" || word == "--property" {
            return words.next().cloned();
        }
        if let Some(value) = word.strip_prefix("--property=").or_else(|| word.strip_prefix("-p")) {
            return Some(value.to_owned());
        }
    }
    None
}

fn without_systemd(verb: &str) -> u8 {
    if verb == "is-system-running" {
        println!("offline");
    } else {
        eprintln!("System has not been booted with systemd as init system (PID 1). Can't operate.");
        eprintln!("Failed to connect to bus: Host is down");
    }
    1
}

fn work(system: &mut System, verb: &str, units: &[String], guest: &Guest, wanted: Option<&str>) -> u8 {
    match verb {
        "is-system-running" => {
            println!("{}", system.state);
            u8::from(system.state != "running")
        }
        "show" => show(system, units, wanted, guest),
        "start" | "restart" | "stop" | "reload-or-restart" | "try-restart" => change(system, verb, units),
        "enable" | "disable" => enable(system, verb, units, guest),
        "is-active" | "is-enabled" => is(system, verb, units),
        "status" => is(system, "is-active", units),
        "daemon-reload" | "daemon-reexec" => {
            unit_files::read(guest, system);
            0
        }
        "reset-failed" => 0,
        "set-environment" => {
            // Its arguments are assignments, which have been given a suffix as units have.
            for word in guest.arguments.iter().skip(1) {
                if let Some((name, value)) = word.split_once('=') {
                    system.environment.insert(name.to_owned(), value.to_owned());
                }
            }
            0
        }
        "unset-environment" => {
            for name in guest.arguments.iter().skip(1) {
                system.environment.remove(name);
            }
            0
        }
        "show-environment" => {
            for (name, value) in &system.environment {
                println!("{name}={value}");
            }
            0
        }
        verb => {
            eprintln!("Unknown command verb {verb}.");
            1
        }
    }
}

fn show(system: &System, units: &[String], wanted: Option<&str>, guest: &Guest) -> u8 {
    let wanted: Vec<&str> = wanted.map_or(PROPERTIES.to_vec(), |list| list.split(',').collect());
    for (index, name) in units.iter().enumerate() {
        if index > 0 {
            println!();
        }
        let missing = Unit {
            load: "not-found".into(),
            active: "inactive".into(),
            sub: "dead".into(),
            file: String::new(),
            text: None,
            more: Default::default(),
        };
        let unit = system.units.get(name).unwrap_or(&missing);
        // In systemd's order, regardless of the order of the arguments.
        for property in PROPERTIES.iter().filter(|property| wanted.contains(property)) {
            let value = match *property {
                "NextElapseUSecMonotonic" if name.ends_with(".timer") => unit_files::next_elapse(guest, unit),
                "NextElapseUSecMonotonic" => continue,
                "Id" => name.clone(),
                "LoadState" => unit.load.clone(),
                "ActiveState" => unit.active.clone(),
                "SubState" => unit.sub.clone(),
                "UnitFileState" => unit.file.clone(),
                _ => unit_files::need_reload(guest, name, unit).to_owned(),
            };
            println!("{property}={value}");
        }
        for (name, value) in unit.more.iter().filter(|(name, _)| wanted.contains(&name.as_str())) {
            println!("{name}={value}");
        }
    }
    0
}

fn change(system: &mut System, verb: &str, units: &[String]) -> u8 {
    for name in units {
        let Some(unit) = system.units.get_mut(name) else {
            eprintln!("Failed to {verb} {name}: Unit {name} not found.");
            return 5;
        };
        if unit.load == "masked" {
            eprintln!("Failed to {verb} {name}: Unit {name} is masked.");
            return 1;
        }
        let running = if name.ends_with(".timer") { "waiting" } else { "running" };
        let (active, sub) = if verb == "stop" { ("inactive", "dead") } else { ("active", running) };
        unit.active = active.to_owned();
        unit.sub = sub.to_owned();
        // A manual start restarts the interval; this machine has been up for longer than the VM.
        unit.more.remove("NRestarts");
        unit.more.remove("Result");
        if let Some(started) = unit.more.get_mut("ExecMainStartTimestampMonotonic") {
            *started = u64::MAX.to_string();
        }
    }
    0
}

fn enable(system: &mut System, verb: &str, units: &[String], guest: &Guest) -> u8 {
    // It looks at the files itself, changes links, and has systemd read them.
    let linked = units.iter().try_for_each(|name| unit_files::link(guest, name, verb == "enable"));
    if let Err(error) = linked {
        eprintln!("Failed to {verb} unit: {error}");
        return 1;
    }
    unit_files::read(guest, system);
    for name in units {
        let Some(unit) = system.units.get_mut(name) else {
            eprintln!("Failed to {verb} unit: Unit file {name} does not exist.");
            return 1;
        };
        if unit.text.is_none() {
            unit.file = if verb == "enable" { "enabled" } else { "disabled" }.to_owned();
        }
        if guest.arguments.iter().any(|word| word == "--now") {
            unit.active = if verb == "enable" { "active" } else { "inactive" }.to_owned();
            unit.sub = if verb == "enable" { "running" } else { "dead" }.to_owned();
        }
    }
    0
}

fn is(system: &System, verb: &str, units: &[String]) -> u8 {
    let mut code = 0;
    for name in units {
        let unit = system.units.get(name);
        let (state, good, bad) = match verb {
            "is-active" => (unit.map_or("inactive", |unit| unit.active.as_str()), "active", 3),
            _ => (unit.map_or("not-found", |unit| unit.file.as_str()), "enabled", 1),
        };
        println!("{state}");
        if state != good {
            code = bad;
        }
    }
    code
}

/// `timedatectl`: reports a synchronized clock, and accepts every change.
pub fn timedatectl(guest: &Guest) -> u8 {
    let verb = guest.arguments.first().map_or("status", String::as_str);
    let outcome = guest.called(&[&format!("timedatectl {verb}"), "timedatectl"], None);
    if let Some(code) = perform(&outcome, "") {
        return code;
    }
    if verb == "show" {
        println!("Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized=yes");
    }
    0
}
