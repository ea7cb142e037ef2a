//! What stands in the way: a closed catalogue, the troubleshooting guide turned into data.
//!
//! Each [`FaultKind`] says what was met, what the agent does about it by itself, and what only a person can
//! do. A [`Fault`] is one entry met on this VM, with the evidence.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::model::backoff::Backoff;
use crate::model::condition::Condition;

/// Who or what can help, which decides the exit code; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// The command line or the configuration has to be changed (exit code 2).
    Configuration,
    /// This machine is not suitable (exit code 3).
    Unsuitable,
    /// Only a person can help (exit code 10 + condition).
    Manual,
    /// Waiting longer can help (exit code 75).
    Retry,
}

/// What the agent does by itself when it meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Write the proxy settings into the system's files.
    PersistProxy,
    /// Ask the host's time service to step.
    StepClock,
    /// Throw the token away and ask for a new one.
    RenewToken,
    /// Install azcmagent.
    InstallAgent,
    /// Install a newer azcmagent over the old one.
    UpgradeAgent,
    /// Finish what an interrupted dpkg left.
    ConfigurePackages,
    /// Start azcmagent's services.
    StartServices,
    /// Restart azcmagent's services.
    RestartServices,
    /// Tell azcmagent its proxy.
    SetAgentProxy,
    /// Set azcmagent's own override for Azure VMs, where the configuration allows it.
    AllowAzureVm,
    /// Connect the machine.
    Connect,
    /// Delete the Expired Arc machine and forget it on the VM, where the configuration allows it.
    RecreateExpired,
}

impl Repair {
    /// How often it may succeed in one run without the fault going away; its own failures are faults with
    /// windows of their own and do not count.
    pub fn bound(self) -> u32 {
        match self {
            Self::PersistProxy | Self::StepClock | Self::ConfigurePackages | Self::AllowAzureVm => 1,
            Self::UpgradeAgent | Self::RecreateExpired => 1,
            Self::RenewToken | Self::StartServices | Self::RestartServices | Self::SetAgentProxy => 2,
            Self::InstallAgent | Self::Connect => 2,
        }
    }

    /// What it does, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::PersistProxy => "writing the proxy settings",
            Self::StepClock => "asking the time service to set the clock",
            Self::RenewToken => "asking for a new token",
            Self::InstallAgent => "installing azcmagent",
            Self::UpgradeAgent => "installing a newer azcmagent",
            Self::ConfigurePackages => "finishing an interrupted package installation",
            Self::StartServices => "starting azcmagent's services",
            Self::RestartServices => "restarting azcmagent's services",
            Self::SetAgentProxy => "setting azcmagent's proxy.url",
            Self::AllowAzureVm => "setting azcmagent's override for Azure VMs, as the configuration allows",
            Self::Connect => "connecting to Azure Arc",
            Self::RecreateExpired => "removing the Expired Arc machine, as the configuration allows",
        }
    }
}

/// One kind of fault.
#[derive(Debug)]
pub struct FaultKind {
    /// Stable code, `subject.cause`.
    pub code: &'static str,
    /// The condition that does not hold.
    pub condition: Condition,
    /// Who or what can help.
    pub resolution: Resolution,
    /// What it means.
    pub summary: &'static str,
    /// Likely causes, the likeliest first.
    pub causes: Lines,
    /// What the agent does by itself, in words.
    pub agent: &'static str,
    /// What it does by itself, first.
    pub repair: Option<Repair>,
    /// How it waits when the repair is used up or there is none; without a pace the run ends at once.
    pub backoff: Option<Backoff>,
    /// The condition that is looked at again first; an earlier one when its result is spent too.
    pub recheck_from: Condition,
    /// The shortest window that makes sense, whatever the settings say.
    pub least_window: Duration,
    /// The longest window that makes sense: what is not there by then does not come.
    pub most_window: Duration,
    /// What a person does, in order; `{…}` is filled with this VM's own values, and a command stands in backticks.
    pub remediation: Lines,
    /// The section of the guide, or the documentation page, that this comes from.
    pub guide: &'static str,
}

/// Steps without the marks of commands, for programs and for one line.
pub fn unmarked(steps: Vec<String>) -> Vec<String> {
    steps.into_iter().map(|step| step.replace('`', "")).collect()
}

/// Several texts, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines(pub &'static str);

impl Lines {
    /// Each of them.
    pub fn iter(self) -> std::str::Lines<'static> {
        self.0.lines()
    }
}

impl IntoIterator for Lines {
    type Item = &'static str;
    type IntoIter = std::str::Lines<'static>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}

impl FaultKind {
    /// The exit code of a run that ends with this fault.
    pub fn exit_code(&self) -> u8 {
        match self.resolution {
            Resolution::Configuration => 2,
            Resolution::Unsuitable => 3,
            Resolution::Manual => 10 + self.condition.number(),
            Resolution::Retry => crate::model::exit_code::NOT_YET,
        }
    }

    /// What a person does, filled in; commands stand in backticks.
    pub fn steps(&self, fill: impl Fn(&str) -> String) -> Vec<String> {
        self.remediation.iter().map(fill).collect()
    }

    /// A fault of this kind with what was seen.
    pub fn with_evidence(&'static self, evidence: impl Into<String>) -> Fault {
        self.met(evidence.into())
    }

    fn met(&'static self, evidence: String) -> Fault {
        Fault(Box::new(Met { kind: self, evidence, retry_after: None }))
    }
}

/// A fault that was met. In a box, for it is handed up through every level of the program.
#[derive(Clone, Debug)]
pub struct Fault(Box<Met>);

/// What there is to know of a fault that was met.
#[derive(Clone, Debug)]
pub struct Met {
    /// Its kind.
    pub kind: &'static FaultKind,
    /// What was seen, without secrets.
    pub evidence: String,
    /// How long the other side asked us to wait.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// The same fault with the other side's wish.
    pub fn with_retry_after(mut self, wish: Option<Duration>) -> Self {
        self.0.retry_after = wish;
        self
    }

    /// Its stable code.
    pub fn code(&self) -> &'static str {
        self.kind.code
    }
}

impl Deref for Fault {
    type Target = Met;

    fn deref(&self) -> &Met {
        &self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code, self.kind.summary)?;
        if !self.evidence.is_empty() {
            write!(f, " ({})", self.evidence)?;
        }
        Ok(())
    }
}
