//! Faults of the clock: `clock`.

use super::steps::RERUN;
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::repair::RepairId;
use crate::model::step::{as_root, on_vm};

entries! {
    CLOCK;

    CLOCK_SKEWED = FaultKind {
        code: "clock.skewed",
        condition: Condition::Clock,
        resolution: Resolution::Manual,
        summary: "The clock of this VM is more than two minutes off; tokens and certificates are judged by it.",
        causes: &[
            cause("No time server can be reached."),
            cause("The time service is not running."),
        ],
        automatic: "Asks the time service to step the clock, then waits.",
        repair: Some(RepairId::StepClock),
        backoff: Some(Backoff::Poll),
        // The `imds` condition reads both clocks.
        recheck_from: Condition::Imds,
        steps: &[
            on_vm("See the state:", "timedatectl timesync-status"),
            as_root("Let the time service set it:", "timedatectl set-ntp true"),
            on_vm("See the sidecar's time:", "curl -sI --noproxy '*' {imds}/healthz"),
            as_root("If no time server can be reached, set it by hand:", "date -s TIME"),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
