//! `enroll`: makes every condition hold, and says how it ended, in the log, in the record and to the person.

use std::io::IsTerminal;
use std::time::{Instant, SystemTime};

use humantime::format_rfc3339_millis as rfc3339;
use tracing::{error, info, warn};

use super::shutdown::shutdown_signal;
use super::{load, vm, Environment};
use crate::catalogue;
use crate::cli::{Command, Invocation, Output};
use crate::conditions::Vm;
use crate::engine::{converge, Effects, Verdict};
use crate::host::files::Files;
use crate::host::{describe, output, Host, SharedMask};
use crate::model::backoff;
use crate::model::exit_code::USAGE;
use crate::model::fault::{Fault, Resolution};
use crate::output::log::{self, Destination, Sink};
use crate::output::progress::{Mode, Progress};
use crate::output::record::Record;
use crate::output::terminal::{self, Style};
use crate::settings::{Level, Problem, DEFAULT_PATH};
use crate::timer;

/// Where the log is when no configuration could be read.
pub(super) const DEFAULT_LOG: &str = "/var/log/cloud-init-output.log";

/// When and as what a run began.
struct Start {
    instant: Instant,
    time: SystemTime,
    run_id: String,
}

pub(super) async fn run(invocation: &Invocation, environment: Environment<'_>, if_idle: bool) -> u8 {
    let start = Start { instant: Instant::now(), time: SystemTime::now(), run_id: super::run_id() };
    let loaded = match load(invocation, None) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(invocation, &start, &problems),
    };
    // One id for the log, the record and the onboarding.
    let vm = Vm { run_id: start.run_id.clone(), ..vm(invocation, environment, loaded, true) };
    let log_file = vm.settings.log.file.clone();
    let level = level(vm.settings.log.level, invocation.verbose);
    let (destination, mode) =
        start_log(invocation, &vm.host.files, &log_file, level, &start, vm.host.mask.clone());
    let progress = Progress::new(mode, style(mode), vm.host.mask.clone());
    begin(&vm, &progress);

    let effects = Effects::default();
    let verdict = tokio::select! {
        verdict = enroll(&vm, &progress, &effects, destination, if_idle) => verdict,
        name = shutdown_signal() => Verdict::Stopped(catalogue::RUN_INTERRUPTED.with_evidence(format!("by {name}"))),
    };
    // Whatever was running when the run was told to stop has been told the same; it gets time to end.
    vm.host.commands.reap().await;
    finish(&vm, &start, &progress, mode, &verdict, effects)
}

/// A fleet that boots at the same moment does not ask the token service at the same moment.
async fn enroll(
    vm: &Vm,
    progress: &Progress,
    effects: &Effects,
    destination: Destination,
    if_idle: bool,
) -> Verdict {
    if if_idle {
        match vm.take_lock() {
            Err(fault) if fault.code() == catalogue::HOST_BUSY.code => return Verdict::Yielded(fault),
            // Whatever else is wrong with the lock is told by the first condition.
            _ => {}
        }
    }
    let is_first_boot =
        destination == Destination::LogFile && !vm.host.files.exists(crate::output::record::PATH);
    vm.learnt.first_boot.set(is_first_boot);
    if is_first_boot {
        let machine_id = vm.host.files.read("/etc/machine-id").ok().flatten().unwrap_or_default();
        let delay = backoff::start_delay(&machine_id);
        info!(
            event = "start.delayed",
            delay_ms = delay.as_millis(),
            "spreading the fleet: {} ms",
            delay.as_millis()
        );
        tokio::time::sleep(delay).await;
    }
    converge(vm, progress, effects).await
}

fn begin(vm: &Vm, progress: &Progress) {
    let azure = &vm.settings.azure;
    let name = vm.resource_name().map(|name| name.to_string()).unwrap_or_default();
    if let Err(reason) = crate::output::record::read(&vm.host.files) {
        warn!(
            event = "record.unreadable",
            "the last run's record cannot be used, this run makes a new one: {reason}"
        );
    }
    info!(
        event = "run.started",
        version = env!("CARGO_PKG_VERSION"),
        subscription_id = %azure.subscription_id,
        resource_group = %azure.resource_group,
        location = %azure.location,
        resource_name = %name,
        identity = %vm.settings.identity,
        "enrolling {name}"
    );
    progress.say(&format!(
        "arc-enroll {}: enrolling {name} into {} ({})\n",
        env!("CARGO_PKG_VERSION"),
        azure.resource_group,
        azure.location
    ));
}

/// Record, last log line, verdict for the person; the exit code.
fn finish(
    vm: &Vm,
    start: &Start,
    progress: &Progress,
    mode: Mode,
    verdict: &Verdict,
    effects: Effects,
) -> u8 {
    let (outcome, fault, exit_code) = match verdict {
        Verdict::Enrolled(_) => ("enrolled", None, 0),
        Verdict::Yielded(fault) => ("waiting", Some(fault), crate::model::exit_code::NOT_YET),
        Verdict::Stopped(fault) => {
            let outcome = if fault.kind.resolution == Resolution::Retry { "waiting" } else { "failed" };
            (outcome, Some(fault), fault.kind.exit_code())
        }
    };
    let next = match verdict {
        Verdict::Yielded(_) => "nothing to do: the run that is at work goes on".to_owned(),
        _ => next(vm, fault),
    };
    let record = Record {
        version: crate::output::record::VERSION,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: start.run_id.clone(),
        started: rfc3339(start.time).to_string(),
        finished: rfc3339(SystemTime::now()).to_string(),
        outcome: outcome.to_owned(),
        fault: fault.map(|fault| fault.code().to_owned()),
        evidence: fault.map(|fault| vm.host.mask.apply(&fault.evidence)),
        exit_code,
        remedy: fault.map(|fault| fault.kind.steps(|step| vm.fill(step))).unwrap_or_default(),
        repairs: effects.into_record(&vm.host.mask),
        next: next.clone(),
        vm: enrolled_vm(vm, verdict),
    };
    if may_record(vm, fault) {
        if let Err(error) = record.write(&vm.host.files) {
            warn!(event = "record.lost", "the record was not written: {}", describe(&error));
        }
    }
    finished(outcome, fault, exit_code, start.instant, &next);
    match (verdict, mode) {
        (_, Mode::Silent) => {}
        (Verdict::Enrolled(evidence), _) => progress.say(&format!("\nENROLLED: {evidence}\n")),
        (Verdict::Yielded(fault), _) => {
            progress.say(&format!("\nNOT NOW: {} (exit code {exit_code})\n", fault.kind.summary));
        }
        (Verdict::Stopped(fault), _) => {
            progress.say(&terminal::verdict(vm, &style(mode), fault));
            if fault.kind.resolution == Resolution::Retry {
                progress.say(&terminal::paragraph("  Next: ", &next));
            }
        }
    }
    exit_code
}

/// Whether the record is this run's to write.
fn may_record(vm: &Vm, fault: Option<&Fault>) -> bool {
    let Some(fault) = fault else { return true };
    let is_busy = |fault: &Fault| fault.code() == catalogue::HOST_BUSY.code;
    // Without the rights to enroll there are none to write the record either, and no news in saying so.
    // Another run's record is its own: it holds the lock, also when this one was told to stop before it had it.
    fault.kind.resolution != Resolution::Unsuitable
        && !is_busy(fault)
        && !vm.take_lock().is_err_and(|held| is_busy(&held))
}

/// Which VM enrolled: this one now, or the one that an earlier run was on.
fn enrolled_vm(vm: &Vm, verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Enrolled(_) => Some(vm.firmware_id().unwrap_or_default()),
        Verdict::Stopped(_) | Verdict::Yielded(_) => {
            crate::output::record::read(&vm.host.files).ok().flatten()?.vm
        }
    }
}

/// The last line of every run.
fn finished(outcome: &str, fault: Option<&Fault>, exit_code: u8, since: Instant, next: &str) {
    let elapsed_ms = since.elapsed().as_millis();
    match fault {
        None => info!(
            target: log::LAST_LINE,
            event = "run.finished",
            outcome,
            fault = log::NULL,
            exit_code,
            elapsed_ms,
            next,
            "enrolled"
        ),
        Some(fault) => error!(
            target: log::LAST_LINE,
            event = "run.finished",
            condition = fault.kind.condition.name(),
            outcome,
            fault = fault.code(),
            exit_code,
            elapsed_ms,
            next,
            "{fault}"
        ),
    }
}

fn next(vm: &Vm, fault: Option<&Fault>) -> String {
    match fault {
        None => "nothing to do".to_owned(),
        Some(fault) if fault.kind.resolution == Resolution::Retry => match timer::latest(vm) {
            Some(time) => format!(
                "not over: the timer goes on, at {} at the latest; `arc-enroll enroll` goes on at once",
                humantime::format_rfc3339_seconds(time)
            ),
            None => "not over: run `arc-enroll enroll` again, it goes on where this run stopped".to_owned(),
        },
        Some(fault) => {
            let steps = crate::model::fault::unmarked(fault.kind.steps(|step| vm.fill(step)));
            steps.into_iter().next().unwrap_or_default()
        }
    }
}

/// A configuration that cannot be used ends the run before it begins, and the log says so too.
fn refuse(invocation: &Invocation, start: &Start, problems: &[Problem]) -> u8 {
    let host = Host::new(invocation.root.clone(), "", Vec::new());
    let log_file = DEFAULT_LOG.as_ref();
    start_log(invocation, &host.files, log_file, tracing::Level::INFO, start, SharedMask::default());
    for problem in problems {
        error!(event = "configuration.fault", place = %problem.place, key = %problem.key, "{problem}");
        output::write_stderr(&format!("{problem}\n"));
    }
    let seen: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let fault = catalogue::CONFIGURATION_INVALID.with_evidence(seen.join("; "));
    output::write_stderr("arc-enroll: the configuration cannot be used; nothing was changed\n");
    let path = invocation.config.as_deref().unwrap_or(DEFAULT_PATH.as_ref()).display().to_string();
    for step in crate::model::fault::unmarked(fault.kind.steps(|step| step.replace("{config}", &path))) {
        output::write_stderr(&format!("  {step}\n"));
    }
    finished(
        "failed",
        Some(&fault),
        USAGE,
        start.instant,
        "correct the configuration, then run: arc-enroll enroll",
    );
    USAGE
}

/// Decides where the lines and where the progress go, and starts the log.
fn start_log(
    invocation: &Invocation,
    files: &Files,
    log_file: &std::path::Path,
    level: tracing::Level,
    start: &Start,
    mask: SharedMask,
) -> (Destination, Mode) {
    let destination = log::choose(&files.path(log_file));
    let mut lost = None;
    let to_stdout = destination == Destination::LogFile || invocation.output == Some(Output::Json);
    let mut sink = if destination == Destination::LogFile { Sink::stdout() } else { Sink::nowhere() };
    if destination != Destination::LogFile {
        if let Some(parent) = log_file.parent() {
            let _reported_by_opening = files.make_dir(parent);
        }
        match files.open_to_append(log_file) {
            Ok(file) => sink = Sink::file(file),
            Err(error) => lost = Some(describe(&error)),
        }
        if to_stdout {
            sink = sink.and_stdout();
        }
    }
    // The timer's run; with -v somebody wants to see it.
    if invocation.command == (Command::Enroll { if_idle: true }) && level <= tracing::Level::INFO {
        sink = sink.quiet();
    }
    log::start(&start.run_id, level, sink, mask);
    if let Some(reason) = lost {
        warn!(event = "log.lost", "the log file is not written: {reason}");
        if !to_stdout {
            output::write_stderr(&format!("arc-enroll: warning: the log file is not written: {reason}\n"));
        }
    }
    let mode = match destination {
        _ if to_stdout => Mode::Silent,
        Destination::Terminal => Mode::Live,
        _ => Mode::Lines,
    };
    (destination, mode)
}

fn style(mode: Mode) -> Style {
    if mode == Mode::Live && std::io::stdout().is_terminal() {
        Style::Colour
    } else {
        Style::Plain
    }
}

fn level(configured: Level, verbose: u8) -> tracing::Level {
    let configured = match configured {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
        Level::Trace => tracing::Level::TRACE,
    };
    match verbose {
        0 => configured,
        1 => configured.max(tracing::Level::DEBUG),
        _ => tracing::Level::TRACE,
    }
}
