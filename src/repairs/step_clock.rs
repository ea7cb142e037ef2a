//! The clock, set by the host's own time service.

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

/// Programs that step the clock, the first that is there and succeeds.
const PROGRAMS: [(&str, &[&str]); 3] = [
    ("chronyc", &["makestep"]),
    ("timedatectl", &["set-ntp", "true"]),
    ("systemctl", &["restart", "systemd-timesyncd.service"]),
];

/// Whether it helped is for the next look at the clock to say.
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
