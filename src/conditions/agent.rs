//! Condition 9: azcmagent is installed, its services run, it knows its proxy, and it would not refuse this VM.

use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use super::sanity::Verdict;
use super::{proxy_environment, Evidence, Vm};
use crate::catalogue;
use crate::clients::azcmagent::{self, MAIN_SERVICE, PROGRAM, SERVICES};
use crate::host::commands::Run;
use crate::host::link_local;
use crate::model::fault::Fault;
use crate::proxy_files::{self, TakesEffect};
use crate::settings::{Install, ProxyUrl};

/// Time limit of a question to systemd.
const LIMIT: Duration = Duration::from_secs(20);

/// Time limit of the question that azcmagent asks too; it decides nothing where nobody answers.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// What the install script and `azcmagent connect` ask to recognize an Azure VM (install script, "Azure VM" test).
const AZURE_VM: &str = "/metadata/instance/compute";

/// Before it `connect` reads nothing from a file (release notes of 1.4).
const OLDEST: (u32, u32) = (1, 4);

/// Before it there is no status Expired, and 1.31 fails behind a proxy (release notes of 1.31 and 1.32). Such an
/// agent is used as long as it does what is asked of it: somebody may have chosen it.
const OLDEST_WHOLE: (u32, u32) = (1, 32);

/// A service that has been restarted this often and has run for less than [`SETTLED`] is still failing.
const RESTARTS: u32 = 3;
const SETTLED: Duration = Duration::from_secs(30);

pub(crate) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let commands = &vm.host.commands;
    let (version, shown, proxy, probe, state) = tokio::join!(
        azcmagent::version(commands),
        show_units(vm),
        azcmagent::proxy_url(commands),
        passes_for_azure_vm(vm),
        package_state(vm)
    );
    let is_half_there = state == "half-installed";
    if commands.find(PROGRAM).is_none() || is_half_there {
        // Before anything is installed: an agent that was installed before the override keeps refusing.
        probe?;
        let entry = if vm.settings.agent.install == Install::Never {
            &catalogue::AGENT_NOT_WANTED
        } else {
            &catalogue::AGENT_ABSENT
        };
        let evidence =
            if is_half_there { "dpkg has it half-installed" } else { "there is no program azcmagent" };
        return Err(entry.with_evidence(evidence));
    }
    if is_unfinished(&state) {
        return Err(catalogue::AGENT_DPKG_INTERRUPTED.with_evidence(format!("dpkg has azcmagent {state}")));
    }
    let version = version.map_err(|error| catalogue::AGENT_BROKEN.with_evidence(error.to_string()))?;
    let is_before = |oldest| version.as_deref().is_some_and(|version| is_before(version, oldest));
    if is_before(OLDEST) {
        let evidence = format!("azcmagent is {}", version.as_deref().unwrap_or_default());
        return Err(catalogue::AGENT_TOO_OLD.with_evidence(evidence));
    }
    let old = if is_before(OLDEST_WHOLE) { ", older than Microsoft supports" } else { "" };
    let units = read_units(&shown);
    if let Err(fault) = judge_units(&units, vm.host.files.uptime()) {
        // Starting them would not bring what the package's scripts have not done.
        let entry = if crate::repairs::install_agent::was_cut_off(vm) {
            &catalogue::AGENT_DPKG_INTERRUPTED
        } else {
            fault.kind
        };
        return Err(entry.with_evidence(fault.evidence.clone()));
    }
    let probe = probe?;
    if !judge_proxy(vm, proxy.unwrap_or_default())? {
        judge_environment(vm, &units)?;
    }
    Ok(format!(
        "azcmagent {}{old}, its services run{probe}",
        version.as_deref().unwrap_or("of an unknown version")
    ))
}

/// What dpkg says of the package (dpkg-query(1), db:Status-Status); empty where it does not know it.
///
/// A power cut in the middle of its scripts leaves the program there, and its users and services not.
async fn package_state(vm: &Vm) -> String {
    if vm.host.commands.find("dpkg-query").is_none() {
        return String::new();
    }
    let query = Run::new("dpkg-query", &["-W", "-f=${db:Status-Status}", PROGRAM], vm.within(LIMIT));
    match vm.host.commands.run(query).await {
        Ok(finished) if finished.succeeded() => finished.stdout.trim().to_owned(),
        _ => String::new(),
    }
}

/// Whether `dpkg --configure -a` is what a package in this state waits for.
fn is_unfinished(state: &str) -> bool {
    matches!(state, "unpacked" | "half-configured" | "triggers-pending")
}

/// Whether a version is older than another one; one that cannot be read is not.
fn is_before(version: &str, oldest: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < oldest,
        _ => false,
    }
}

/// Asks what azcmagent asks to recognize an Azure VM, which it refuses; what came of it, for the evidence.
async fn passes_for_azure_vm(vm: &Vm) -> Result<String, Fault> {
    if vm.learnt.onboarded.get() || vm.learnt.is_local.get() {
        // An agent that is connected did not refuse.
        return Ok(String::new());
    }
    let started = Instant::now();
    let target = format!("{}{AZURE_VM}", vm.settings.imds.endpoint);
    let url = format!("{target}?api-version=2019-06-01");
    let (verdict, seen, result) = match link_local::get(&url, vm.within(PROBE_LIMIT)).await {
        Ok(reply) => {
            let seen = format!("HTTP {}", reply.status);
            if !(200..300).contains(&reply.status) {
                (Verdict::Ok, seen, Ok(()))
            } else if is_overridden(vm).await || is_onboarded(vm).await {
                (Verdict::Information, seen, Ok(()))
            } else {
                let evidence =
                    format!("the sidecar answers {AZURE_VM} with {seen}, as the IMDS of an Azure VM");
                (Verdict::Fails, seen, Err(catalogue::AGENT_AZURE_VM.with_evidence(evidence)))
            }
        }
        Err(error) => (Verdict::Information, error.to_string(), Ok(())),
    };
    let detail = format!("{seen}; azcmagent takes a success for an Azure VM");
    vm.note("Azure VM probe", target, verdict, detail, started);
    result.map(|()| format!("; Azure VM probe: {seen}"))
}

/// Whether azcmagent's own override is allowed and in force.
async fn is_overridden(vm: &Vm) -> bool {
    if !vm.settings.agent.allow_azure_vm {
        return false;
    }
    let environment = proxy_environment::of_manager(vm).await;
    let is_set = environment.is_some_and(|environment| environment.contains_key("MSFT_ARC_TEST"));
    if is_set {
        // An earlier run has set it for the services; the program itself looks at its own environment.
        vm.host.commands.set_environment("MSFT_ARC_TEST", "true");
    }
    is_set
}

async fn is_onboarded(vm: &Vm) -> bool {
    let show = azcmagent::show(&vm.host.commands).await;
    show.is_ok_and(|(show, _)| show.is_some_and(|show| show.is_onboarded()))
}

/// What systemd says about one unit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit<'a> {
    id: &'a str,
    load: &'a str,
    active: &'a str,
    sub: &'a str,
    file: &'a str,
    result: &'a str,
    /// Restarts by systemd itself; nothing before systemd 235.
    restarts: Option<u32>,
    /// Zero when no process runs.
    pid: u32,
    /// When its process was started, since the boot; zero when it never was.
    started: Duration,
}

impl Unit<'_> {
    fn describe(&self) -> String {
        format!("{} is {} ({}, {})", self.id, self.active, self.sub, self.file)
    }

    /// How long its process has been running.
    fn age(&self, uptime: Option<Duration>) -> Option<Duration> {
        uptime?.checked_sub(self.started).filter(|_| self.pid > 0 && !self.started.is_zero())
    }

    /// Whether it ends soon after each start.
    fn is_crashing(&self, uptime: Option<Duration>) -> bool {
        let is_often = |least| self.restarts.is_none_or(|restarts| restarts >= least);
        self.result == "start-limit-hit"
            || self.sub.starts_with("auto-restart") && is_often(2)
            || self.restarts.is_some()
                && is_often(RESTARTS)
                && self.age(uptime).is_some_and(|age| age < SETTLED)
    }
}

/// What `systemctl show` says of azcmagent's services; empty when it cannot be asked.
async fn show_units(vm: &Vm) -> String {
    let properties = "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,MainPID,\
                      ExecMainStartTimestampMonotonic";
    let mut args = vec!["show", properties];
    args.extend(SERVICES);
    let shown = vm.host.commands.run(Run::new("systemctl", &args, vm.within(LIMIT))).await;
    shown.map(|finished| finished.stdout).unwrap_or_default()
}

/// `systemctl show`: blocks of `Name=value`, an empty line between units.
fn read_units(text: &str) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for block in text.split("\n\n") {
        let value = |wanted: &str| {
            let mut pairs = block.lines().filter_map(|line| line.trim().split_once('='));
            pairs.find(|(name, _)| *name == wanted).map_or("", |(_, value)| value)
        };
        let unit = Unit {
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

/// The main service has to run; another one only where it is enabled, for versions and modes differ.
fn judge_units(units: &[Unit<'_>], uptime: Option<Duration>) -> Result<(), Fault> {
    let counts = |unit: &&Unit<'_>| unit.id == MAIN_SERVICE || unit.file.starts_with("enabled");
    if let Some(unit) = units.iter().find(|unit| unit.load == "masked" && unit.id == MAIN_SERVICE) {
        return Err(catalogue::AGENT_SERVICE_MASKED.with_evidence(unit.describe()));
    }
    if let Some(unit) = units.iter().filter(counts).find(|unit| unit.is_crashing(uptime)) {
        // Rounded down to a power of two: the same loop is the same evidence at most looks.
        let restarts = unit
            .restarts
            .filter(|restarts| *restarts > 0)
            .map(|restarts| format!(", restarted by systemd at least {} times", 1 << restarts.ilog2()));
        let evidence = format!("{}, result {}{}", unit.describe(), unit.result, restarts.unwrap_or_default());
        return Err(catalogue::AGENT_SERVICE_CRASHES.with_evidence(evidence));
    }
    let is_down = |unit: &&Unit<'_>| {
        matches!(unit.active, "inactive" | "failed" | "deactivating") || unit.sub.starts_with("auto-restart")
    };
    let down: Vec<String> = units.iter().filter(counts).filter(is_down).map(Unit::describe).collect();
    if down.is_empty() {
        Ok(())
    } else {
        Err(catalogue::AGENT_SERVICE_DOWN.with_evidence(down.join("; ")))
    }
}

/// Whether azcmagent's own setting is the proxy wanted; where there is none to want, it is.
///
/// A proxy with a password is left to the environment: `config set` would show it in azcmagent's arguments.
fn judge_proxy(vm: &Vm, current: Option<String>) -> Result<bool, Fault> {
    let (Some(wanted), Some(current)) = (vm.settings.proxy.url.as_ref(), current) else { return Ok(true) };
    if is_same(&current, wanted) {
        return Ok(true);
    }
    if !current.is_empty() {
        let shown = vm.host.mask.apply(&current);
        let evidence = format!("proxy.url is {shown}, not {}", wanted.without_credentials());
        return Err(catalogue::AGENT_PROXY_DIFFERS.with_evidence(evidence));
    }
    if wanted.credentials().is_none() {
        if !vm.learnt.agent_proxy_set.get() {
            let evidence = format!("proxy.url is not set; the proxy is {}", wanted.without_credentials());
            return Err(catalogue::AGENT_PROXY_MISSING.with_evidence(evidence));
        }
        // It has the proxy from its environment too, so this is not worth shutdown for; another value would be.
        warn!(
            event = "agent.proxy-unconfirmed",
            "azcmagent took its proxy.url and does not show it; going on"
        );
    }
    Ok(false)
}

fn is_same(current: &str, wanted: &ProxyUrl) -> bool {
    current.trim_end_matches('/') == wanted.with_credentials().reveal().trim_end_matches('/')
}

/// Services that have the proxy from their environment alone have to be younger than what sets it.
fn judge_environment(vm: &Vm, units: &[Unit<'_>]) -> Result<(), Fault> {
    let files = &vm.host.files;
    let mut of_services = proxy_files::taking_effect(TakesEffect::ManagerReexec);
    let Some(place) = of_services.next() else { return Ok(()) };
    let since = files.modified(place.path).and_then(|at| SystemTime::now().duration_since(at).ok());
    let (Some(wanted), Some(since)) = (&vm.settings.proxy.url, since) else { return Ok(()) };
    let uptime = vm.host.files.uptime();
    for unit in units.iter().filter(|unit| unit.age(uptime).is_some_and(|age| age > since)) {
        let environment = match files.read_bytes(format!("/proc/{}/environ", unit.pid)) {
            Ok(Some(environment)) => environment,
            Err(error) if error.source.kind() == ErrorKind::PermissionDenied => {
                let what = format!("whether {} has the proxy: only root may see its environment", unit.id);
                vm.learnt.unseen.borrow_mut().push(what);
                continue;
            }
            // It has ended meanwhile.
            Ok(None) | Err(_) => continue,
        };
        let environment = String::from_utf8_lossy(&environment);
        let values: Vec<&str> = environment
            .split('\0')
            .filter_map(|variable| variable.split_once('='))
            .filter(|(name, _)| name.eq_ignore_ascii_case("https_proxy"))
            .map(|(_, value)| value)
            .collect();
        if !values.iter().any(|value| is_same(value, wanted)) {
            let has = if values.is_empty() { "no HTTPS_PROXY" } else { "another HTTPS_PROXY" };
            let evidence = format!("{} was started before {} was written and has {has}", unit.id, place.path);
            return Err(catalogue::AGENT_SERVICE_STALE.with_evidence(evidence));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit<'a>(id: &'a str, active: &'a str, file: &'a str) -> Unit<'a> {
        Unit { id, load: "loaded", active, sub: "x", file, ..Unit::default() }
    }

    #[test]
    fn blocks_of_systemctl_show() {
        let text = "Id=himdsd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\n\
                    Id=gcad.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n";
        let units = read_units(text);
        assert_eq!(units.len(), 2);
        assert_eq!((units[1].id, units[1].load), ("gcad.service", "not-found"));
        assert!(read_units("").is_empty());
    }

    #[test]
    fn a_disabled_extra_service_is_no_fault() {
        let fine =
            [unit("himdsd.service", "active", "enabled"), unit("gcad.service", "inactive", "disabled")];
        assert!(judge_units(&fine, None).is_ok());
        let down = [unit("himdsd.service", "failed", "enabled")];
        assert_eq!(judge_units(&down, None).unwrap_err().code(), "agent.service-down");
        let extra = [unit("himdsd.service", "active", "enabled"), unit("extd.service", "failed", "enabled")];
        assert_eq!(judge_units(&extra, None).unwrap_err().code(), "agent.service-down");
        assert!(judge_units(&[], None).is_ok());
    }

    #[test]
    fn a_service_that_ends_again_and_again_is_told_from_one_that_was_restarted_once() {
        let up = Some(Duration::from_secs(1000));
        let with = |sub: &'static str, restarts, result: &'static str, started| Unit {
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
            let found = judge_units(std::slice::from_ref(&unit), up);
            assert_eq!(found.err().map_or("none", |fault| fault.code()), expected, "{unit:?}");
        }
        let looping = |restarts| {
            let unit = with("auto-restart", Some(restarts), "exit-code", 0);
            judge_units(&[unit], None).unwrap_err().evidence.clone()
        };
        assert_eq!(looping(9), looping(15), "the same evidence while it goes on");
        assert!(looping(9).ends_with("restarted by systemd at least 8 times"), "{}", looping(9));
    }

    #[test]
    fn versions_are_compared_by_their_first_two_numbers() {
        for version in ["1.31.02347", "1.7.21162.003", "0.9"] {
            assert!(is_before(version, OLDEST_WHOLE), "{version}");
        }
        for version in ["1.32", "1.58.03228.700", "2.0", "", "new", "1"] {
            assert!(!is_before(version, OLDEST_WHOLE), "{version}");
        }
    }
}
