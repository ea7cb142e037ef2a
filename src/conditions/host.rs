//! Condition 1: the machine may be enrolled at all.

use std::path::Path;
use std::time::Duration;

use super::proxy_environment::not_writable;
use super::{Evidence, Vm};
use crate::catalogue;
use crate::host::commands::Run;
use crate::host::lock::{Lock, LockError};
use crate::host::{memory_file, system};
use crate::model::fault::Fault;

/// Free space below which installing azcmagent (85 MB packed, more unpacked) is bound to fail.
const LEAST_FREE: u64 = 300 << 20;

/// Free space below which the record and the log of a run are in doubt.
const OWN_NEED: u64 = 256 << 10;

/// Time limit of a question to systemd.
const LIMIT: Duration = Duration::from_secs(20);

/// Where azcmagent puts its programs and state.
const AGENT_DIRECTORIES: [&str; 2] = ["/opt", "/var/opt"];

pub(crate) async fn observe(vm: &Vm) -> Result<Evidence, Fault> {
    let who = if system::is_root() {
        "root"
    } else if vm.exclusive {
        return Err(catalogue::HOST_NOT_ROOT.with_evidence("not running as root"));
    } else {
        let mut unseen = vm.learnt.unseen.borrow_mut();
        unseen.push("what only root may read: run it with sudo to see everything".to_owned());
        "not root, which only looking does not need"
    };
    take_lock(vm)?;
    if vm.host.commands.find("systemctl").is_none() {
        return Err(catalogue::HOST_NO_SYSTEMD.with_evidence("there is no systemctl"));
    }
    // In a container systemctl may be there although systemd is not; it says so itself.
    let asked = vm.host.commands.run(Run::new("systemctl", &["is-system-running"], LIMIT)).await;
    if asked.is_ok_and(|finished| finished.stdout.trim() == "offline") {
        return Err(catalogue::HOST_NO_SYSTEMD.with_evidence("systemctl is-system-running: offline"));
    }
    if vm.host.commands.find(crate::clients::azcmagent::PROGRAM).is_none() {
        for directory in AGENT_DIRECTORIES {
            let path = vm.host.files.path(directory);
            if let Some(free) = system::free_bytes(&path, false).filter(|free| *free < LEAST_FREE) {
                return Err(too_full(vm, &path, free));
            }
        }
    }
    // A run that cannot write its own record would leave nothing for the next one to go on from.
    let path = vm.host.files.path(crate::output::record::PATH);
    if let Some(free) = system::free_bytes(&path, true).filter(|free| *free < OWN_NEED) {
        return Err(too_full(vm, &path, free));
    }
    Ok(format!("{who}, systemd, enough disk"))
}

fn too_full(vm: &Vm, path: &Path, free: u64) -> Fault {
    let path = path.display().to_string();
    let evidence = format!("{path}: {} MiB free", free >> 20);
    vm.learnt.path.replace(Some(path));
    catalogue::HOST_DISK_FULL.with_evidence(evidence)
}

/// One run at a time; what a killed one left in memory goes before anything else.
pub(crate) fn take_lock(vm: &Vm) -> Result<(), Fault> {
    if !vm.exclusive || vm.learnt.lock.borrow().is_some() {
        return Ok(());
    }
    match Lock::take(&vm.host.files) {
        Ok(lock) => {
            *vm.learnt.lock.borrow_mut() = Some(lock);
            memory_file::remove_stale(&vm.host.files);
            Ok(())
        }
        Err(error @ LockError::Held { .. }) => Err(catalogue::HOST_BUSY.with_evidence(error.to_string())),
        Err(LockError::File(error)) => Err(not_writable(vm, &error)),
    }
}
