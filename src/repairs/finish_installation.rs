//! A package installation that was cut off, finished or made again.

use super::installation::{failed, not_run, LIMIT};
use super::{always, install_agent, Repair};
use crate::clients::packages::distribution::Family;
use crate::clients::packages::{self, outcome, INSTALL_BEGUN, PACKAGE};
use crate::context::Context;
use crate::host::commands::Program;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;

pub(super) static REPAIR: Repair = Repair {
    id: RepairId::FinishInstallation,
    action: "finishing an interrupted package installation",
    bound: 1,
    limit: LIMIT,
    is_allowed: always,
    run: |context, _session| Box::pin(run(context)),
};

/// Finishes what was cut off: dpkg can do that; rpm has to forget the package, and then it is installed anew.
///
/// rpm writes a package down before it runs its scripts, and takes it for installed ever after. What the script
/// would have done (users, units) is then missing.
///
/// # Errors
/// What stands in the way.
async fn run(context: &Context) -> Result<(), Fault> {
    let family = packages::family(&context.host).unwrap_or(Family::Apt);
    let was_ours = packages::was_interrupted(&context.host, &context.settings.agent);
    let command = if family == Family::Apt { &["dpkg", "--configure", "-a"][..] } else { &FORGET[..] };
    let [program, args @ ..] = command else { return Ok(()) };
    let mut run = Program::new(program, args, context.within(REPAIR.limit));
    run.env = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
    let finished = context.host.commands.run(run).await.map_err(|error| not_run(&error))?;
    // That rpm does not know the package is as good.
    let is_done =
        finished.succeeded() || family != Family::Apt && finished.transcript.contains("not installed");
    if !is_done {
        return Err(failed(context, &outcome::classify(&finished.transcript)));
    }
    if was_ours && family != Family::Apt {
        return install_agent::install(context).await;
    }
    let _mark_of_the_script = context.host.files.remove(INSTALL_BEGUN);
    Ok(())
}

/// Takes the package out of rpm's database and leaves its files and services alone.
const FORGET: [&str; 7] = ["rpm", "--erase", "--justdb", "--nodeps", "--noscripts", "--allmatches", PACKAGE];
