//! `status`: shows the last run, the local conditions and the next run of the timer. It does not use the network.

use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use humantime::{format_rfc3339_seconds, parse_rfc3339_weak};
use serde_json::Value;

use super::{context, load_for_observation, Environment};
use crate::catalogue;
use crate::cli::{Invocation, Output};
use crate::clients::azcmagent::{self, show::Show};
use crate::context::{Context, Mode};
use crate::engine;
use crate::formats::json::{list, object};
use crate::host::{output, system, Host};
use crate::model::check::{CheckResult, CheckState};
use crate::model::condition::Condition;
use crate::model::fault::Fault;
use crate::output::record::{self, Record};
use crate::output::terminal::{self, Mark, Style};
use crate::timer::{self, State};

/// The shown state.
struct Status {
    record: Option<Record>,
    results: Vec<CheckResult>,
    timer: State,
    next: Option<SystemTime>,
    /// Why the timer does not run, if it does not.
    why: Option<String>,
    every: Option<Duration>,
    show: Option<Show>,
    warnings: Vec<String>,
}

pub(super) async fn run(invocation: &Invocation, environment: Environment<'_>) -> u8 {
    let mut warnings = Vec::new();
    let context = match load_for_observation(invocation) {
        Ok(loaded) => {
            warnings.extend(
                loaded.unread.iter().map(|reason| format!("the configuration is not known: {reason}")),
            );
            Some(context(invocation, environment, loaded, Mode::ObserveLocally))
        }
        Err(problems) => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            warnings.push(format!("the conditions are not checked without a configuration: {first}"));
            None
        }
    };
    let path = || environment("PATH").unwrap_or_default();
    let host = context.as_ref().map_or_else(
        || Host::new(invocation.root.clone(), &path(), Vec::new()),
        |context| context.host.clone(),
    );
    let status = gather(context.as_ref(), &host, warnings).await;
    let text = if invocation.output == Some(Output::Json) {
        format!("{}\n", to_json(&status))
    } else {
        for warning in &status.warnings {
            output::write_stderr(&format!("arc-enroll: warning: {}\n", host.mask.apply(warning)));
        }
        let style = if std::io::stdout().is_terminal() { Style::Colour } else { Style::Plain };
        to_text(&status, style)
    };
    output::print(&host.mask.apply(&text));
    status.record.map_or(crate::model::exit_code::NOT_YET, |record| record.exit_code)
}

async fn gather(context: Option<&Context>, host: &Host, mut warnings: Vec<String>) -> Status {
    let record = record::read(&host.files).unwrap_or_else(|reason| {
        warnings.push(reason);
        None
    });
    let results = observe_locally(context).await;
    let (timer, unseen) = match timer::query_state(host).await {
        Ok(timer) => (timer, None),
        Err(reason) => (State::default(), Some(reason)),
    };
    let repair = context.map(|context| &context.settings.repair);
    let why = match () {
        () if timer.installed && timer.active => None,
        () if repair.is_some_and(|repair| !repair.timer) => Some("repair.timer is false".to_owned()),
        () if unseen.is_some() => unseen,
        () if timer.installed => Some("it is stopped; `sudo arc-enroll enroll` starts it".to_owned()),
        () => Some("it is not installed; `sudo arc-enroll enroll` installs it, or says why not".to_owned()),
    };
    let next = timer.next(&host.files);
    let every = repair.map(|repair| repair.every);
    let show = show(host).await;
    Status { record, results, timer, next, why, every, show, warnings }
}

async fn show(host: &Host) -> Option<Show> {
    host.commands.find(azcmagent::PROGRAM)?;
    azcmagent::show(&host.commands).await.ok()?.0
}

/// Observes the local conditions, which do not need the network.
async fn observe_locally(context: Option<&Context>) -> Vec<CheckResult> {
    let Some(context) = context else { return Vec::new() };
    let local: Vec<Condition> =
        Condition::ALL.iter().copied().filter(|condition| condition.entry().is_local).collect();
    let mut results = engine::examine(context, &local).await.results;
    for result in &mut results {
        if result.fault().is_some_and(is_permission_error) {
            result.state = CheckState::NotChecked("not readable without root".to_owned());
        }
    }
    results
}

/// The state and description of a condition.
fn describe(result: &CheckResult) -> (&'static str, String) {
    match &result.state {
        CheckState::Holds(evidence) => ("holds", evidence.clone()),
        CheckState::Fails(fault) => ("fails", fault.to_string()),
        CheckState::Skipped(cause) => ("skipped", format!("not checked: {cause} does not hold")),
        CheckState::NotChecked(why) => ("skipped", why.clone()),
    }
}

/// Whether the fault only says that this user lacks the permission to read.
fn is_permission_error(fault: &Fault) -> bool {
    !system::is_root() && fault.evidence.contains("ermission denied")
}

fn to_json(status: &Status) -> Value {
    let conditions = list(&mut status.results.iter().map(|result| {
        let (state, text) = describe(result);
        let fault = result.fault().map(Fault::code);
        object! { "condition": result.condition.name(), "state": state, "evidence": text, "fault": fault }
    }));
    let (state, place) = agent(status);
    object! {
        "last_run": status.record,
        "warning": status.warnings.first(),
        "now": object! { "conditions": conditions },
        "timer": object! {
            "installed": status.timer.installed,
            "active": status.timer.active,
            "running": status.timer.working,
            "next": status.next.map(|time| format_rfc3339_seconds(time).to_string()),
            "every_s": status.every.map(|every| every.as_secs()),
            "why": status.why,
        },
        "azcmagent": object! { "status": state, "resource_id": place },
    }
}

fn agent(status: &Status) -> (&str, Option<String>) {
    let show = status.show.as_ref();
    let state = show.map_or("not installed or not answering", |show| show.status.as_str());
    (state, show.filter(|show| show.is_onboarded()).map(Show::arm_id))
}

fn to_text(status: &Status, style: Style) -> String {
    let mut text = match &status.record {
        None => "Last run:   none\n".to_owned(),
        Some(record) => last_run(record),
    };
    text.push_str("Now:\n");
    for result in &status.results {
        let mark = match result.state {
            CheckState::Holds(_) => Mark::Good,
            CheckState::Fails(_) => Mark::Bad,
            CheckState::Skipped(_) | CheckState::NotChecked(_) => Mark::Skipped,
        };
        text.push_str(&terminal::line(&style, mark, result.name(), &describe(result).1));
    }
    let every =
        status.every.map(|every| format!(", every {}", terminal::duration(every))).unwrap_or_default();
    text.push_str(&match &status.why {
        None => terminal::line(&style, Mark::Good, "timer", &format!("enabled and active{every}")),
        Some(why) => terminal::line(&style, Mark::Skipped, "timer", &format!("no timer: {why}")),
    });
    let next = match status.next {
        _ if status.timer.working => "a run is under way now".to_owned(),
        Some(time) => format!("{}, {}", format_rfc3339_seconds(time), format_time_until(time)),
        None if status.why.is_some() => "none by itself".to_owned(),
        None => "not known".to_owned(),
    };
    text.push_str(&format!("Next try:   {next}\n"));
    let (state, place) = agent(status);
    let place = place.map(|place| format!(", {place}")).unwrap_or_default();
    // The resource id is not wrapped, so that it can be copied.
    text + &format!("azcmagent:  {state}{place}\n")
}

fn last_run(record: &Record) -> String {
    let code = record.fault.as_deref().unwrap_or_default();
    let named = if code.is_empty() { String::new() } else { format!(": {code}") };
    let mut text = format!("Last run:   {}{named} (exit code {})\n", record.outcome, record.exit_code);
    const INDENT: &str = "            ";
    let (started, finished) = (parse_rfc3339_weak(&record.started), parse_rfc3339_weak(&record.finished));
    let mut when = record.finished.clone();
    if let (Ok(started), Ok(finished)) = (started, finished) {
        let took = finished.duration_since(started).unwrap_or_default();
        when = format!(
            "{}, {}, after {}",
            format_rfc3339_seconds(finished),
            format_time_since(finished),
            terminal::duration(took)
        );
    }
    let kind = catalogue::find(code);
    let seen = record.evidence.as_deref().filter(|seen| !seen.is_empty());
    let lines = [
        Some(when),
        kind.map(|kind| kind.summary.to_owned()),
        seen.map(|seen| format!("Seen: {seen}")),
        repairs(record),
        Some(format!("Next: {}", record.next)),
    ];
    for line in lines.into_iter().flatten() {
        text.push_str(&terminal::paragraph(INDENT, &line));
    }
    if !record.remedy.is_empty() {
        text.push_str("What a person does:\n");
        text.push_str(&terminal::steps(&record.steps(), 4));
    }
    text
}

/// The repairs of the last run.
fn repairs(record: &Record) -> Option<String> {
    let list: Vec<String> = record
        .repairs
        .iter()
        .map(|done| {
            let result =
                done.helped.map_or("", |helped| if helped { ", helped" } else { ", without effect" });
            format!("{} ({}{result})", done.repair, done.fault)
        })
        .collect();
    (!list.is_empty()).then(|| format!("Repaired: {}", list.join("; ")))
}

/// The time until a point in time, as text.
fn format_time_until(time: SystemTime) -> String {
    let left = time.duration_since(SystemTime::now()).ok();
    left.map_or_else(|| "due now".to_owned(), |left| format!("in {}", format_coarsely(left)))
}

/// The time since a point in time, as text; it lies in the future when the clock was set back.
fn format_time_since(time: SystemTime) -> String {
    let past = SystemTime::now().duration_since(time).ok();
    past.map_or_else(
        || "in the future by this clock".to_owned(),
        |past| format!("{} ago", format_coarsely(past)),
    )
}

/// A duration without seconds if it is a minute or longer.
fn format_coarsely(time: Duration) -> String {
    let whole = if time < Duration::from_secs(60) { time.as_secs() } else { time.as_secs() / 60 * 60 };
    terminal::duration(Duration::from_secs(whole))
}
