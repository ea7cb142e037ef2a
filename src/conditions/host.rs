//! Condition 1: the machine may be enrolled at all.

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

/// Free space below which installing azcmagent (85 MB packed, more unpacked) is bound to fail.
const LEAST_FREE: u64 = 300 << 20;

/// Free space below which the record and the log of a run are in doubt.
const OWN_NEED: u64 = 256 << 10;

/// The record of a run.
const RECORD: &str = "/var/lib/arc-enroll/status.json";

/// Time limit of a question to systemd.
const LIMIT: Duration = Duration::from_secs(20);

/// Where azcmagent puts its programs and state.
const AGENT_DIRECTORIES: [&str; 2] = ["/opt", "/var/opt"];

/// That this run is root, and alone, is the session's matter; who only observes needs neither.
pub(super) async fn observe(context: &Context) -> Observation {
    let mut notes = Notes::default();
    let who = if system::is_root() {
        "root"
    } else {
        let what = "what only root may read: run it with sudo to see everything";
        notes.not_checked.push(what.to_owned());
        "not root, which only looking does not need"
    };
    notes.observation(judge(context, who).await)
}

async fn judge(context: &Context, who: &str) -> Result<Evidence, Fault> {
    if context.host.commands.find("systemctl").is_none() {
        return Err(catalogue::HOST_NO_SYSTEMD.with_evidence("there is no systemctl"));
    }
    // In a container systemctl may be there although systemd is not; it says so itself.
    let asked = context.host.commands.run(Program::new("systemctl", &["is-system-running"], LIMIT)).await;
    if asked.is_ok_and(|finished| finished.stdout.trim() == "offline") {
        return Err(catalogue::HOST_NO_SYSTEMD.with_evidence("systemctl is-system-running: offline"));
    }
    if context.host.commands.find(crate::clients::azcmagent::PROGRAM).is_none() {
        for directory in AGENT_DIRECTORIES {
            let path = context.host.files.path(directory);
            if let Some(free) = system::free_bytes(&path, false).filter(|free| *free < LEAST_FREE) {
                return Err(too_full(&path, free));
            }
        }
    }
    // A run that cannot write its own record would leave nothing for the next one to go on from.
    let path = context.host.files.path(RECORD);
    if let Some(free) = system::free_bytes(&path, true).filter(|free| *free < OWN_NEED) {
        return Err(too_full(&path, free));
    }
    Ok(format!("{who}, systemd, enough disk"))
}

fn too_full(path: &Path, free: u64) -> Fault {
    let path = path.display().to_string();
    let evidence = format!("{path}: {} MiB free", free >> 20);
    catalogue::HOST_DISK_FULL.with_evidence(evidence).with_arg(Var::Path, one(path))
}
