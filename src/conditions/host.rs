//! Condition 1: the machine can be enrolled.

use std::path::Path;
use std::time::Duration;

use super::{Notes, Observation};
use crate::catalogue;
use crate::context::Context;
use crate::host::commands::Program;
use crate::host::system;
use crate::model::check::Evidence;
use crate::model::fault::Fault;
use crate::model::var::{one, Var};
use crate::output::record;

/// Free bytes below which the installation of azcmagent (85 MB packed, more unpacked) would fail.
const LEAST_FREE: u64 = 300 << 20;

/// Free bytes that the record and the log of a run need.
const OWN_NEED: u64 = 256 << 10;

/// Time limit of a systemctl query.
const LIMIT: Duration = Duration::from_secs(20);

/// The directories of azcmagent's programs and state.
const AGENT_DIRECTORIES: [&str; 2] = ["/opt", "/var/opt"];

/// Does not check root and the lock: the session does when the run makes changes.
pub(super) async fn observe(context: &Context) -> Observation {
    let mut notes = Notes::default();
    let who = if system::is_root() {
        "root"
    } else {
        let what = "what only root may read: run it with sudo to see everything";
        notes.not_checked.push(what.to_owned());
        "not root (not needed to observe)"
    };
    notes.observation(evaluate(context, who).await)
}

async fn evaluate(context: &Context, who: &str) -> Result<Evidence, Fault> {
    if context.host.commands.find("systemctl").is_none() {
        return Err(catalogue::HOST_NO_SYSTEMD.with_evidence("there is no systemctl"));
    }
    // In a container systemctl may exist without systemd, and then reports "offline".
    let asked = context.host.commands.run(Program::new("systemctl", &["is-system-running"], LIMIT)).await;
    if asked.is_ok_and(|finished| finished.stdout.trim() == "offline") {
        return Err(catalogue::HOST_NO_SYSTEMD.with_evidence("systemctl is-system-running: offline"));
    }
    if context.host.commands.find(crate::clients::azcmagent::PROGRAM).is_none() {
        for directory in AGENT_DIRECTORIES {
            let path = context.host.files.path(directory);
            if let Some(free) = system::free_bytes(&path, false).filter(|free| *free < LEAST_FREE) {
                return Err(disk_full(&path, free));
            }
        }
    }
    // A run that cannot write its record leaves no state for the next run.
    let path = context.host.files.path(record::PATH);
    if let Some(free) = system::free_bytes(&path, true).filter(|free| *free < OWN_NEED) {
        return Err(disk_full(&path, free));
    }
    Ok(format!("{who}, systemd, enough disk"))
}

fn disk_full(path: &Path, free: u64) -> Fault {
    let path = path.display().to_string();
    let evidence = format!("{path}: {} MiB free", free >> 20);
    catalogue::HOST_DISK_FULL.with_evidence(evidence).with_arg(Var::Path, one(path))
}
