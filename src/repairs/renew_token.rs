//! A new token in place of one that Azure rejects.

use std::time::Duration;

use super::{always, Repair};
use crate::model::repair::RepairId;

/// The engine drops the token of every fault that is observed again from `identity`, which asks for a new one then; so
/// there is nothing else to do. It is a repair for its bound.
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
