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

use super::{Entry, Lines, Outlook};
use crate::condition::Condition;

/// Names each entry once, as a static and in its file's list.
macro_rules! entries {
    ($list:ident; $($(#[$doc:meta])* $name:ident = $entry:expr;)*) => {
        $($(#[$doc])* pub static $name: Entry = $entry;)*

        /// Every entry of this file.
        pub(super) static $list: &[&Entry] = &[$(&$name),*];
    };
}
use entries;

/// Several texts in one: each text of its own would take a place in the binary's tables.
macro_rules! lines {
    ($first:literal $(, $rest:literal)* $(,)?) => {
        crate::fault::Lines(concat!($first $(, "\n", $rest)*))
    };
}
use lines;

/// The parts that most entries share.
const COMMON: Entry = Entry {
    code: "",
    condition: Condition::Host,
    outlook: Outlook::Time,
    means: "",
    causes: Lines(""),
    agent: "",
    repair: None,
    pace: None,
    again_from: Condition::Host,
    least_window: Duration::ZERO,
    most_window: Duration::MAX,
    person: Lines(""),
    guide: "",
};

/// Every kind of fault there is, in the order of the conditions within each part.
pub fn catalogue() -> impl Iterator<Item = &'static Entry> {
    let parts = [MACHINE, NETWORK, IDENTITY, AGENT, ACCESS, CONNECTED, OPERATOR];
    parts.into_iter().flatten().copied()
}
