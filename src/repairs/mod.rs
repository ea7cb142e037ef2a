//! The repairs: what the agent does about a fault by itself. Each is one file with one [`Repair`]: what it is in words,
//! how often it may run, how long it may take, what allows it, and how it runs.
//!
//! A repair does one thing once. The engine bounds it, observes again, and says whether it helped.

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

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::catalogue;
use crate::context::{Context, Session};
use crate::host::commands::{Finished, Program};
use crate::model::fault::Fault;
use crate::model::repair::RepairId;
use crate::settings::Settings;

/// A repair under way.
type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + 'a>>;

/// One repair.
pub struct Repair {
    /// Its identity.
    pub id: RepairId,
    /// What it does, in words that go on a line of their own.
    pub action: &'static str,
    /// How often it may succeed in one run without the fault going away; its own failures are faults with windows of
    /// their own and do not count.
    pub bound: u32,
    /// How long each of its commands may take.
    pub limit: Duration,
    /// Whether the configuration allows it.
    pub is_allowed: fn(&Settings) -> bool,
    /// Does it.
    pub run: for<'a> fn(&'a Context, &'a mut Session) -> Running<'a>,
}

/// The repair of this identity.
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

/// What most repairs need from the configuration: nothing.
fn always(_settings: &Settings) -> bool {
    true
}

/// Time limit of a change to services.
const SERVICE_LIMIT: Duration = Duration::from_secs(90);

/// Runs systemctl.
async fn systemctl(context: &Context, args: &[&str]) -> Result<Box<Finished>, Fault> {
    let run = Program::new("systemctl", args, context.within(SERVICE_LIMIT));
    let finished = context.host.commands.run(run).await;
    finished.map_err(|error| catalogue::AGENT_SERVICE_DOWN.with_evidence(error.to_string()))
}
