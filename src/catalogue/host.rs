//! Faults of the configuration, of the machine and of the run: `host`.

use super::steps::{CORRECT_CONFIG, RERUN, SUPPORTED_DISTRIBUTION};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::step::{as_root, on_vm};

entries! {
    HOST;

    CONFIGURATION_INVALID = FaultKind {
        code: "configuration.invalid",
        condition: Condition::Host,
        resolution: Resolution::Configuration,
        summary: "The configuration cannot be used.",
        causes: &[cause("A key or a value is misspelt, missing or in the wrong form.")],
        automatic: "Nothing; the run stops before any change.",
        steps: &[
            as_root("See every fault with its line:", "arc-enroll validate"),
            CORRECT_CONFIG,
            RERUN,
        ],
        guide: "README, configuration",
        ..COMMON
    };

    HOST_NOT_ROOT = FaultKind {
        code: "host.not-root",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "Enrolling changes system files and services, which only root may do.",
        causes: &[cause("The command was started without sudo.")],
        automatic: "Nothing; the run stops before any change.",
        recheck_from: Condition::Host,
        steps: &[as_root("Run it as root:", "sudo arc-enroll enroll")],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    HOST_NO_SYSTEMD = FaultKind {
        code: "host.no-systemd",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "azcmagent runs as systemd services, and systemd does not run this machine.",
        causes: &[
            cause("A container or a chroot instead of a VM."),
            cause("A distribution without systemd."),
        ],
        automatic: "Nothing; the run stops before any change.",
        recheck_from: Condition::Host,
        steps: &[SUPPORTED_DISTRIBUTION],
        guide: "azcmagent error AZCM0130",
        ..COMMON
    };

    HOST_BUSY = FaultKind {
        code: "host.busy",
        condition: Condition::Host,
        resolution: Resolution::Manual,
        summary: "Another run of arc-enroll is at work on this VM.",
        causes: &[
            cause("The first boot is still enrolling."),
            cause("The timer has started a run."),
            cause("Another operator runs it by hand."),
        ],
        automatic: "Waits until the other run has ended.",
        backoff: Some(Backoff::Poll),
        recheck_from: Condition::Host,
        steps: &[
            as_root("Watch the other run:", "tail -f {log}"),
            as_root("If it hangs, end it:", "kill {holder}"),
        ],
        guide: "Examine the cloud-init logs",
        ..COMMON
    };

    HOST_DISK_FULL = FaultKind {
        code: "host.disk-full",
        condition: Condition::Host,
        resolution: Resolution::Manual,
        summary: "There is not enough disk space for azcmagent and its logs.",
        causes: &[
            cause("The root file system of the image is too small."),
            cause("Logs or packages filled it."),
        ],
        automatic: "Waits for free space until the window ends, then stops.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Host,
        steps: &[
            as_root("See what fills it:", "du -xh \"$(findmnt -no TARGET -T {path})\" | sort -h | tail -20"),
            as_root("Free at least 300 MiB there, or make the disk larger:", "df -h {path}"),
            RERUN,
        ],
        guide: "azcmagent error AZCM0005",
        ..COMMON
    };

    HOST_READ_ONLY = FaultKind {
        code: "host.not-writable",
        condition: Condition::Host,
        resolution: Resolution::Manual,
        summary: "A file that has to be written cannot be written.",
        causes: &[
            cause("The file system is mounted read-only."),
            cause("The file is immutable or on a full disk."),
        ],
        automatic: "Nothing; existing files are unchanged.",
        recheck_from: Condition::Host,
        steps: &[
            on_vm("See how it is mounted:", "findmnt -T {path}"),
            as_root("Make it writable:", "mount -o remount,rw \"$(findmnt -no TARGET -T {path})\""),
            as_root("If it is mounted writable, see whether the file is immutable:", "lsattr {path}"),
            RERUN,
        ],
        guide: "azcmagent error AZCM0069",
        ..COMMON
    };

    RUN_INTERRUPTED = FaultKind {
        code: "run.interrupted",
        condition: Condition::Host,
        resolution: Resolution::Retry,
        summary: "The run was stopped by a signal before it had finished.",
        causes: &[
            cause("The VM is shutting down."),
            cause("An operator or a service manager stopped it."),
        ],
        automatic: "Ends its child processes and removes secrets; the next run continues.",
        recheck_from: Condition::Host,
        steps: &[as_root("Run it again:", "{rerun}")],
        guide: "Examine the cloud-init logs",
        ..COMMON
    };
}
