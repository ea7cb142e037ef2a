//! What stands in the way: a closed catalogue, the troubleshooting guide turned into data.
//!
//! Each [`Entry`] says what was met, what the agent does about it by itself, and what only a person can
//! do. A [`Fault`] is one entry met on this VM, with the evidence.

mod catalogue;

pub use catalogue::*;

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::condition::Condition;
use crate::retry::Pace;

/// Who or what can help, which decides the exit code; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outlook {
    /// The command line or the configuration has to be changed (exit code 2).
    Configuration,
    /// This machine is not suitable (exit code 3).
    Machine,
    /// Only a person can help (exit code 10 + condition).
    Person,
    /// Waiting longer can help (exit code 75).
    Time,
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
pub struct Entry {
    /// Stable code, `subject.cause`.
    pub code: &'static str,
    /// The condition that does not hold.
    pub condition: Condition,
    /// Who or what can help.
    pub outlook: Outlook,
    /// What it means.
    pub means: &'static str,
    /// Likely causes, the likeliest first.
    pub causes: Lines,
    /// What the agent does by itself, in words.
    pub agent: &'static str,
    /// What it does by itself, first.
    pub repair: Option<Repair>,
    /// How it waits when the repair is used up or there is none; without a pace the run ends at once.
    pub pace: Option<Pace>,
    /// The condition that is looked at again first; an earlier one when its result is spent too.
    pub again_from: Condition,
    /// The shortest window that makes sense, whatever the settings say.
    pub least_window: Duration,
    /// The longest window that makes sense: what is not there by then does not come.
    pub most_window: Duration,
    /// What a person does, in order; `{…}` is filled with this VM's own values, and a command stands in backticks.
    pub person: Lines,
    /// The section of the guide, or the documentation page, that this comes from.
    pub guide: &'static str,
}

/// Steps without the marks of commands, for programs and for one line.
pub fn unmarked(steps: Vec<String>) -> Vec<String> {
    steps.into_iter().map(|step| step.replace('`', "")).collect()
}

/// Several texts, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines(&'static str);

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

impl Entry {
    /// The exit code of a run that ends with this fault.
    pub fn exit_code(&self) -> u8 {
        match self.outlook {
            Outlook::Configuration => 2,
            Outlook::Machine => 3,
            Outlook::Person => 10 + self.condition.number(),
            Outlook::Time => EXIT_NOT_YET,
        }
    }

    /// What a person does, filled in; commands stand in backticks.
    pub fn steps(&self, fill: impl Fn(&str) -> String) -> Vec<String> {
        self.person.iter().map(fill).collect()
    }

    /// A fault of this kind with what was seen.
    pub fn seen(&'static self, evidence: impl Into<String>) -> Fault {
        self.met(evidence.into())
    }

    fn met(&'static self, evidence: String) -> Fault {
        Fault(Box::new(Met { entry: self, evidence, retry_after: None }))
    }
}

/// Exit code of a run that ended although waiting longer can help (EX_TEMPFAIL).
pub const EXIT_NOT_YET: u8 = 75;

/// A fault that was met. In a box, for it is handed up through every level of the program.
#[derive(Clone, Debug)]
pub struct Fault(Box<Met>);

/// What there is to know of a fault that was met.
#[derive(Clone, Debug)]
pub struct Met {
    /// Its kind.
    pub entry: &'static Entry,
    /// What was seen, without secrets.
    pub evidence: String,
    /// How long the other side asked us to wait.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// The same fault with the other side's wish.
    pub fn asked_to_wait(mut self, wish: Option<Duration>) -> Self {
        self.0.retry_after = wish;
        self
    }

    /// Its stable code.
    pub fn code(&self) -> &'static str {
        self.entry.code
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
        write!(f, "{}: {}", self.entry.code, self.entry.means)?;
        if !self.evidence.is_empty() {
            write!(f, " ({})", self.evidence)?;
        }
        Ok(())
    }
}

/// The kind with this code.
pub fn find(code: &str) -> Option<&'static Entry> {
    catalogue().find(|entry| entry.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let codes: BTreeSet<_> = catalogue().map(|entry| entry.code).collect();
        assert_eq!(codes.len(), catalogue().count());
        for code in codes {
            let shape = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            assert!(code.chars().all(shape) && code.matches('.').count() == 1, "{code}");
        }
    }

    #[test]
    fn every_entry_says_what_a_person_needs() {
        for entry in catalogue() {
            assert!(!entry.means.is_empty() && entry.causes.iter().next().is_some(), "{}", entry.code);
            assert!(!entry.agent.is_empty() && !entry.guide.is_empty(), "{}", entry.code);
            assert!(entry.person.iter().next().is_some(), "{}", entry.code);
            assert!(entry.person.iter().all(|step| step.matches('`').count() % 2 == 0), "{}", entry.code);
            assert!(entry.again_from.number() <= entry.condition.number(), "{}", entry.code);
        }
    }

    #[test]
    fn exit_codes_follow_the_outlook() {
        for entry in catalogue() {
            let code = entry.exit_code();
            match entry.outlook {
                Outlook::Configuration => assert_eq!(code, 2),
                Outlook::Machine => assert_eq!(code, 3),
                Outlook::Person => assert_eq!(code, 10 + entry.condition.number()),
                Outlook::Time => assert_eq!(code, 75),
            }
        }
    }

    #[test]
    fn what_time_can_help_is_waited_for() {
        for entry in catalogue().filter(|entry| entry.outlook == Outlook::Time) {
            assert!(entry.pace.is_some() || entry.code == RUN_INTERRUPTED.code, "{}", entry.code);
        }
    }
}
