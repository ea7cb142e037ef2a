//! Condition 9: azcmagent is installed, its services run, and it knows its proxy.

use std::time::Duration;

use tracing::warn;

use super::{Evidence, Vm};
use crate::azcmagent::{self, MAIN_SERVICE, PROGRAM, SERVICES};
use crate::fault::{self, Fault};
use crate::host::commands::Run;
use crate::settings::Install;

/// Time limit of a question to systemd.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    if vm.host.commands.find(PROGRAM).is_none() {
        let entry = if vm.settings.agent.install == Install::Never {
            &fault::AGENT_NOT_WANTED
        } else {
            &fault::AGENT_ABSENT
        };
        return Err(entry.seen("there is no program azcmagent"));
    }
    let commands = &vm.host.commands;
    let (version, units, proxy) =
        tokio::join!(azcmagent::version(commands), units(vm), azcmagent::proxy_url(commands));
    let version = version.map_err(|error| fault::AGENT_BROKEN.seen(error.to_string()))?;
    judge_units(&units)?;
    judge_proxy(vm, proxy.unwrap_or_default())?;
    Ok(format!("azcmagent {}, its services run", version.as_deref().unwrap_or("of an unknown version")))
}

/// What systemd says about one unit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    id: String,
    load: String,
    active: String,
    sub: String,
    file: String,
}

async fn units(vm: &Vm) -> Vec<Unit> {
    let mut args = vec!["show", "--property=Id,LoadState,ActiveState,SubState,UnitFileState"];
    args.extend(SERVICES);
    match vm.host.commands.run(Run::new("systemctl", &args, LIMIT)).await {
        Ok(finished) => read_units(&finished.stdout),
        Err(_) => Vec::new(),
    }
}

/// `systemctl show`: blocks of `Name=value`, an empty line between units.
fn read_units(text: &str) -> Vec<Unit> {
    let mut units = vec![Unit::default()];
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            units.push(Unit::default());
            continue;
        }
        let (Some(unit), Some((name, value))) = (units.last_mut(), line.split_once('=')) else { continue };
        let value = value.to_owned();
        match name {
            "Id" => unit.id = value,
            "LoadState" => unit.load = value,
            "ActiveState" => unit.active = value,
            "SubState" => unit.sub = value,
            "UnitFileState" => unit.file = value,
            _ => {}
        }
    }
    units.retain(|unit| !unit.id.is_empty());
    units
}

/// The main service has to run; another one only where it is enabled, for versions and modes differ.
fn judge_units(units: &[Unit]) -> Result<(), Fault> {
    let describe = |unit: &Unit| format!("{} is {} ({}, {})", unit.id, unit.active, unit.sub, unit.file);
    let counts = |unit: &&Unit| unit.id == MAIN_SERVICE || unit.file.starts_with("enabled");
    if let Some(unit) = units.iter().find(|unit| unit.load == "masked" && unit.id == MAIN_SERVICE) {
        return Err(fault::AGENT_SERVICE_MASKED.seen(describe(unit)));
    }
    let is_down = |unit: &&Unit| matches!(unit.active.as_str(), "inactive" | "failed" | "deactivating");
    let down: Vec<String> = units.iter().filter(counts).filter(is_down).map(describe).collect();
    if down.is_empty() {
        Ok(())
    } else {
        Err(fault::AGENT_SERVICE_DOWN.seen(down.join("; ")))
    }
}

/// A proxy with a password is left to the environment: `config set` would show it in azcmagent's arguments.
fn judge_proxy(vm: &Vm, current: Option<String>) -> Result<(), Fault> {
    let (Some(wanted), Some(current)) = (vm.settings.proxy.url.as_ref(), current) else { return Ok(()) };
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    let is_right = match wanted.credentials() {
        None => bare(&current) == bare(&wanted.without_credentials()),
        Some(_) => current.is_empty() || bare(&current) == bare(wanted.with_credentials().reveal()),
    };
    if is_right {
        return Ok(());
    }
    if current.is_empty() && vm.learnt.agent_proxy_set.get() {
        // It has the proxy from its environment too, so this is not worth stopping for; another value would be.
        warn!(
            event = "agent.proxy-unconfirmed",
            "azcmagent took its proxy.url and does not show it; going on"
        );
        return Ok(());
    }
    let shown = if current.is_empty() { "not set".to_owned() } else { vm.host.mask.apply(&current) };
    Err(fault::AGENT_PROXY_DIFFERS
        .seen(format!("proxy.url is {shown}, not {}", wanted.without_credentials())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: &str, active: &str, file: &str) -> Unit {
        Unit {
            id: id.into(),
            load: "loaded".into(),
            active: active.into(),
            sub: "x".into(),
            file: file.into(),
        }
    }

    #[test]
    fn blocks_of_systemctl_show() {
        let text = "Id=himdsd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\n\
                    Id=gcad.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n";
        let units = read_units(text);
        assert_eq!(units.len(), 2);
        assert_eq!((units[1].id.as_str(), units[1].load.as_str()), ("gcad.service", "not-found"));
        assert!(read_units("").is_empty());
    }

    #[test]
    fn a_disabled_extra_service_is_no_fault() {
        let fine =
            [unit("himdsd.service", "active", "enabled"), unit("gcad.service", "inactive", "disabled")];
        assert!(judge_units(&fine).is_ok());
        let down = [unit("himdsd.service", "failed", "enabled")];
        assert_eq!(judge_units(&down).unwrap_err().code(), "agent.service-down");
        let extra = [unit("himdsd.service", "active", "enabled"), unit("extd.service", "failed", "enabled")];
        assert_eq!(judge_units(&extra).unwrap_err().code(), "agent.service-down");
        assert!(judge_units(&[]).is_ok());
    }
}
