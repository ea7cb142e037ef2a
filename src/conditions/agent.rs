//! Condition 9: azcmagent is installed, its services run, its proxy is set, and it does not refuse this VM.

use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use super::{probe, proxy_environment, Notes, Observation};
use crate::catalogue;
use crate::clients::azcmagent::{self, AZURE_VM_OVERRIDE, MAIN_SERVICE, PROGRAM, SERVICES};
use crate::clients::{imds, packages};
use crate::context::{AgentFacts, Context, Facts, Learned, Mode};
use crate::host::commands::Program;
use crate::host::link_local;
use crate::model::check::{Evidence, Probe, ProbeState};
use crate::model::fault::Fault;
use crate::model::repair::RepairId;
use crate::proxy_files::{self, TakesEffect};
use crate::settings::{Install, ProxyUrl};

/// Time limit of a systemctl or dpkg query.
const LIMIT: Duration = Duration::from_secs(20);

/// Time limit of the Azure VM probe; a missing answer decides nothing.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// The first version whose `connect` reads a configuration file (release notes of 1.4).
const OLDEST: (u32, u32) = (1, 4);

/// The first version with the status Expired; 1.31 fails behind a proxy (release notes of 1.31 and 1.32). An older agent
/// is used as long as it works, since it may be a deliberate choice.
const OLDEST_SUPPORTED: (u32, u32) = (1, 32);

/// A service with at least this many restarts that has run for less than [`SETTLED_AFTER`] is crash-looping.
const CRASHING_RESTARTS: u32 = 3;
const SETTLED_AFTER: Duration = Duration::from_secs(30);

pub(super) async fn observe(context: &Context, facts: &Facts) -> Observation {
    let mut notes = Notes::default();
    let outcome = evaluate(context, facts, &mut notes).await;
    notes.observation(outcome)
}

async fn evaluate(context: &Context, facts: &Facts, notes: &mut Notes) -> Result<Evidence, Fault> {
    let commands = &context.host.commands;
    let (version, shown, proxy, azure_vm, state) = tokio::join!(
        azcmagent::version(commands),
        show_units(context),
        azcmagent::proxy_url(commands),
        probe_azure_vm(context, facts),
        package_state(context)
    );
    notes.probes.extend(azure_vm.probe);
    notes.learned = Learned::Agent(AgentFacts { is_azure_vm_allowed: azure_vm.is_allowed });
    if let Some(absent) = absence(context, &state) {
        // Checked before installation: an agent that was installed before the override keeps refusing.
        azure_vm.outcome?;
        return Err(absent);
    }
    if is_unfinished(&state) {
        return Err(catalogue::AGENT_DPKG_INTERRUPTED.with_evidence(format!("dpkg has azcmagent {state}")));
    }
    let version = version.map_err(|error| catalogue::AGENT_BROKEN.with_evidence(error.to_string()))?;
    let is_before = |oldest| version.as_deref().is_some_and(|version| is_before(version, oldest));
    let version = version.as_deref().unwrap_or("of an unknown version");
    if is_before(OLDEST) {
        return Err(catalogue::AGENT_TOO_OLD.with_evidence(format!("azcmagent is {version}")));
    }
    let units = parse_units(&shown);
    check_units(&units, context.host.files.uptime()).map_err(|fault| {
        // Starting the services would not complete the package's scripts.
        let was_cut_off = packages::was_interrupted(&context.host, &context.settings.agent);
        let kind = if was_cut_off { &catalogue::AGENT_DPKG_INTERRUPTED } else { fault.kind };
        let evidence = fault.evidence.clone();
        fault.as_kind(kind, evidence)
    })?;
    let seen = azure_vm.outcome?;
    if !check_proxy(context, facts, proxy.unwrap_or_default())? {
        check_environment(context, &units, notes)?;
    }
    let old = if is_before(OLDEST_SUPPORTED) { ", older than Microsoft supports" } else { "" };
    Ok(format!("azcmagent {version}{old}, its services run{seen}"))
}

/// The fault if azcmagent is absent or only partly installed.
fn absence(context: &Context, state: &str) -> Option<Fault> {
    let is_half_installed = state == "half-installed";
    if context.host.commands.find(PROGRAM).is_some() && !is_half_installed {
        return None;
    }
    let kind = match context.settings.agent.install {
        Install::Never => &catalogue::AGENT_NOT_WANTED,
        _ => &catalogue::AGENT_ABSENT,
    };
    let evidence =
        if is_half_installed { "dpkg has it half-installed" } else { "there is no program azcmagent" };
    Some(kind.with_evidence(evidence))
}

/// The package's state in dpkg (dpkg-query(1), db:Status-Status); empty if dpkg does not know the package.
///
/// After a power failure during the package's scripts the program exists, but its users and services do not.
async fn package_state(context: &Context) -> String {
    if context.host.commands.find("dpkg-query").is_none() {
        return String::new();
    }
    let query = Program::new("dpkg-query", &["-W", "-f=${db:Status-Status}", PROGRAM], context.within(LIMIT));
    match context.host.commands.run(query).await {
        Ok(finished) if finished.succeeded() => finished.stdout.trim().to_owned(),
        _ => String::new(),
    }
}

/// Whether a package in this state needs `dpkg --configure -a`.
fn is_unfinished(state: &str) -> bool {
    matches!(state, "unpacked" | "half-configured" | "triggers-pending")
}

/// Whether a version is older than another one; false if it cannot be parsed.
fn is_before(version: &str, oldest: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < oldest,
        _ => false,
    }
}

/// The result of the probe by which azcmagent detects an Azure VM.
struct AzureVmTest {
    /// Text for the evidence, or the fault.
    outcome: Result<String, Fault>,
    probe: Option<Probe>,
    /// Whether azcmagent's override is allowed and set.
    is_allowed: bool,
}

/// Sends the request by which azcmagent detects an Azure VM, which it refuses to connect.
async fn probe_azure_vm(context: &Context, facts: &Facts) -> AzureVmTest {
    let is_allowed = facts.agent.is_azure_vm_allowed;
    if facts.connection.is_onboarded || context.mode == Mode::ObserveLocally {
        // A connected agent did not refuse this VM.
        return AzureVmTest { outcome: Ok(String::new()), probe: None, is_allowed };
    }
    let started = Instant::now();
    let endpoint = &context.settings.imds.endpoint;
    let path = imds::AZURE_VM.split('?').next().unwrap_or_default();
    let target = format!("{endpoint}{path}");
    let url = format!("{endpoint}{}", imds::AZURE_VM);
    let (seen, is_taken) = match link_local::get(url, context.within(PROBE_LIMIT)).await {
        Ok(reply) => (format!("HTTP {}", reply.status), Some((200..300).contains(&reply.status))),
        Err(error) => (error.to_string(), None),
    };
    let is_allowed = is_taken == Some(true) && is_overridden(context).await;
    let (state, outcome) = match is_taken {
        Some(false) => (ProbeState::Ok, Ok(())),
        None => (ProbeState::Information, Ok(())),
        Some(true) if is_allowed || is_onboarded(context).await => (ProbeState::Information, Ok(())),
        Some(true) => {
            let evidence = format!("the sidecar answers {path} with {seen}, as the IMDS of an Azure VM");
            (ProbeState::Fails, Err(catalogue::AGENT_AZURE_VM.with_evidence(evidence)))
        }
    };
    let detail = format!("{seen}; azcmagent takes a success for an Azure VM");
    let probe = probe(context, "Azure VM probe", target, state, &detail, started);
    let outcome = outcome.map(|()| format!("; Azure VM probe: {seen}"));
    AzureVmTest { outcome, probe: Some(probe), is_allowed }
}

/// Whether azcmagent's override is allowed, and set for its services.
async fn is_overridden(context: &Context) -> bool {
    context.settings.agent.allow_azure_vm
        && proxy_environment::manager_environment(context)
            .await
            .is_some_and(|environment| environment.contains_key(AZURE_VM_OVERRIDE))
}

async fn is_onboarded(context: &Context) -> bool {
    let show = azcmagent::show(&context.host.commands).await;
    show.is_ok_and(|(show, _)| show.is_some_and(|show| show.is_onboarded()))
}

/// The state of one unit in systemd.
#[derive(Debug, Default, PartialEq, Eq)]
struct UnitState<'a> {
    id: &'a str,
    load: &'a str,
    active: &'a str,
    sub: &'a str,
    file: &'a str,
    result: &'a str,
    /// The number of automatic restarts; none before systemd 235.
    restarts: Option<u32>,
    /// Zero if no process runs.
    pid: u32,
    /// When its process was started, since boot; zero if it never was.
    started: Duration,
}

impl UnitState<'_> {
    fn describe(&self) -> String {
        format!("{} is {} ({}, {})", self.id, self.active, self.sub, self.file)
    }

    /// How long its process has been running.
    fn age(&self, uptime: Option<Duration>) -> Option<Duration> {
        uptime?.checked_sub(self.started).filter(|_| self.pid > 0 && !self.started.is_zero())
    }

    /// Whether it exits soon after each start.
    fn is_crashing(&self, uptime: Option<Duration>) -> bool {
        let is_often = |least| self.restarts.is_none_or(|restarts| restarts >= least);
        self.result == "start-limit-hit"
            || self.sub.starts_with("auto-restart") && is_often(2)
            || self.restarts.is_some()
                && is_often(CRASHING_RESTARTS)
                && self.age(uptime).is_some_and(|age| age < SETTLED_AFTER)
    }
}

/// The output of `systemctl show` for azcmagent's services; empty if systemctl cannot be run.
async fn show_units(context: &Context) -> String {
    let properties = "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,MainPID,\
                      ExecMainStartTimestampMonotonic";
    let mut args = vec!["show", properties];
    args.extend(SERVICES);
    let shown = context.host.commands.run(Program::new("systemctl", &args, context.within(LIMIT))).await;
    shown.map(|finished| finished.stdout).unwrap_or_default()
}

/// Parses `systemctl show`: blocks of `Name=value`, separated by empty lines.
fn parse_units(text: &str) -> Vec<UnitState<'_>> {
    let mut units = Vec::new();
    for block in text.split("\n\n") {
        let value = |wanted: &str| {
            let mut pairs = block.lines().filter_map(|line| line.trim().split_once('='));
            pairs.find(|(name, _)| *name == wanted).map_or("", |(_, value)| value)
        };
        let unit = UnitState {
            id: value("Id"),
            load: value("LoadState"),
            active: value("ActiveState"),
            sub: value("SubState"),
            file: value("UnitFileState"),
            result: value("Result"),
            restarts: value("NRestarts").parse().ok(),
            pid: value("MainPID").parse().unwrap_or_default(),
            started: Duration::from_micros(
                value("ExecMainStartTimestampMonotonic").parse().unwrap_or_default(),
            ),
        };
        if !unit.id.is_empty() {
            units.push(unit);
        }
    }
    units
}

/// Checks that the main service runs, and the others if they are enabled, which depends on version and mode.
fn check_units(units: &[UnitState<'_>], uptime: Option<Duration>) -> Result<(), Fault> {
    let counts = |unit: &&UnitState<'_>| unit.id == MAIN_SERVICE || unit.file.starts_with("enabled");
    if let Some(unit) = units.iter().find(|unit| unit.load == "masked" && unit.id == MAIN_SERVICE) {
        return Err(catalogue::AGENT_SERVICE_MASKED.with_evidence(unit.describe()));
    }
    if let Some(unit) = units.iter().filter(counts).find(|unit| unit.is_crashing(uptime)) {
        // Rounded down to a power of two, so that most observations of a crash loop have the same evidence.
        let restarts = unit
            .restarts
            .filter(|restarts| *restarts > 0)
            .map(|restarts| format!(", restarted by systemd at least {} times", 1 << restarts.ilog2()));
        let evidence = format!("{}, result {}{}", unit.describe(), unit.result, restarts.unwrap_or_default());
        return Err(catalogue::AGENT_SERVICE_CRASHES.with_evidence(evidence));
    }
    let is_down = |unit: &&UnitState<'_>| {
        matches!(unit.active, "inactive" | "failed" | "deactivating") || unit.sub.starts_with("auto-restart")
    };
    let down: Vec<String> = units.iter().filter(counts).filter(is_down).map(UnitState::describe).collect();
    if down.is_empty() {
        Ok(())
    } else {
        Err(catalogue::AGENT_SERVICE_DOWN.with_evidence(down.join("; ")))
    }
}

/// Whether azcmagent's `proxy.url` is the configured proxy; true if none is configured.
///
/// A proxy with a password is set only in the environment: `config set` would show it in azcmagent's arguments.
fn check_proxy(context: &Context, facts: &Facts, current: Option<String>) -> Result<bool, Fault> {
    let (Some(wanted), Some(current)) = (context.settings.proxy.url.as_ref(), current) else {
        return Ok(true);
    };
    if is_same_proxy(&current, wanted) {
        return Ok(true);
    }
    if !current.is_empty() {
        let shown = context.host.mask.apply(&current);
        let evidence = format!("proxy.url is {shown}, not {}", wanted.without_credentials());
        return Err(catalogue::AGENT_PROXY_DIFFERS.with_evidence(evidence));
    }
    if wanted.credentials().is_none() {
        if !facts.has_run(RepairId::SetAgentProxy) {
            let evidence = format!("proxy.url is not set; the proxy is {}", wanted.without_credentials());
            return Err(catalogue::AGENT_PROXY_MISSING.with_evidence(evidence));
        }
        // The services also have the proxy from their environment, so a missing setting does not stop the run.
        warn!(
            event = "agent.proxy-unconfirmed",
            "azcmagent accepted proxy.url but does not show it; continuing"
        );
    }
    Ok(false)
}

fn is_same_proxy(current: &str, wanted: &ProxyUrl) -> bool {
    current.trim_end_matches('/') == wanted.with_credentials().reveal().trim_end_matches('/')
}

/// Checks that services which have the proxy only from their environment were started after it was set.
fn check_environment(context: &Context, units: &[UnitState<'_>], notes: &mut Notes) -> Result<(), Fault> {
    let files = &context.host.files;
    let Some(file) = proxy_files::taking_effect(TakesEffect::ManagerReexec).next() else { return Ok(()) };
    let since = files.modified(file.path).and_then(|at| SystemTime::now().duration_since(at).ok());
    let (Some(wanted), Some(since)) = (&context.settings.proxy.url, since) else { return Ok(()) };
    let uptime = context.host.files.uptime();
    for unit in units.iter().filter(|unit| unit.age(uptime).is_some_and(|age| age > since)) {
        let environment = match files.read_bytes(format!("/proc/{}/environ", unit.pid)) {
            Ok(Some(environment)) => environment,
            Err(error) if error.source.kind() == ErrorKind::PermissionDenied => {
                let what = format!("whether {} has the proxy: only root may see its environment", unit.id);
                notes.not_checked.push(what);
                continue;
            }
            // The process has exited since.
            Ok(None) | Err(_) => continue,
        };
        let environment = String::from_utf8_lossy(&environment);
        let values: Vec<&str> = environment
            .split('\0')
            .filter_map(|variable| variable.split_once('='))
            .filter(|(name, _)| name.eq_ignore_ascii_case("https_proxy"))
            .map(|(_, value)| value)
            .collect();
        if !values.iter().any(|value| is_same_proxy(value, wanted)) {
            let has = if values.is_empty() { "no HTTPS_PROXY" } else { "another HTTPS_PROXY" };
            let evidence = format!("{} was started before {} was written and has {has}", unit.id, file.path);
            return Err(catalogue::AGENT_SERVICE_STALE.with_evidence(evidence));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit<'a>(id: &'a str, active: &'a str, file: &'a str) -> UnitState<'a> {
        UnitState { id, load: "loaded", active, sub: "x", file, ..UnitState::default() }
    }

    #[test]
    fn systemctl_show_is_parsed_by_unit() {
        let text = "Id=himdsd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\n\
                    Id=gcad.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n";
        let units = parse_units(text);
        assert_eq!(units.len(), 2);
        assert_eq!((units[1].id, units[1].load), ("gcad.service", "not-found"));
        assert!(parse_units("").is_empty());
    }

    #[test]
    fn a_disabled_extra_service_is_not_a_fault() {
        let fine =
            [unit("himdsd.service", "active", "enabled"), unit("gcad.service", "inactive", "disabled")];
        assert!(check_units(&fine, None).is_ok());
        let down = [unit("himdsd.service", "failed", "enabled")];
        assert_eq!(check_units(&down, None).unwrap_err().code(), "agent.service-down");
        let extra = [unit("himdsd.service", "active", "enabled"), unit("extd.service", "failed", "enabled")];
        assert_eq!(check_units(&extra, None).unwrap_err().code(), "agent.service-down");
        assert!(check_units(&[], None).is_ok());
    }

    #[test]
    fn a_crash_loop_is_distinguished_from_a_single_restart() {
        let up = Some(Duration::from_secs(1000));
        let with = |sub: &'static str, restarts, result: &'static str, started| UnitState {
            sub,
            restarts,
            result,
            pid: 7,
            started: Duration::from_secs(started),
            ..unit("himdsd.service", "active", "enabled")
        };
        for (unit, expected) in [
            (with("auto-restart", Some(5), "exit-code", 0), "agent.service-crash-looping"),
            (with("auto-restart-queued", None, "exit-code", 0), "agent.service-crash-looping"),
            (with("dead", Some(0), "start-limit-hit", 0), "agent.service-crash-looping"),
            (with("running", Some(4), "success", 990), "agent.service-crash-looping"),
            (with("auto-restart", Some(1), "exit-code", 0), "agent.service-down"),
            (with("running", Some(4), "success", 100), "none"),
            (with("running", None, "success", 999), "none"),
            (with("running", Some(0), "success", 2000), "none"),
        ] {
            let found = check_units(std::slice::from_ref(&unit), up);
            assert_eq!(found.err().map_or("none", |fault| fault.code()), expected, "{unit:?}");
        }
        let looping = |restarts| {
            let unit = with("auto-restart", Some(restarts), "exit-code", 0);
            check_units(&[unit], None).unwrap_err().evidence.clone()
        };
        assert_eq!(looping(9), looping(15), "the evidence changes at each restart");
        assert!(looping(9).ends_with("restarted by systemd at least 8 times"), "{}", looping(9));
    }

    #[test]
    fn versions_are_compared_by_their_first_two_numbers() {
        for version in ["1.31.02347", "1.7.21162.003", "0.9"] {
            assert!(is_before(version, OLDEST_SUPPORTED), "{version}");
        }
        for version in ["1.32", "1.58.03228.700", "2.0", "", "new", "1"] {
            assert!(!is_before(version, OLDEST_SUPPORTED), "{version}");
        }
    }
}
