//! `bundle`: everything that support asks for in one archive, without secrets.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::{
    configuration_path, describe, doctor, enroll, load_to_look, load_without_file, vm, Environment, Loaded,
};
use crate::bundle::{self, Bundle, Content, Part, Sidecar};
use crate::cli::{Invocation, Output};
use crate::conditions::{sanity::Test, Vm};
use crate::host::files::write_private;
use crate::host::output;
use crate::report::{self, paragraph};
use crate::settings::Overrides;
use crate::EXIT_INTERNAL;

/// Where the archive goes when no file is named: a folder that is everywhere and outlives a reboot.
const FOLDER: &str = "/var/tmp";

/// What doctor gets, which ends by itself before.
const DOCTORS_LIMIT: Duration = Duration::from_secs(20);

/// How many reasons for what is missing are shown; the manifest has all.
const SHOWN: usize = 5;

pub(super) async fn run(invocation: &Invocation, environment: Environment<'_>, file: Option<&Path>) -> u8 {
    let to_stdout = file == Some(Path::new("-"));
    if to_stdout && std::io::stdout().is_terminal() {
        output::complain(
            "arc-enroll: an archive is nothing for a terminal; redirect it: arc-enroll bundle - > FILE\n",
        );
        return EXIT_INTERNAL;
    }
    let (loaded, problems) = load_anyway(invocation);
    let Ok(loaded) = loaded else { return super::complain_of(&problems) };
    let unread = loaded.unread.clone();
    let mut vm = vm(invocation, environment, loaded, false);
    let is_watched = std::io::stderr().is_terminal();
    if is_watched {
        output::complain(&format!("  collecting, at most {} s …", DOCTORS_LIMIT.as_secs()));
    }
    let collected = tokio::select! {
        // Listening before the first program is started.
        biased;
        _name = enroll::told_to_stop() => None,
        collected = collect(invocation, environment, &mut vm, unread) => Some(collected),
    };
    if is_watched {
        output::complain("\r\x1b[K");
    }
    let Some(collected) = collected else {
        vm.host.commands.reap().await;
        output::complain("arc-enroll: told to stop; no archive was written\n");
        return EXIT_INTERNAL;
    };
    let now = SystemTime::now();
    let stamp = humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':'], "");
    let hostname = vm.hostname().unwrap_or_default();
    let host: String = hostname.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(63).collect();
    let folder = format!("arc-enroll-bundle-{}-{stamp}", if host.is_empty() { "vm" } else { &host });
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let bundle = bundle::pack(&vm, &folder, seconds, collected);
    let path = place(&vm, file, &folder);
    let written = if to_stdout {
        output::print_bytes(&bundle.bytes).map_err(|error| format!("standard output: {error}"))
    } else {
        write_private(&path, &bundle.bytes).map_err(|error| describe(&error))
    };
    if let Err(reason) = written {
        output::complain(&paragraph("arc-enroll: ", &format!("the archive was not written: {reason}")));
        output::complain(
            "Name another FILE, or let it go where there is room:\n  ssh VM sudo arc-enroll bundle - > bundle.tar.gz\n",
        );
        return EXIT_INTERNAL;
    }
    let shown = if to_stdout { "-".to_owned() } else { path.display().to_string() };
    let text = match invocation.output {
        Some(Output::Json) => to_json(&shown, &bundle),
        _ => to_text(&vm, &shown, &bundle),
    };
    // Standard output is the archive's then.
    let say = if to_stdout { output::complain } else { output::print };
    say(&vm.host.mask.apply(&text));
    0
}

/// The configuration, or without it; the problems are content.
fn load_anyway(invocation: &Invocation) -> (Result<Loaded, ()>, Vec<crate::settings::Problem>) {
    let problems = match load_to_look(invocation) {
        Ok(loaded) => return (Ok(loaded), Vec::new()),
        Err(problems) => problems,
    };
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let why = lines.join("\n");
    // What is wrong may be a flag or a variable too.
    let plain = Invocation { overrides: Overrides::default(), ..invocation.clone() };
    let loaded = load_without_file(invocation, why.clone()).or_else(|_| load_without_file(&plain, why));
    (loaded.map_err(|_| ()), problems)
}

async fn collect(
    invocation: &Invocation,
    environment: Environment<'_>,
    vm: &mut Vm,
    unread: Option<String>,
) -> bundle::Collected {
    let host = vm.host.clone();
    let azure = &vm.settings.azure;
    let check = match vm.has_target {
        true => format!("azcmagent check --location {} --cloud {}", azure.location, azure.cloud.name()),
        false => "azcmagent check".to_owned(),
    };
    let mut more = vec![("azcmagent/check.txt", check)];
    if vm.settings.log.file != Path::new(enroll::DEFAULT_LOG) {
        more.insert(0, ("log/arc-enroll.log", vm.settings.log.file.display().to_string()));
    }
    let endpoint = vm.settings.imds.endpoint.clone();
    let (sidecar, findings) = (Sidecar::default(), RefCell::new((None, Duration::ZERO)));
    let examined = &mut *vm;
    let mut others: Vec<Test<'_>> = vec![
        Box::pin(async {
            let started = Instant::now();
            let found = tokio::time::timeout(DOCTORS_LIMIT, doctor::examine(examined)).await.ok();
            findings.replace((found, started.elapsed()));
        }),
        Box::pin(sidecar.look_at_himds(&host)),
    ];
    for page in Sidecar::PAGES {
        others.push(Box::pin(sidecar.ask(&endpoint, page)));
    }
    let mut collected = bundle::collect(&host, &more, others).await;
    let (found, elapsed) = findings.into_inner();
    let doctor = match found {
        Some(findings) => Content::Json(doctor::to_json(vm, &findings)),
        None => Content::Missing(format!("it did not end within {} s", DOCTORS_LIMIT.as_secs())),
    };
    let configured = configuration_path(invocation, None);
    let text = |text: String| Content::Text(text, None, false);
    let effective = text(format!("{:#?}\n", vm.settings));
    let mut parts = vec![
        Part { elapsed, ..Part::new("doctor.json", "arc-enroll doctor --output json", doctor) },
        Part::new(
            "configuration/config.yaml",
            &configured.display().to_string(),
            bundle::read_file(&configured),
        ),
        Part::new("configuration/in-force.txt", "the configuration with its defaults", effective),
    ];
    if let Some(why) = unread {
        let from = "reading the configuration; defaults were used instead, without a target";
        parts.push(Part::new("configuration/problems.txt", from, text(why + "\n")));
    }
    let places = bundle::places(&host.files, environment);
    parts.push(Part::new("proxy/places.txt", "the files and the environment that it names", text(places)));
    parts.extend(sidecar.into_parts(vm));
    collected.add(parts);
    collected
}

/// Where the archive goes: a path that is not relative is meant below the root, as everywhere.
fn place(vm: &Vm, file: Option<&Path>, folder: &str) -> PathBuf {
    let name = format!("{folder}.tar.gz");
    let path = match file {
        Some(file) if file.is_absolute() => vm.host.files.path(file),
        Some(file) => file.to_owned(),
        None => vm.host.files.path(FOLDER).join(&name),
    };
    // For the rename that puts it there, "x" has to have a folder.
    let path = if path.parent() == Some(Path::new("")) { Path::new(".").join(path) } else { path };
    if path.is_dir() {
        path.join(name)
    } else {
        path
    }
}

fn to_json(file: &str, bundle: &Bundle) -> String {
    let missing: Vec<_> =
        bundle.missing.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect();
    let value = json!({
        "file": file, "bytes": bundle.bytes.len(), "entries": bundle.entries, "truncated": bundle.truncated,
        "missing": missing,
    });
    format!("{value}\n")
}

fn to_text(vm: &Vm, file: &str, bundle: &Bundle) -> String {
    let mut text = match file {
        "-" => "The archive went to standard output.\n".to_owned(),
        // A path stays on one line, so that it can be copied.
        file => format!("{file}\n"),
    };
    let cut = match bundle.truncated {
        0 => String::new(),
        cut => format!(", {cut} of them without their beginning"),
    };
    let facts =
        format!("{} bytes, {} entries{cut}; secrets are taken out.", bundle.bytes.len(), bundle.entries);
    text.push_str(&paragraph("  ", &facts));
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, why) in &bundle.missing {
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    if !reasons.is_empty() {
        text.push_str(&format!("\nNot had, {} in all:\n", bundle.missing.len()));
    }
    for (why, names) in reasons.iter().take(SHOWN) {
        let rest = match names.len() {
            0..=2 => String::new(),
            count => format!(" and {} more", count - 2),
        };
        let named = names.iter().take(2).copied().collect::<Vec<_>>().join(", ");
        text.push_str(&paragraph("  - ", &format!("{named}{rest}: {why}")));
    }
    if reasons.len() > SHOWN {
        text.push_str("  The rest is in manifest.json.\n");
    }
    text.push_str(&paragraph(
        "\nWhat to do: ",
        "attach the archive to the support request. What it cannot show, the CSN configuration and the roles of the \
         identity, is seen from outside; add the output of",
    ));
    for (_, command) in bundle::OUTSIDE.iter().take(2) {
        text.push_str(&report::fold_command("  ", &vm.fill(command)));
    }
    text
}
