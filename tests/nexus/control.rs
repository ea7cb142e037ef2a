//! The protocol between a test and the process that serves its VM: one JSON value per line, answered by another.

use serde::{Deserialize, Serialize};

use super::spec::{AzurePlan, CsnPlan, ImdsPlan};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Answered by an [`super::seen::Observed`].
    Observe,
    Imds(ImdsPlan),
    Csn(CsnPlan),
    Azure(AzurePlan),
}
