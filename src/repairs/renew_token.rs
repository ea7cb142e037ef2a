//! Replaces a token that Azure rejects.

use std::time::Duration;

use super::{always, Repair};
use crate::model::repair::RepairId;

/// The engine invalidates the token for every fault that is observed again from `identity`, which then requests a new
/// one. This is a repair so that it has a bound.
pub(super) static REPAIR: Repair = Repair {
    id: RepairId::RenewToken,
    action: "asking for a new token",
    bound: 2,
    limit: Duration::ZERO,
    is_allowed: always,
    run: |_context, session| {
        session.facts.identity.token = None;
        Box::pin(std::future::ready(Ok(())))
    },
};
