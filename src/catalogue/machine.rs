//! Faults of the machine itself: `host`, `proxy-environment`, `clock`, and of the run.

use super::{entries, lines, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Repair, Resolution};

entries! {
    MACHINE;

    /// The configuration cannot be used.
    CONFIGURATION_INVALID = FaultKind {
        code: "configuration.invalid",
        condition: Condition::Host,
        resolution: Resolution::Configuration,
        summary: "The configuration cannot be used.",
        causes: lines!["A key or a value is misspelt, missing or of the wrong form."],
        agent: "Nothing; it stops before it touches anything.",
        remediation: lines!["See every fault with its line: `arc-enroll validate`", "Correct {config}", "Then run: `arc-enroll enroll`"],
        guide: "README, configuration",
        ..COMMON
    };

    /// Enrolling changes system files and services, which only root may do.
    HOST_NOT_ROOT = FaultKind {
        code: "host.not-root",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "Enrolling changes system files and services, which only root may do.",
        causes: lines!["The command was started without sudo."],
        agent: "Nothing; it stops before it touches anything.",
        recheck_from: Condition::Host,
        remediation: lines!["`sudo arc-enroll enroll`"],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent runs as systemd services, and systemd does not run this machine.
    HOST_NO_SYSTEMD = FaultKind {
        code: "host.no-systemd",
        condition: Condition::Host,
        resolution: Resolution::Unsuitable,
        summary: "azcmagent runs as systemd services, and systemd does not run this machine.",
        causes: lines![
            "A container or a chroot instead of a VM.",
            "A distribution without systemd.",
        ],
        agent: "Nothing; it stops before it touches anything.",
        recheck_from: Condition::Host,
        remediation: lines!["Use a distribution that azcmagent supports: https://learn.microsoft.com/azure/azure-arc/servers/prerequisites"],
        guide: "azcmagent error AZCM0130",
        ..COMMON
    };

    /// Another run of arc-enroll is at work on this VM.
    HOST_BUSY = FaultKind {
        code: "host.busy",
        condition: Condition::Host,
        resolution: Resolution::Manual,
        summary: "Another run of arc-enroll is at work on this VM.",
        causes: lines![
            "The first boot is still enrolling.",
            "The timer has started a run.",
            "Another person runs it by hand.",
        ],
        agent: "Waits until the other run has ended.",
        backoff: Some(Backoff::Poll),
        recheck_from: Condition::Host,
        remediation: lines![
            "Watch the other run: `tail -f {log}`",
            "If it hangs, end it: `kill {holder}`",
        ],
        guide: "Examine the cloud-init logs",
        ..COMMON
    };

    /// There is not enough disk space for azcmagent and its logs.
    HOST_DISK_FULL = FaultKind {
        code: "host.disk-full",
        condition: Condition::Host,
        resolution: Resolution::Manual,
        summary: "There is not enough disk space for azcmagent and its logs.",
        causes: lines![
            "The root file system of the image is too small.",
            "Logs or packages filled it.",
        ],
        agent: "Waits for space a little, then stops.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Host,
        remediation: lines![
            "See what fills it: `du -xh \"$(findmnt -no TARGET -T {path})\" | sort -h | tail -20`",
            "Free at least 300 MiB there, or make the disk larger: `df -h {path}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0005",
        ..COMMON
    };

    /// A file that has to be written cannot be written.
    HOST_READ_ONLY = FaultKind {
        code: "host.not-writable",
        condition: Condition::Host,
        resolution: Resolution::Manual,
        summary: "A file that has to be written cannot be written.",
        causes: lines![
            "The file system is mounted read-only.",
            "The file is immutable or on a full disk.",
        ],
        agent: "Nothing; what was there is unchanged.",
        recheck_from: Condition::Host,
        remediation: lines![
            "See how it is mounted: `findmnt -T {path}`",
            "Make it writable: `mount -o remount,rw \"$(findmnt -no TARGET -T {path})\"`",
            "If it is mounted writable, see whether the file is immutable: `lsattr {path}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0069",
        ..COMMON
    };

    /// The run was told to stop before it had ended.
    RUN_INTERRUPTED = FaultKind {
        code: "run.interrupted",
        condition: Condition::Host,
        resolution: Resolution::Retry,
        summary: "The run was told to stop before it had ended.",
        causes: lines![
            "The VM is shutting down.",
            "A person or a service manager ended it.",
        ],
        agent: "Children and secrets are gone, the record is written; the next run goes on.",
        recheck_from: Condition::Host,
        remediation: lines!["Run it again: `arc-enroll enroll`"],
        guide: "Examine the cloud-init logs",
        ..COMMON
    };

    /// A place on this VM names another proxy than the configuration does.
    PROXY_ENV_CONTRADICTORY = FaultKind {
        code: "proxy-environment.contradictory",
        condition: Condition::ProxyEnvironment,
        resolution: Resolution::Manual,
        summary: "A place on this VM names another proxy than the configuration does.",
        causes: lines![
            "An image or a script made for another network set its own proxy.",
            "Only one of the upper-case and lower-case names was corrected.",
            "A variable was given to the running systemd by hand (systemctl set-environment).",
        ],
        agent: "Writes the configured proxy; a line that gives way stays above it as a comment.",
        repair: Some(Repair::PersistProxy),
        recheck_from: Condition::ProxyEnvironment,
        remediation: lines![
            "See what is set: `grep -ri _proxy /etc/environment /etc/profile.d /etc/systemd/system.conf.d`",
            "If the other proxy is the right one, name it as proxy.url in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// NO_PROXY lacks the address of IMDS or a loopback name somewhere; the proxy itself is set right.
    PROXY_ENV_NO_PROXY = FaultKind {
        code: "proxy-environment.no-proxy-incomplete",
        condition: Condition::ProxyEnvironment,
        resolution: Resolution::Manual,
        summary: "NO_PROXY lacks the address of IMDS or a loopback name somewhere, so that other programs ask the proxy for it.",
        causes: lines![
            "The proxy was set and NO_PROXY was forgotten.",
            "A later line or file set NO_PROXY anew.",
        ],
        agent: "Adds what is missing; the entries that are there stay.",
        repair: Some(Repair::PersistProxy),
        recheck_from: Condition::ProxyEnvironment,
        remediation: lines![
            "See what is set: `grep -ri no_proxy /etc/environment /etc/profile.d /etc/systemd/system.conf.d`",
            "Set it by hand for this shell: `eval \"$(arc-enroll env)\"`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Nexus VM Instance Metadata Service (IMDS) sidecar container",
        ..COMMON
    };

    /// The proxy settings do not hold everywhere on this VM.
    PROXY_ENV_MISSING = FaultKind {
        code: "proxy-environment.incomplete",
        condition: Condition::ProxyEnvironment,
        resolution: Resolution::Manual,
        summary: "The proxy settings do not hold everywhere on this VM.",
        causes: lines![
            "A fresh image knows nothing of the cloud services network.",
            "One place was edited and the others were not.",
            "The running systemd has not read them yet.",
        ],
        agent: "Merges the settings into every place; what was there is kept.",
        repair: Some(Repair::PersistProxy),
        recheck_from: Condition::ProxyEnvironment,
        remediation: lines![
            "See what is set: `grep -ri _proxy /etc/environment /etc/profile.d /etc/systemd/system.conf.d`",
            "Set it by hand for this shell: `eval \"$(arc-enroll env)\"`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// The clock of this VM is more than two minutes off; tokens and certificates are judged by it.
    CLOCK_SKEWED = FaultKind {
        code: "clock.skewed",
        condition: Condition::Clock,
        resolution: Resolution::Manual,
        summary: "The clock of this VM is more than two minutes off; tokens and certificates are judged by it.",
        causes: lines![
            "No time server can be reached.",
            "The time service is not running.",
        ],
        agent: "Asks the time service to step the clock, then waits.",
        repair: Some(Repair::StepClock),
        backoff: Some(Backoff::Poll),
        // Both clocks are read when the sidecar answers.
        recheck_from: Condition::Imds,
        remediation: lines![
            "See the state: `timedatectl timesync-status`",
            "Let the time service set it: `timedatectl set-ntp true`",
            "See the sidecar's time: `curl -sI --noproxy '*' {imds}/healthz`, and set it by hand: `date -s TIME`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };
}
