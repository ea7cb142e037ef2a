//! The eleven conditions by name: their order, what they need of each other, and how long each is waited for.

use std::time::Duration;

use crate::settings::Settings;

/// The conditions, in the order in which they are made to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Root, systemd, disk, one run at a time.
    Host,
    /// The proxy variables hold everywhere.
    ProxyEnvironment,
    /// The sidecar answers, directly.
    Imds,
    /// The clock is right.
    Clock,
    /// The CSN proxy opens tunnels.
    Proxy,
    /// The Azure names resolve, here or at the proxy.
    Dns,
    /// Every endpoint that Arc needs answers.
    Egress,
    /// There is a token.
    Identity,
    /// azcmagent is there, runs, and knows its proxy.
    Agent,
    /// The identity may create the machine.
    Access,
    /// The machine is connected.
    Connected,
}

impl Condition {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Host,
        Self::ProxyEnvironment,
        Self::Imds,
        Self::Clock,
        Self::Proxy,
        Self::Dns,
        Self::Egress,
        Self::Identity,
        Self::Agent,
        Self::Access,
        Self::Connected,
    ];

    /// Whether it is only the way to [`Condition::Connected`]: where that holds, this need not.
    pub fn is_only_the_way(self) -> bool {
        !matches!(self, Self::Host | Self::ProxyEnvironment | Self::Agent | Self::Connected)
    }

    /// Its number, from 1; exit codes are made from it.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Its name in the log, in reports and in the configuration's documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ProxyEnvironment => "proxy-environment",
            Self::Imds => "imds",
            Self::Clock => "clock",
            Self::Proxy => "proxy",
            Self::Dns => "dns",
            Self::Egress => "egress",
            Self::Identity => "identity",
            Self::Agent => "agent",
            Self::Access => "access",
            Self::Connected => "connected",
        }
    }

    /// The conditions without which observing this one is meaningless.
    pub fn needs(self) -> &'static [Self] {
        match self {
            Self::Host | Self::ProxyEnvironment | Self::Imds | Self::Proxy | Self::Dns | Self::Agent => &[],
            Self::Clock | Self::Identity => &[Self::Imds],
            Self::Egress => &[Self::Proxy, Self::Dns],
            Self::Access => &[Self::Proxy, Self::Dns, Self::Identity],
            Self::Connected => &[Self::Agent],
        }
    }

    /// How long a fault of this condition is waited for, from the settings.
    pub fn window(self, settings: &Settings) -> Duration {
        let wait = &settings.wait;
        match self {
            // The sidecar is there for the token alone: whichever patience ends first ends the wait.
            Self::Imds => wait.endpoint.min(wait.token),
            Self::Identity => wait.token,
            Self::Access => wait.access,
            _ => wait.endpoint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_contract() {
        let numbers: Vec<u8> = Condition::ALL.iter().map(|condition| condition.number()).collect();
        assert_eq!(numbers, (1..=11).collect::<Vec<u8>>());
        assert_eq!((Condition::Host.number(), Condition::Connected.number()), (1, 11));
    }

    #[test]
    fn a_condition_only_needs_earlier_ones() {
        for condition in Condition::ALL {
            assert!(condition.needs().iter().all(|needed| *needed < condition));
        }
    }
}
