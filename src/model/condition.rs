//! The conditions of an enrolled VM as one list: order, name, exit code, prerequisites, window.
//!
//! A new condition needs an entry here, an observer in `conditions`, a file of faults in `catalogue`, and tests. Help,
//! man page, tables, `status` and the engine are derived from the list.

/// The retry window of a condition, as the name of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// `wait.endpoint`.
    Endpoint,
    /// `wait.token`.
    Token,
    /// The shorter of the two: the sidecar is needed only for the token.
    EndpointOrToken,
    /// `wait.access`.
    Access,
}

/// The properties of a condition.
#[derive(Debug)]
pub struct Entry {
    /// Its name in the log, in reports and in the documentation.
    pub name: &'static str,
    /// The exit code of a run that stops at this condition. It never changes, whatever the position in the list.
    pub exit_code: u8,
    /// The conditions that must hold before this one can be observed; all of them precede it in the list.
    pub needs: &'static [Condition],
    /// How long a failure is retried.
    pub window: Window,
    /// Whether it is observed without the network, as `status` requires.
    pub is_local: bool,
    /// Whether it is only a prerequisite of enrollment: on a connected VM it need not hold.
    pub is_prerequisite: bool,
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $id:ident { holds_when: $holds_when:literal, $($field:ident: $value:expr),* $(,)? })*) => {
        /// A condition, by its identity. They compare in the order of the list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Condition { $($(#[$doc])* $id),* }

        impl Condition {
            /// Every condition, in the order in which enrollment establishes them.
            pub const ALL: &'static [Self] = &[$(Self::$id),*];

            /// Its entry.
            pub fn entry(self) -> &'static Entry {
                match self { $(Self::$id => &const { Entry { $($field: $value),* } }),* }
            }

            /// When it holds, in words for the documents. Apart from the entry, so that the program does not carry it.
            pub fn holds_when(self) -> &'static str {
                match self { $(Self::$id => $holds_when),* }
            }
        }
    };
}

conditions! {
    /// The run is root, systemd runs, there is disk space, no other run is active.
    Host {
        holds_when: "root, systemd, enough disk, no other run",
        name: "host", exit_code: 11, needs: &[],
        window: Window::Endpoint, is_local: true, is_prerequisite: false,
    }
    /// The proxy variables are set everywhere.
    ProxyEnvironment {
        holds_when: "the six proxy variables hold for logins, services and the package manager",
        name: "proxy-environment", exit_code: 12, needs: &[],
        window: Window::Endpoint, is_local: true, is_prerequisite: false,
    }
    /// The IMDS sidecar answers without a proxy.
    Imds {
        holds_when: "the sidecar at 169.254.169.254 answers, directly and not through a proxy",
        name: "imds", exit_code: 13, needs: &[],
        window: Window::EndpointOrToken, is_local: false, is_prerequisite: true,
    }
    /// The clock is right.
    Clock {
        holds_when: "the clock is within two minutes of the sidecar's",
        name: "clock", exit_code: 14, needs: &[Condition::Imds],
        window: Window::Endpoint, is_local: false, is_prerequisite: true,
    }
    /// The CSN proxy opens tunnels.
    Proxy {
        holds_when: "the proxy accepts connections and opens a tunnel",
        name: "proxy", exit_code: 15, needs: &[],
        window: Window::Endpoint, is_local: false, is_prerequisite: true,
    }
    /// The Azure names resolve, on the VM or at the proxy.
    Dns {
        holds_when: "the Azure names resolve, here or at the proxy",
        name: "dns", exit_code: 16, needs: &[],
        window: Window::Endpoint, is_local: false, is_prerequisite: true,
    }
    /// Every endpoint that Arc needs answers.
    Egress {
        holds_when: "every endpoint that Arc needs answers through the proxy over verified TLS",
        name: "egress", exit_code: 17, needs: &[Condition::Proxy, Condition::Dns],
        window: Window::Endpoint, is_local: false, is_prerequisite: true,
    }
    /// The managed identity gets a token.
    Identity {
        holds_when: "a token for Azure Resource Manager was issued to the identity asked for",
        name: "identity", exit_code: 18, needs: &[Condition::Imds],
        window: Window::Token, is_local: false, is_prerequisite: true,
    }
    /// azcmagent is installed, runs, and has its proxy setting.
    Agent {
        holds_when: "azcmagent is installed, its services run, and it knows the proxy",
        name: "agent", exit_code: 19, needs: &[],
        window: Window::Endpoint, is_local: true, is_prerequisite: false,
    }
    /// The identity may create the Arc machine.
    Access {
        holds_when: "the identity may create Arc machines in the resource group",
        name: "access", exit_code: 20, needs: &[Condition::Proxy, Condition::Dns, Condition::Identity],
        window: Window::Access, is_local: false, is_prerequisite: true,
    }
    /// The machine is connected.
    Connected {
        holds_when: "azcmagent says Connected, to the target asked for",
        name: "connected", exit_code: 21, needs: &[Condition::Agent],
        window: Window::Endpoint, is_local: true, is_prerequisite: false,
    }
}

impl Condition {
    /// The condition that enrollment aims at; every other condition leads to it.
    pub const GOAL: Self = Self::Connected;

    /// Its name.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Its number in reports, from 1. It is derived from the exit code, so it never changes.
    pub fn number(self) -> u8 {
        self.entry().exit_code.saturating_sub(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let codes: Vec<(&str, u8)> =
            Condition::ALL.iter().map(|condition| (condition.name(), condition.entry().exit_code)).collect();
        assert_eq!(
            codes,
            [
                ("host", 11),
                ("proxy-environment", 12),
                ("imds", 13),
                ("clock", 14),
                ("proxy", 15),
                ("dns", 16),
                ("egress", 17),
                ("identity", 18),
                ("agent", 19),
                ("access", 20),
                ("connected", 21),
            ]
        );
    }

    #[test]
    fn a_condition_needs_only_earlier_ones() {
        for condition in Condition::ALL {
            assert!(condition.entry().needs.iter().all(|needed| needed < condition), "{condition:?}");
        }
        assert_eq!(Condition::ALL.last(), Some(&Condition::GOAL));
    }
}
