//! `enroll`: makes every condition hold, and reports the outcome in the log, the record and on the terminal.

use std::io::IsTerminal;
use std::time::{Instant, SystemTime};

use humantime::format_rfc3339_millis as rfc3339;
use tracing::{error, info, warn};

use super::shutdown::shutdown_signal;
use super::{context, load, repeat, Environment};
use crate::catalogue;
use crate::cli::{Action, Invocation, Output};
use crate::context::{value, Context, Mode, Session};
use crate::engine::{RepairLog, Run};
use crate::host::files::Files;
use crate::host::tasks::Task;
use crate::host::{describe, output, SharedMask};
use crate::model::backoff;
use crate::model::check::Evidence;
use crate::model::condition::Condition;
use crate::model::exit_code::{NOT_YET, OK, USAGE};
use crate::model::fault::{Fault, Resolution};
use crate::model::step::RenderedStep;
use crate::model::var::{one, Var};
use crate::output::log::{self, Destination, Sink};
use crate::output::progress::{self, Progress};
use crate::output::record::{self, Record};
use crate::output::terminal::{self, Style};
use crate::settings::{Level, Problem, DEFAULT_LOG, DEFAULT_PATH};
use crate::timer::{self, Repeat};

/// The start time and id of a run.
struct Start {
    instant: Instant,
    time: SystemTime,
    run_id: String,
}

/// How a run ended.
enum Outcome {
    /// Every condition holds.
    Enrolled(Evidence),
    /// A condition does not hold, and the run ended there.
    Stopped(Fault),
    /// Another run is in progress, and this one had `--if-idle`.
    Yielded(Fault),
}

/// The options of the command line.
struct Options {
    if_idle: bool,
    repeat: Repeat,
}

pub(super) async fn run(invocation: &Invocation, environment: Environment<'_>, if_idle: bool) -> u8 {
    let start = Start { instant: Instant::now(), time: SystemTime::now(), run_id: super::run_id() };
    let loaded = match load(invocation, None) {
        Ok(loaded) => loaded,
        Err(problems) => return reject_configuration(invocation, &start, &problems),
    };
    let context = context(invocation, environment, loaded, Mode::Enroll);
    let log_file = context.settings.log.file.clone();
    let level = level(context.settings.log.level, invocation.verbose);
    let (destination, mode) =
        start_log(invocation, &context.host.files, &log_file, level, &start, context.host.mask.clone());
    let is_first_boot = destination == Destination::LogFile && !context.host.files.exists(record::PATH);
    // The log, the record and the onboarding share one id.
    let context = Context { run_id: start.run_id.clone(), is_first_boot, ..context };
    let progress = Progress::new(mode, style(mode), context.host.mask.clone());
    begin(&context, &progress);

    let options = Options { if_idle, repeat: repeat(invocation) };
    let mut run = Run::new(&context, &progress);
    let mut has_timer = false;
    let outcome = tokio::select! {
        outcome = Box::pin(enroll(&context, &options, &progress, &mut run, &mut has_timer)) => outcome,
        name = shutdown_signal() => {
            Outcome::Stopped(catalogue::RUN_INTERRUPTED.with_evidence(format!("by {name}")))
        }
    };
    // Child processes have got the shutdown signal too, and need time to end.
    context.host.commands.reap().await;
    let Run { session, repairs, .. } = run;
    finish(&context, &start, &progress, mode, Ending { outcome, session, repairs, has_timer })
}

/// Enrolls the VM, unless another run is in progress and `if_idle` is set.
async fn enroll(
    context: &Context,
    options: &Options,
    progress: &Progress,
    run: &mut Run<'_>,
    has_timer: &mut bool,
) -> Outcome {
    if options.if_idle {
        match run.session.claim(context) {
            Err(fault) if fault.is(&catalogue::HOST_BUSY) => return Outcome::Yielded(fault),
            // The first condition reports other faults.
            _ => {}
        }
    }
    delay_start(context).await;
    match converge(context, &options.repeat, progress, run, has_timer).await {
        Ok(evidence) => Outcome::Enrolled(evidence),
        Err(fault) => Outcome::Stopped(fault),
    }
}

async fn converge(
    context: &Context,
    repeat: &Repeat,
    progress: &Progress,
    run: &mut Run<'_>,
    has_timer: &mut bool,
) -> Result<Evidence, Fault> {
    // The host is suitable, and this run holds the lock.
    run.converge(&[Condition::Host]).await?;
    // From here on the timer retries if this run fails.
    let configuring: Task<'_, bool> = Box::pin(timer::configure(context, repeat, progress));
    *has_timer = configuring.await;
    run.converge(&[Condition::Host, Condition::ProxyEnvironment]).await?;
    // On a connected VM the conditions that only connecting needs are not checked again.
    run.observe_ahead(Condition::GOAL).await;
    run.converge(Condition::ALL).await
}

/// Delays the first boot by a few seconds, so that a fleet does not request tokens at the same moment.
async fn delay_start(context: &Context) {
    if !context.is_first_boot {
        return;
    }
    let machine_id = context.host.text("/etc/machine-id").unwrap_or_default();
    let delay = backoff::start_delay(&machine_id);
    let delay_ms = delay.as_millis();
    info!(event = "start.delayed", delay_ms, "spreading the fleet: {delay_ms} ms");
    tokio::time::sleep(delay).await;
}

fn begin(context: &Context, progress: &Progress) {
    let azure = &context.settings.azure;
    let name = context.resource_name(&Default::default()).map(|name| name.to_string()).unwrap_or_default();
    if let Err(reason) = record::read(&context.host.files) {
        warn!(
            event = "record.unreadable",
            "the record of the last run is invalid, this run writes a new one: {reason}"
        );
    }
    info!(
        event = "run.started",
        version = env!("CARGO_PKG_VERSION"),
        subscription_id = %azure.subscription_id,
        resource_group = %azure.resource_group,
        location = %azure.location,
        resource_name = %name,
        identity = %context.settings.identity,
        "enrolling {name}"
    );
    progress.print(&format!(
        "arc-enroll {}: enrolling {name} into {} ({})\n",
        env!("CARGO_PKG_VERSION"),
        azure.resource_group,
        azure.location
    ));
}

/// The result of a run.
struct Ending {
    outcome: Outcome,
    session: Session,
    repairs: RepairLog,
    has_timer: bool,
}

impl Ending {
    fn fault(&self) -> Option<&Fault> {
        match &self.outcome {
            Outcome::Enrolled(_) => None,
            Outcome::Stopped(fault) | Outcome::Yielded(fault) => Some(fault),
        }
    }

    /// The name of the outcome, and the exit code.
    fn name(&self) -> (&'static str, u8) {
        match &self.outcome {
            Outcome::Enrolled(_) => ("enrolled", OK),
            Outcome::Yielded(_) => ("waiting", NOT_YET),
            Outcome::Stopped(fault) => {
                let is_waiting = fault.kind.resolution == Resolution::Retry;
                (if is_waiting { "waiting" } else { "failed" }, fault.kind.exit_code())
            }
        }
    }

    fn steps(&self, context: &Context) -> Vec<RenderedStep> {
        let values = |var| value(context, &self.session.facts, var);
        self.fault().map(|fault| fault.remediation(&values)).unwrap_or_default()
    }

    /// The next step, as text.
    fn next(&self, context: &Context, steps: &[RenderedStep]) -> String {
        let fault = match &self.outcome {
            Outcome::Enrolled(_) => return "nothing to do".to_owned(),
            Outcome::Yielded(_) => return "nothing to do: the other run continues".to_owned(),
            Outcome::Stopped(fault) => fault,
        };
        if fault.kind.resolution != Resolution::Retry {
            return steps.first().map(RenderedStep::line).unwrap_or_default();
        }
        let latest = timer::latest_run(&context.settings).filter(|_| self.has_timer);
        match latest {
            Some(time) => format!(
                "not finished: the timer continues, at {} at the latest; `arc-enroll enroll` continues at once",
                humantime::format_rfc3339_seconds(time)
            ),
            None => {
                "not finished: run `arc-enroll enroll` again, it continues where this run stopped".to_owned()
            }
        }
    }
}

/// Writes the record, the last log line and the verdict, and returns the exit code.
fn finish(
    context: &Context,
    start: &Start,
    progress: &Progress,
    mode: progress::ProgressMode,
    mut ending: Ending,
) -> u8 {
    let (outcome, exit_code) = ending.name();
    let steps = ending.steps(context);
    let next = ending.next(context, &steps);
    if should_record(context, &mut ending) {
        let record = record(context, start, &mut ending, &steps, &next);
        if let Err(error) = record.write(&context.host.files) {
            warn!(event = "record.lost", "the record was not written: {}", describe(&error));
        }
    }
    log_finished(outcome, ending.fault(), exit_code, start.instant, &next);
    if mode != progress::ProgressMode::Silent {
        report_verdict(context, progress, mode, &ending, &steps, &next);
    }
    exit_code
}

fn record(
    context: &Context,
    start: &Start,
    ending: &mut Ending,
    steps: &[RenderedStep],
    next: &str,
) -> Record {
    let (outcome, exit_code) = ending.name();
    Record {
        version: record::VERSION,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: start.run_id.clone(),
        started: rfc3339(start.time).to_string(),
        finished: rfc3339(SystemTime::now()).to_string(),
        outcome: outcome.to_owned(),
        fault: ending.fault().map(|fault| fault.code().to_owned()),
        evidence: ending.fault().map(|fault| context.host.mask.apply(&fault.evidence)),
        exit_code,
        remedy: steps.iter().map(RenderedStep::marked).collect(),
        repairs: std::mem::take(&mut ending.repairs).into_record(&context.host.mask),
        next: next.to_owned(),
        vm: enrolled_vm(context, &ending.outcome),
    }
}

/// Prints the verdict.
fn report_verdict(
    context: &Context,
    progress: &Progress,
    mode: progress::ProgressMode,
    ending: &Ending,
    steps: &[RenderedStep],
    next: &str,
) {
    match &ending.outcome {
        Outcome::Enrolled(evidence) => progress.print(&format!("\nENROLLED: {evidence}\n")),
        Outcome::Yielded(fault) => {
            progress.print(&format!("\nNOT NOW: {} (exit code {NOT_YET})\n", fault.kind.summary));
        }
        Outcome::Stopped(fault) => {
            let log = context.settings.log.file.display().to_string();
            progress.print(&terminal::verdict(&style(mode), fault, steps, &log));
            if fault.kind.resolution == Resolution::Retry {
                progress.print(&terminal::paragraph("  Next: ", next));
            }
        }
    }
}

/// Whether this run may write the record.
fn should_record(context: &Context, ending: &mut Ending) -> bool {
    let is_busy = |fault: &Fault| fault.is(&catalogue::HOST_BUSY);
    let Some(fault) = ending.fault() else { return true };
    // A shutdown may stop the timer's run as it begins. What it met may be due to the shutdown, so as long as it has
    // repaired nothing, the record of an enrolled VM is kept.
    if fault.is(&catalogue::RUN_INTERRUPTED) && ending.repairs.is_empty() && is_recorded_as_enrolled(context)
    {
        return false;
    }
    // An unsuitable host has no record to keep. The run that holds the lock writes the record, so a run that was
    // stopped before it got the lock does not.
    fault.kind.resolution != Resolution::Unsuitable
        && !is_busy(fault)
        && !ending.session.claim(context).is_err_and(|held| is_busy(&held))
}

fn is_recorded_as_enrolled(context: &Context) -> bool {
    let record = record::read(&context.host.files).ok().flatten();
    record.is_some_and(|record| record.exit_code == OK)
}

/// The firmware id of the enrolled VM: of this one, or of the one in the record of an earlier run.
fn enrolled_vm(context: &Context, outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Enrolled(_) => Some(context.firmware_id().unwrap_or_default()),
        Outcome::Stopped(_) | Outcome::Yielded(_) => context.recorded_vm(),
    }
}

/// Writes the last log line of a run.
fn log_finished(outcome: &str, fault: Option<&Fault>, exit_code: u8, since: Instant, next: &str) {
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

/// Reports an invalid configuration on standard error and in the log, and returns the exit code.
fn reject_configuration(invocation: &Invocation, start: &Start, problems: &[Problem]) -> u8 {
    let files = Files::new(invocation.root.clone());
    let log_file = DEFAULT_LOG.as_ref();
    start_log(invocation, &files, log_file, tracing::Level::INFO, start, SharedMask::default());
    for problem in problems {
        error!(event = "configuration.fault", place = %problem.place, key = %problem.key, "{problem}");
        output::write_stderr(&format!("{problem}\n"));
    }
    let seen: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let fault = catalogue::CONFIGURATION_INVALID.with_evidence(seen.join("; "));
    output::write_stderr("arc-enroll: the configuration cannot be used; nothing was changed\n");
    let path = invocation.config.as_deref().unwrap_or(DEFAULT_PATH.as_ref()).display().to_string();
    for step in fault.remediation(&|var| (var == Var::Config).then(|| one(path.as_str()))) {
        output::write_stderr(&format!("  {}\n", step.line()));
    }
    log_finished(
        "failed",
        Some(&fault),
        USAGE,
        start.instant,
        "correct the configuration, then run: arc-enroll enroll",
    );
    USAGE
}

/// Chooses the destinations of log lines and progress, and starts the log.
fn start_log(
    invocation: &Invocation,
    files: &Files,
    log_file: &std::path::Path,
    level: tracing::Level,
    start: &Start,
    mask: SharedMask,
) -> (Destination, progress::ProgressMode) {
    let destination = log::detect_destination(&files.path(log_file));
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
    // Runs of the timer are quiet unless -v is given.
    if invocation.command == (Action::Enroll { if_idle: true }) && level <= tracing::Level::INFO {
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
        _ if to_stdout => progress::ProgressMode::Silent,
        Destination::Terminal => progress::ProgressMode::Live,
        _ => progress::ProgressMode::Lines,
    };
    (destination, mode)
}

fn style(mode: progress::ProgressMode) -> Style {
    if mode == progress::ProgressMode::Live && std::io::stdout().is_terminal() {
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
