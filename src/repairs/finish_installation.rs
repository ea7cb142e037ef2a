//! Finishes or repeats an interrupted package installation.

use super::installation::{command_error, package_fault, LIMIT};
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

/// Finishes the installation with dpkg; with rpm, erases the package from the database and installs it again.
///
/// rpm records a package before it runs its scripts and then treats it as installed, although the results of the scripts
/// (users, units) are missing.
///
/// # Errors
/// The fault that prevents it.
async fn run(context: &Context) -> Result<(), Fault> {
    let family = packages::family(&context.host).unwrap_or(Family::Apt);
    let was_ours = packages::was_interrupted(&context.host, &context.settings.agent);
    let command = if family == Family::Apt { &["dpkg", "--configure", "-a"][..] } else { &FORGET[..] };
    let [program, args @ ..] = command else { return Ok(()) };
    let mut run = Program::new(program, args, context.within(REPAIR.limit));
    run.env = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
    let finished = context.host.commands.run(run).await.map_err(|error| command_error(&error))?;
    // A package that rpm does not know needs no erasing.
    let is_done =
        finished.succeeded() || family != Family::Apt && finished.transcript.contains("not installed");
    if !is_done {
        return Err(package_fault(context, &outcome::classify(&finished.transcript)));
    }
    if was_ours && family != Family::Apt {
        return install_agent::install(context).await;
    }
    let _mark_of_the_script = context.host.files.remove(INSTALL_BEGUN);
    Ok(())
}

/// Takes the package out of rpm's database and leaves its files and services alone.
const FORGET: [&str; 7] = ["rpm", "--erase", "--justdb", "--nodeps", "--noscripts", "--allmatches", PACKAGE];
