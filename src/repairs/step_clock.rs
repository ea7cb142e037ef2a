//! Makes the host's time service set the clock.

use super::{always, Repair, SERVICE_LIMIT};
use crate::context::Context;
use crate::host::commands::Program;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;

pub(super) static REPAIR: Repair = Repair {
    id: RepairId::StepClock,
    action: "asking the time service to set the clock",
    bound: 1,
    limit: SERVICE_LIMIT,
    is_allowed: always,
    run: |context, _session| Box::pin(run(context)),
};

/// Commands that step the clock; the first that exists and succeeds is used.
const PROGRAMS: [(&str, &[&str]); 3] = [
    ("chronyc", &["makestep"]),
    ("timedatectl", &["set-ntp", "true"]),
    ("systemctl", &["restart", "systemd-timesyncd.service"]),
];

/// Always succeeds: the next observation of the clock shows whether it helped.
async fn run(context: &Context) -> Result<(), Fault> {
    let commands = &context.host.commands;
    for (program, args) in PROGRAMS {
        if commands.find(program).is_none() {
            continue;
        }
        let finished = commands.run(Program::new(program, args, context.within(REPAIR.limit))).await;
        if finished.is_ok_and(|finished| finished.succeeded()) {
            break;
        }
    }
    Ok(())
}
