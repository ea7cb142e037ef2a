//! The catalogue itself. Codes and exit codes are part of the contract: they are added, never changed.

mod access;
mod agent;
mod connected;
mod identity;
mod machine;
mod network;
mod operator;

pub use access::*;
pub use agent::*;
pub use connected::*;
pub use identity::*;
pub use machine::*;
pub use network::*;
pub use operator::*;

use std::time::Duration;

use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Lines, Resolution};

/// Names each entry once, as a static and in its file's list.
macro_rules! entries {
    ($list:ident; $($(#[$doc:meta])* $name:ident = $entry:expr;)*) => {
        $($(#[$doc])* pub static $name: FaultKind = $entry;)*

        /// Every entry of this file.
        pub(super) static $list: &[&FaultKind] = &[$(&$name),*];
    };
}
use entries;

/// Several texts in one: each text of its own would take a place in the binary's tables.
macro_rules! lines {
    ($first:literal $(, $rest:literal)* $(,)?) => {
        crate::model::fault::Lines(concat!($first $(, "\n", $rest)*))
    };
}
use lines;

/// The parts that most entries share.
const COMMON: FaultKind = FaultKind {
    code: "",
    condition: Condition::Host,
    resolution: Resolution::Retry,
    summary: "",
    causes: Lines(""),
    agent: "",
    repair: None,
    backoff: None,
    recheck_from: Condition::Host,
    least_window: Duration::ZERO,
    most_window: Duration::MAX,
    remediation: Lines(""),
    guide: "",
};

/// Every kind of fault there is, in the order of the conditions within each part.
pub fn all() -> impl Iterator<Item = &'static FaultKind> {
    let parts = [MACHINE, NETWORK, IDENTITY, AGENT, ACCESS, CONNECTED, OPERATOR];
    parts.into_iter().flatten().copied()
}

/// The kind with this code.
pub fn find(code: &str) -> Option<&'static FaultKind> {
    all().find(|entry| entry.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let codes: BTreeSet<_> = all().map(|entry| entry.code).collect();
        assert_eq!(codes.len(), all().count());
        for code in codes {
            let shape = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            assert!(code.chars().all(shape) && code.matches('.').count() == 1, "{code}");
        }
    }

    #[test]
    fn every_entry_says_what_a_person_needs() {
        for entry in all() {
            assert!(!entry.summary.is_empty() && entry.causes.iter().next().is_some(), "{}", entry.code);
            assert!(!entry.agent.is_empty() && !entry.guide.is_empty(), "{}", entry.code);
            assert!(entry.remediation.iter().next().is_some(), "{}", entry.code);
            assert!(
                entry.remediation.iter().all(|step| step.matches('`').count() % 2 == 0),
                "{}",
                entry.code
            );
            assert!(entry.recheck_from.number() <= entry.condition.number(), "{}", entry.code);
        }
    }

    #[test]
    fn exit_codes_follow_the_outlook() {
        for entry in all() {
            let code = entry.exit_code();
            match entry.resolution {
                Resolution::Configuration => assert_eq!(code, 2),
                Resolution::Unsuitable => assert_eq!(code, 3),
                Resolution::Manual => assert_eq!(code, 10 + entry.condition.number()),
                Resolution::Retry => assert_eq!(code, 75),
            }
        }
    }

    #[test]
    fn what_time_can_help_is_waited_for() {
        for entry in all().filter(|entry| entry.resolution == Resolution::Retry) {
            assert!(entry.backoff.is_some() || entry.code == RUN_INTERRUPTED.code, "{}", entry.code);
        }
    }
}
