//! The catalogue of faults, one file per condition. Codes are part of the interface: they are added, never changed.

mod access;
mod agent;
mod clock;
mod connected;
mod dns;
mod egress;
mod host;
mod identity;
mod imds;
#[cfg(feature = "operator")]
mod operator;
mod proxy;
mod proxy_environment;
mod steps;
#[cfg(test)]
mod tests;

pub use access::*;
pub use agent::*;
pub use clock::*;
pub use connected::*;
pub use dns::*;
pub use egress::*;
pub use host::*;
pub use identity::*;
pub use imds::*;
#[cfg(feature = "operator")]
pub use operator::*;
pub use proxy::*;
pub use proxy_environment::*;
pub use steps::*;

use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Resolution};

/// Defines each entry as a static, and a list of all entries of the file.
macro_rules! entries {
    ($list:ident; $($name:ident = FaultKind { code: $code:literal, $($rest:tt)* };)*) => {
        $(
            #[doc = concat!("The fault `", $code, "`.")]
            pub static $name: FaultKind = FaultKind { code: $code, $($rest)* };
        )*

        /// Every entry of this file.
        pub(super) static $list: &[&FaultKind] = &[$(&$name),*];
    };
}
use entries;

/// Defaults that most entries share.
const COMMON: FaultKind = FaultKind {
    code: "",
    condition: Condition::Host,
    resolution: Resolution::Retry,
    summary: "",
    causes: &[],
    automatic: "",
    repair: None,
    backoff: None,
    recheck_from: Condition::Host,
    least_window_s: 0,
    most_window_s: u16::MAX,
    is_inconclusive: false,
    steps: &[],
    guide: "",
};

/// Every kind of fault in the order of the conditions; those that only `precheck` finds come last.
pub fn all() -> impl Iterator<Item = &'static FaultKind> {
    let files = [
        HOST,
        PROXY_ENVIRONMENT,
        IMDS,
        CLOCK,
        PROXY,
        DNS,
        EGRESS,
        IDENTITY,
        AGENT,
        ACCESS,
        CONNECTED,
        #[cfg(feature = "operator")]
        OPERATOR,
    ];
    files.into_iter().flatten().copied()
}

/// The kind with this code.
pub fn find(code: &str) -> Option<&'static FaultKind> {
    all().find(|kind| kind.code == code)
}
