//! `bundle`: collects evidence for support in one archive, with secrets redacted.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use serde_json::Value;

use super::shutdown::until_shutdown;
use super::{
    configuration_path, context, describe, doctor, load_for_observation, load_without_file, Environment,
    Loaded,
};
use crate::bundle::{self, Bundle, Collected, Content, Part};
use crate::cli::{Invocation, Output};
use crate::context::{value, Context, Mode};
use crate::engine::Examination;
use crate::formats::json::{list, object};
use crate::host::files::write_private;
use crate::host::output;
use crate::host::tasks::{join_all, Task};
use crate::model::exit_code::INTERNAL;
use crate::output::terminal::{self, paragraph};
use crate::settings::{Overrides, Problem, ProxyUrl, Settings, DEFAULT_LOG};

/// The default directory of the archive; it exists on every distribution and survives a reboot.
const FOLDER: &str = "/var/tmp";

/// How many reasons for missing entries are printed; the manifest lists all.
const REASONS_SHOWN: usize = 5;

pub(super) async fn run(invocation: &Invocation, environment: Environment<'_>, file: Option<&Path>) -> u8 {
    let to_stdout = file == Some(Path::new("-"));
    if to_stdout && std::io::stdout().is_terminal() {
        output::write_stderr(
            "arc-enroll: the archive is not written to a terminal; redirect it: arc-enroll bundle - > FILE\n",
        );
        return INTERNAL;
    }
    let mut loaded = match load_or_default(invocation) {
        Ok(loaded) => loaded,
        Err(problems) => return super::report_problems(&problems),
    };
    let unread = loaded.unread.take();
    let mut context = context(invocation, environment, loaded, Mode::Observe);
    doctor::limit(&mut context);
    let status = std::io::stderr().is_terminal().then(|| "  collecting, at most 20 s …".to_owned());
    let collecting: Task<'_, _> = Box::pin(collect(invocation, environment, &context, unread));
    let collected = until_shutdown(&context.host, status, output::write_stderr, collecting).await;
    let Ok((collected, examination)) = collected else {
        output::write_stderr("arc-enroll: stopped by a signal; no archive was written\n");
        return INTERNAL;
    };
    let now = SystemTime::now();
    let host = context.hostname().unwrap_or_else(|| "vm".to_owned());
    let mut folder = format!("arc-enroll-bundle-{host:.63}-{}", humantime::format_rfc3339_seconds(now));
    folder.retain(|c| c.is_ascii_alphanumeric() || c == '-');
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let bundle = bundle::pack(&context, &examination.facts, &folder, seconds, collected);
    let path = archive_path(&context, file, &folder);
    let written = if to_stdout {
        output::print_bytes(&bundle.bytes).map_err(|error| format!("standard output: {error}"))
    } else {
        write_private(&path, &bundle.bytes).map_err(|error| describe(&error))
    };
    if let Err(reason) = written {
        return report_not_written(&reason);
    }
    let shown = if to_stdout { "-".to_owned() } else { path.display().to_string() };
    let text = match invocation.output {
        Some(Output::Json) => format!("{}\n", to_json(&shown, &bundle)),
        _ => to_text(&context, &examination, &shown, &bundle),
    };
    // With `-` standard output holds the archive, so the summary goes to standard error.
    let print = if to_stdout { output::write_stderr } else { output::print };
    print(&context.host.mask.apply(&text));
    0
}

/// Reports on standard error why there is no archive, and returns the exit code.
fn report_not_written(reason: &str) -> u8 {
    output::write_stderr(&paragraph("arc-enroll: ", &format!("the archive was not written: {reason}")));
    output::write_stderr(
        "Name another FILE, or write it to another machine:\n  ssh VM sudo arc-enroll bundle - > bundle.tar.gz\n",
    );
    INTERNAL
}

/// Loads the settings; with an invalid configuration, the defaults. Its problems become content of the bundle.
fn load_or_default(invocation: &Invocation) -> Result<Loaded, Vec<Problem>> {
    let problems = match load_for_observation(invocation) {
        Ok(loaded) => return Ok(loaded),
        Err(problems) => problems,
    };
    let mut why = String::new();
    for problem in &problems {
        why.push_str(&format!("{problem}\n"));
    }
    // The problem may also be a flag or an environment variable.
    let loaded = load_without_file(&invocation.overrides, why.clone());
    loaded.or_else(|_| load_without_file(&Overrides::default(), why)).map_err(|_| problems)
}

async fn collect(
    invocation: &Invocation,
    environment: Environment<'_>,
    context: &Context,
    unread: Option<String>,
) -> (Collected, Examination) {
    let log = context.settings.log.file.display().to_string();
    let endpoint = context.settings.imds.endpoint.clone();
    let examining: Task<'_, _> = Box::pin(async {
        let started = Instant::now();
        let examination = doctor::examine(context, Vec::new()).await;
        (examination, started.elapsed())
    });
    let asking =
        bundle::PAGES.iter().map(|page| Box::pin(bundle::fetch_page(&endpoint, page)) as Task<'_, _>);
    let log = Some(log.as_str()).filter(|log| *log != DEFAULT_LOG);
    let (mut collected, answers, (examination, elapsed)) =
        tokio::join!(bundle::collect(&context.host, log), join_all(asking.collect()), examining);
    let doctor = Content::Json(doctor::to_json(context, &examination));
    let mut doctor = Part::new("doctor.json", "arc-enroll doctor --output json", doctor);
    doctor.elapsed = elapsed;
    let configured = configuration_path(invocation, None);
    let from = configured.display().to_string();
    let mut parts = vec![
        doctor,
        Part::new("configuration/config.yaml", &from, bundle::read_file(&configured)),
        bundle::identity_part(context, &examination.facts, answers),
    ];
    let places = bundle::list_proxy_settings(&context.host.files, environment);
    for (name, from, text) in [
        (
            "configuration/in-force.txt",
            "the configuration with its defaults",
            effective_settings(&context.settings),
        ),
        ("proxy/places.txt", "the files and the environment that it names", places),
        (
            "configuration/problems.txt",
            "reading the configuration; defaults were used instead, without a target",
            unread.unwrap_or_default(),
        ),
    ] {
        if !text.is_empty() {
            parts.push(Part::new(name, from, Content::Text(text, None, false)));
        }
    }
    collected.prepend(parts);
    (collected, examination)
}

/// The effective settings, apart from the target, which is in doctor.json and identity.json.
fn effective_settings(settings: &Settings) -> String {
    let Settings { azure, proxy, wait, repair, .. } = settings;
    format!(
        "azure.cloud: {}\nproxy.url: {}\nproxy.no_proxy: {}\nwait.boot: {}s\nwait.token: {}s\nwait.access: {}s\n\
         wait.endpoint: {}s\nrepair.every: {}s\n",
        azure.cloud.name(),
        proxy.url.as_ref().map(ProxyUrl::without_credentials).unwrap_or_default(),
        proxy.no_proxy.join(","),
        wait.boot.as_secs(),
        wait.token.as_secs(),
        wait.access.as_secs(),
        wait.endpoint.as_secs(),
        repair.every.as_secs(),
    )
}

/// The path of the archive; an absolute path is resolved below the root.
fn archive_path(context: &Context, file: Option<&Path>, folder: &str) -> PathBuf {
    let name = format!("{folder}.tar.gz");
    let path = match file {
        Some(file) if file.is_absolute() => context.host.files.path(file),
        Some(file) => file.to_owned(),
        None => {
            if !context.host.files.is_dir(FOLDER) {
                let _told_by_writing = context.host.files.make_dir(FOLDER);
            }
            context.host.files.path(FOLDER).join(&name)
        }
    };
    if path.is_dir() {
        path.join(name)
    } else {
        path
    }
}

fn to_json(file: &str, bundle: &Bundle) -> Value {
    let mut missing = bundle.missing.iter().map(|(name, why)| object! { "name": name, "why": why });
    object! {
        "file": file,
        "bytes": bundle.bytes.len(),
        "entries": bundle.entries,
        "truncated": bundle.truncated,
        "missing": list(&mut missing),
    }
}

fn to_text(context: &Context, examination: &Examination, file: &str, bundle: &Bundle) -> String {
    let mut text = match file {
        "-" => "The archive went to standard output.\n".to_owned(),
        // The path is not wrapped, so that it can be copied.
        file => format!("{file}\n"),
    };
    let cut = match bundle.truncated {
        0 => String::new(),
        cut => format!(", {cut} of them truncated at the beginning"),
    };
    let facts =
        format!("{} bytes, {} entries{cut}; secrets are redacted.", bundle.bytes.len(), bundle.entries);
    text.push_str(&paragraph("  ", &facts));
    if !bundle.missing.is_empty() {
        text.push_str(&format!(
            "\nMissing entries: {}; manifest.json lists all reasons, such as:\n",
            bundle.missing.len()
        ));
    }
    let mut shown: Vec<&String> = Vec::new();
    for (name, why) in &bundle.missing {
        if shown.len() < REASONS_SHOWN && !shown.contains(&why) {
            shown.push(why);
            text.push_str(&paragraph("  - ", &format!("{name}: {why}")));
        }
    }
    text.push_str(&paragraph(
        "\nWhat to do: ",
        "attach the archive to the support request. It does not hold the CSN configuration and the roles of the \
         identity; add the output of",
    ));
    for outside in bundle::OUTSIDE.iter().take(2) {
        let step = outside.render(&|var| value(context, &examination.facts, var));
        text.push_str(&terminal::fold_command("  ", &step.command));
    }
    text
}
