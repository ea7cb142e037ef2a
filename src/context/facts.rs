//! Facts that conditions share. Each field is written by one condition, through the engine.

use std::rc::Rc;
use std::time::SystemTime;

use crate::clients::arm::Permissions;
use crate::clients::imds::{Claims, Token};
use crate::model::condition::Condition;
use crate::model::fault::FaultKind;
use crate::model::repair::RepairId;

/// The facts of this run so far.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// From `imds`.
    pub sidecar: SidecarFacts,
    /// From `identity`.
    pub identity: IdentityFacts,
    /// From `agent`.
    pub agent: AgentFacts,
    /// From `access`: the identity's permissions as ARM lists them.
    pub permissions: Option<Permissions>,
    /// From `connected`.
    pub connection: ConnectionFacts,
    /// From the engine: the repairs completed in this run.
    pub repaired: Vec<RepairId>,
}

/// Facts from `imds`.
#[derive(Clone, Debug, Default)]
pub struct SidecarFacts {
    /// The sidecar's clock and this VM's clock at the same moment.
    pub clocks: Option<(SystemTime, SystemTime)>,
    /// Whether the sidecar reported itself healthy, and its message; none if it has no health page.
    pub health: Option<(bool, String)>,
}

/// Facts from `identity`.
#[derive(Clone, Debug, Default)]
pub struct IdentityFacts {
    /// The token, until it is invalidated.
    pub token: Option<Rc<Token>>,
    /// The claims of the last token; kept after it is invalidated, for diagnostics.
    pub claims: Claims,
    /// The number of token requests so far.
    pub attempts: u32,
}

/// Facts from `agent`.
#[derive(Clone, Debug, Default)]
pub struct AgentFacts {
    /// Whether azcmagent's override for Azure VMs is allowed and set for its services.
    pub is_azure_vm_allowed: bool,
}

/// Facts from `connected`.
#[derive(Clone, Debug, Default)]
pub struct ConnectionFacts {
    /// Whether azcmagent is connected to any machine.
    pub is_onboarded: bool,
}

/// The facts that one observation yields.
#[derive(Clone, Debug, Default)]
pub enum Learned {
    /// None.
    #[default]
    Nothing,
    /// By `imds`.
    Sidecar(SidecarFacts),
    /// By `identity`.
    Identity(IdentityFacts),
    /// By `agent`.
    Agent(AgentFacts),
    /// By `access`.
    Permissions(Permissions),
    /// By `connected`.
    Connection(ConnectionFacts),
}

impl Facts {
    /// Stores the facts of an observation.
    pub fn learn(&mut self, learned: Learned) {
        match learned {
            Learned::Nothing => {}
            Learned::Sidecar(sidecar) => self.sidecar = sidecar,
            Learned::Identity(identity) => self.identity = identity,
            Learned::Agent(agent) => self.agent = agent,
            Learned::Permissions(permissions) => self.permissions = Some(permissions),
            Learned::Connection(connection) => self.connection = connection,
        }
    }

    /// How often a repair was completed in this run.
    pub fn times_run(&self, repair: RepairId) -> usize {
        self.repaired.iter().filter(|done| **done == repair).count()
    }

    /// Whether a repair was completed in this run.
    pub fn has_run(&self, repair: RepairId) -> bool {
        self.repaired.contains(&repair)
    }

    /// Invalidates the token if the fault requires a new one: Azure rejected it, or it may be older than a role that was
    /// assigned since.
    pub fn invalidate_token_for(&mut self, fault: &FaultKind) {
        if fault.condition >= Condition::Identity && fault.recheck_from <= Condition::Identity {
            self.identity.token = None;
        }
    }
}
