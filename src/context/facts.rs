//! What conditions have learned for each other. Each field is written by one condition, through the engine.

use std::rc::Rc;
use std::time::SystemTime;

use crate::clients::arm::Permissions;
use crate::clients::imds::{Claims, Token};
use crate::model::condition::Condition;
use crate::model::fault::FaultKind;
use crate::model::repair::RepairId;

/// What is known in this run so far.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// From `imds`.
    pub sidecar: SidecarFacts,
    /// From `identity`.
    pub identity: IdentityFacts,
    /// From `agent`.
    pub agent: AgentFacts,
    /// From `access`: what ARM lists that the identity may do.
    pub permissions: Option<Permissions>,
    /// From `connected`.
    pub connection: ConnectionFacts,
    /// From the engine: the repairs that ran to their end in this run.
    pub repaired: Vec<RepairId>,
}

/// What `imds` learns of the sidecar.
#[derive(Clone, Debug, Default)]
pub struct SidecarFacts {
    /// The sidecar's clock and ours at the same moment.
    pub clocks: Option<(SystemTime, SystemTime)>,
    /// Whether it called itself healthy, and its words; nothing where it has no such page.
    pub health: Option<(bool, String)>,
}

/// What `identity` learns.
#[derive(Clone, Debug, Default)]
pub struct IdentityFacts {
    /// The token, until it is invalidated.
    pub token: Option<Rc<Token>>,
    /// The last token's claims; they outlive it, for explanation.
    pub claims: Claims,
    /// Token requests so far.
    pub attempts: u32,
}

/// What `agent` learns.
#[derive(Clone, Debug, Default)]
pub struct AgentFacts {
    /// Whether azcmagent's override for Azure VMs is allowed and set for its services.
    pub is_azure_vm_allowed: bool,
}

/// What `connected` learns.
#[derive(Clone, Debug, Default)]
pub struct ConnectionFacts {
    /// Whether azcmagent is connected to any machine.
    pub is_onboarded: bool,
}

/// What one observation has learned.
#[derive(Clone, Debug, Default)]
pub enum Learned {
    /// Nothing that another condition uses.
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
    /// Takes what an observation has learned.
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

    /// Whether a repair ran to its end in this run.
    pub fn has_run(&self, repair: RepairId) -> bool {
        self.repaired.contains(&repair)
    }

    /// Drops the token where the fault asks for a new one: Azure refused it, or it may be older than a role that has
    /// been assigned meanwhile.
    pub fn invalidate_token_for(&mut self, fault: &FaultKind) {
        if fault.condition >= Condition::Identity && fault.recheck_from <= Condition::Identity {
            self.identity.token = None;
        }
    }
}
