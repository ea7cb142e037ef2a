//! The repairs that arc-enroll makes without an operator. Each is one file with a [`Repair`]: description, bound, time
//! limit, the setting that allows it, and the implementation.
//!
//! A repair runs once. The engine limits how often, observes again, and reports whether it helped.

mod agent_services;
mod allow_azure_vm;
mod connect;
mod finish_installation;
mod install_agent;
mod install_script;
mod installation;
mod persist_proxy;
mod recreate_expired;
mod renew_token;
mod set_agent_proxy;
mod step_clock;

use std::time::Duration;

use crate::catalogue;
use crate::context::{Context, Facts, Session};
use crate::host::commands::{Finished, Program};
use crate::host::tasks::Task;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;
use crate::settings::Settings;

/// A repair under way.
type Running<'a> = Task<'a, Result<(), Fault>>;

/// One repair.
pub struct Repair {
    /// Its identifier.
    pub id: RepairId,
    /// What it does, for progress lines and the log.
    pub action: &'static str,
    /// How often it may succeed in one run without resolving the fault. A failed repair is a fault with its own retry
    /// window and does not count.
    pub bound: usize,
    /// The time limit of each of its commands.
    pub limit: Duration,
    /// Whether the configuration allows it.
    pub is_allowed: fn(&Settings) -> bool,
    /// Runs it. An error is the fault that prevents it.
    pub run: for<'a> fn(&'a Context, &'a mut Session) -> Running<'a>,
}

impl Repair {
    /// Whether it may run again: it was completed less often than its bound.
    pub fn is_within_bound(&self, facts: &Facts) -> bool {
        facts.times_run(self.id) < self.bound
    }
}

/// The repair with this identifier.
pub fn find(id: RepairId) -> &'static Repair {
    match id {
        RepairId::PersistProxy => &persist_proxy::REPAIR,
        RepairId::StepClock => &step_clock::REPAIR,
        RepairId::RenewToken => &renew_token::REPAIR,
        RepairId::InstallAgent => &install_agent::INSTALL,
        RepairId::UpgradeAgent => &install_agent::UPGRADE,
        RepairId::FinishInstallation => &finish_installation::REPAIR,
        RepairId::StartServices => &agent_services::START,
        RepairId::RestartServices => &agent_services::RESTART,
        RepairId::SetAgentProxy => &set_agent_proxy::REPAIR,
        RepairId::AllowAzureVm => &allow_azure_vm::REPAIR,
        RepairId::Connect => &connect::REPAIR,
        RepairId::RecreateExpired => &recreate_expired::REPAIR,
    }
}

/// For repairs that need no setting.
fn always(_settings: &Settings) -> bool {
    true
}

/// Time limit of a change to services.
const SERVICE_LIMIT: Duration = Duration::from_secs(90);

/// Runs systemctl.
fn systemctl<'a>(context: &'a Context, args: &'a [&'a str]) -> Task<'a, Result<Box<Finished>, Fault>> {
    Box::pin(run_systemctl(context, args))
}

async fn run_systemctl(context: &Context, args: &[&str]) -> Result<Box<Finished>, Fault> {
    let run = Program::new("systemctl", args, context.within(SERVICE_LIMIT));
    let finished = context.host.commands.run(run).await;
    finished.map_err(|error| catalogue::AGENT_SERVICE_DOWN.with_evidence(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_are_bounded() {
        let mut facts = Facts::default();
        let mut times = 0;
        let repair = find(RepairId::StartServices);
        while repair.is_within_bound(&facts) {
            facts.repaired.push(repair.id);
            times += 1;
        }
        assert_eq!(times, repair.bound);
        assert!(find(RepairId::Connect).is_within_bound(&facts));
    }
}
