//! Faults of azcmagent: `agent`.

use super::steps::{
    AGENT_IN_IMAGE, CORRECT_CONFIG, RERUN, SET_AGENT_PROXY, SHOW_HIMDS_LOG, SUPPORTED_DISTRIBUTION,
};
use super::{entries, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{cause, FaultKind, Resolution};
use crate::model::repair::RepairId;
use crate::model::step::{as_root, ask, on_vm, workstation, Who};

entries! {
    AGENT;

    AGENT_ABSENT = FaultKind {
        code: "agent.absent",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "azcmagent is not installed.",
        causes: &[cause("The VM is new.")],
        automatic: "Installs it.",
        repair: Some(RepairId::InstallAgent),
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Agent,
        steps: &[
            as_root("Let arc-enroll install it:", "sudo arc-enroll enroll"),
            as_root("If it did not help, see the log of the installation:", "grep agent {log}"),
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    AGENT_NOT_WANTED = FaultKind {
        code: "agent.absent-by-configuration",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent is not installed, and the configuration says not to install it.",
        causes: &[cause("agent.install is never and the image does not have azcmagent.")],
        automatic: "Nothing.",
        recheck_from: Condition::Agent,
        steps: &[
            ask(Who::ImageOwner, "Put azcmagent into the image"),
            as_root("Or set agent.install to repository in {config}", ""),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    AGENT_DISTRIBUTION = FaultKind {
        code: "agent.distribution-unsupported",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "Microsoft offers no azcmagent package for this distribution.",
        causes: &[
            cause("The distribution or version is too new or too old."),
            cause("/etc/os-release is missing."),
        ],
        automatic: "Nothing.",
        recheck_from: Condition::Agent,
        steps: &[
            SUPPORTED_DISTRIBUTION,
            as_root(
                "If a package is known to work, name it in {config}: agent: {install: package, package: {url: …, sha256: …}}",
                "",
            ),
            RERUN,
        ],
        guide: "azcmagent errors AZCM0131 to AZCM0133",
        ..COMMON
    };

    AGENT_PACKAGE_LOCK = FaultKind {
        code: "agent.package-lock",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "Another program holds the package manager's lock.",
        causes: &[
            cause("Unattended upgrades run at first boot."),
            cause("An administrator is installing packages."),
        ],
        automatic: "Waits for the lock.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Agent,
        steps: &[as_root("See who holds it:", "fuser -v /var/lib/dpkg/lock-frontend /var/lib/rpm/.rpm.lock")],
        guide: "azcmagent error AZCM0145",
        ..COMMON
    };

    AGENT_DPKG_INTERRUPTED = FaultKind {
        code: "agent.package-manager-interrupted",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "An earlier package installation was cut off.",
        causes: &[cause("The VM lost power or was restarted during the installation.")],
        automatic: "Finishes it with dpkg; on rpm distributions installs azcmagent again.",
        repair: Some(RepairId::FinishInstallation),
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Agent,
        steps: &[
            as_root("Finish it, on Debian and Ubuntu:", "dpkg --configure -a"),
            as_root(
                "Elsewhere, let rpm forget the package, so that it is installed again:",
                "rpm -e --justdb --noscripts azcmagent",
            ),
            RERUN,
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    AGENT_SOURCE = FaultKind {
        code: "agent.source-unreachable",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "The source of the azcmagent package cannot be reached.",
        causes: &[
            cause("The egress list of the cloud services network lacks packages.microsoft.com."),
            cause("A package mirror of the distribution is not reachable either, and a dependency is missing."),
        ],
        automatic: "Tries again until the window ends.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Agent,
        steps: &[
            workstation(
                Who::NetworkOwner,
                "Add packages.microsoft.com to the egress list; this replaces the list, so keep what it already has:",
                "az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --additional-egress-endpoints \"[{'category':'azure-arc','endpoints':[{'domainName':'packages.microsoft.com','port':443}]}]\"",
            ),
            AGENT_IN_IMAGE,
        ],
        guide: "azcmagent error AZCM0146",
        ..COMMON
    };

    AGENT_KEY = FaultKind {
        code: "agent.repository-key",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "The repository's signing key is not the one that is expected.",
        causes: &[
            cause("A system between the VM and the repository modifies downloads."),
            cause("Microsoft published a new key, or a mirror uses its own key."),
        ],
        automatic: "Nothing is installed.",
        recheck_from: Condition::Agent,
        steps: &[
            as_root(
                "If the key is right, name its fingerprint in {config}: agent: {repository_key: [FINGERPRINT]}",
                "",
            ),
            RERUN,
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    AGENT_DIGEST = FaultKind {
        code: "agent.package-digest",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "The package file is not the one that the configuration names by its SHA-256.",
        causes: &[
            cause("The file was replaced or truncated."),
            cause("agent.package.sha256 is that of another version."),
        ],
        automatic: "Nothing is installed.",
        recheck_from: Condition::Agent,
        steps: &[
            on_vm("See the digest of the file:", "sha256sum FILE"),
            as_root("If the file is right, correct agent.package in {config}", ""),
            RERUN,
        ],
        guide: "azcmagent error AZCM0142",
        ..COMMON
    };

    AGENT_INSTALL = FaultKind {
        code: "agent.install-failed",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "azcmagent could not be installed.",
        causes: &[
            cause("A dependency cannot be fetched from the distribution's mirrors."),
            cause("The package's own scripts failed."),
        ],
        automatic: "Tries again, a bounded number of times.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Agent,
        steps: &[
            as_root("Install it by hand and read the error:", "{packages} install azcmagent"),
            as_root("See the log:", "grep agent {log}"),
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    AGENT_NO_CURL = FaultKind {
        code: "agent.no-curl",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "There is no curl that can be used, and something has to be fetched to install azcmagent.",
        causes: &[
            cause("The image does not have curl."),
            cause("curl is confined (snap) and cannot write to the required directory."),
        ],
        automatic: "Nothing is installed: without curl the certificate of the source is not checked.",
        recheck_from: Condition::Agent,
        steps: &[
            as_root("Install the distribution's own curl:", "{packages} install curl"),
            AGENT_IN_IMAGE,
            RERUN,
        ],
        guide: "azcmagent error AZCM0157",
        ..COMMON
    };

    AGENT_TOO_OLD = FaultKind {
        code: "agent.too-old",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "The azcmagent on this VM is too old: before 1.4, or it does not know what it is asked to do.",
        causes: &[
            cause("The image has an old azcmagent."),
            cause("agent.version pins an old one."),
        ],
        automatic: "Installs the newest or the pinned version once, unless agent.install is never.",
        repair: Some(RepairId::UpgradeAgent),
        recheck_from: Condition::Agent,
        steps: &[
            on_vm("See which version it is:", "azcmagent version"),
            as_root("Install the newest:", "{packages} install azcmagent"),
            as_root("Remove agent.version from {config} if it pins an old one", ""),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    AGENT_VERSION_UNKNOWN = FaultKind {
        code: "agent.version-unavailable",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "The azcmagent version that the configuration pins is not in the repository.",
        causes: &[cause("agent.version is misspelt or was withdrawn.")],
        automatic: "Nothing is installed.",
        recheck_from: Condition::Agent,
        steps: &[
            on_vm("See the versions, on Debian and Ubuntu:", "apt-cache madison azcmagent"),
            as_root("Correct agent.version in {config}", ""),
            RERUN,
        ],
        guide: "azcmagent error AZCM0147",
        ..COMMON
    };

    AGENT_SERVICE_DOWN = FaultKind {
        code: "agent.service-down",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "A service of azcmagent does not run.",
        causes: &[
            cause("It was stopped or has crashed."),
            cause("The package was installed while systemd was not ready."),
        ],
        automatic: "Starts it.",
        repair: Some(RepairId::StartServices),
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Agent,
        steps: &[
            as_root("See which one does not run:", "systemctl status himdsd arcproxyd extd gcad"),
            SHOW_HIMDS_LOG,
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    AGENT_SERVICE_MASKED = FaultKind {
        code: "agent.service-masked",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "A service of azcmagent is masked.",
        causes: &[cause("An administrator or the image masked it.")],
        automatic: "Nothing: arc-enroll does not unmask services.",
        recheck_from: Condition::Agent,
        steps: &[
            as_root("Unmask and start it:", "systemctl unmask himdsd && systemctl enable --now himdsd"),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    AGENT_SERVICE_CRASHES = FaultKind {
        code: "agent.service-crash-looping",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "A service of azcmagent ends soon after each start, and systemd starts it again or has given up.",
        causes: &[
            cause("Its installation or configuration is damaged."),
            cause("Another program uses its port: himds needs 127.0.0.1:40342."),
            cause("The disk or memory ran out."),
        ],
        automatic: "Waits up to 90 seconds: systemd already restarts it, and another restart would not help.",
        backoff: Some(Backoff::Slow),
        most_window_s: 90,
        recheck_from: Condition::Agent,
        steps: &[
            as_root("See why it ends:", "journalctl -u himdsd -u arcproxyd -u extd -u gcad -n 100"),
            as_root(
                "If its files are damaged, remove azcmagent; enroll installs it again:",
                "{packages} remove azcmagent",
            ),
            as_root("Let systemd start it again:", "systemctl reset-failed himdsd arcproxyd extd gcad"),
            RERUN,
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    AGENT_PROXY_MISSING = FaultKind {
        code: "agent.proxy-missing",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent's own proxy.url is not set, so its services do not know the proxy of this VM.",
        causes: &[
            cause("azcmagent was just installed."),
            cause("The setting was cleared."),
        ],
        automatic: "Sets it.",
        repair: Some(RepairId::SetAgentProxy),
        recheck_from: Condition::Agent,
        steps: &[SET_AGENT_PROXY, RERUN],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    AGENT_PROXY_DIFFERS = FaultKind {
        code: "agent.proxy-differs",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent's own proxy.url is another proxy than that of this VM.",
        causes: &[cause("It was set by hand, or in the image.")],
        automatic: "Sets it.",
        repair: Some(RepairId::SetAgentProxy),
        recheck_from: Condition::Agent,
        steps: &[SET_AGENT_PROXY, RERUN],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    AGENT_SERVICE_STALE = FaultKind {
        code: "agent.service-stale",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "A service of azcmagent was started before the proxy variables were set and does not have them.",
        causes: &[
            cause("azcmagent is in the image, so its services start at boot, before the variables are set."),
        ],
        automatic: "Restarts the services, once.",
        repair: Some(RepairId::RestartServices),
        recheck_from: Condition::Agent,
        steps: &[
            as_root("Restart the services:", "systemctl restart himdsd arcproxyd extd gcad"),
            RERUN,
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    AGENT_BROKEN = FaultKind {
        code: "agent.not-answering",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "azcmagent or its service himds does not answer.",
        causes: &[
            cause("himdsd was just started."),
            cause("himdsd is stuck."),
        ],
        automatic: "Restarts the services, then waits.",
        repair: Some(RepairId::RestartServices),
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Agent,
        steps: &[
            as_root("Restart the services:", "systemctl restart himdsd arcproxyd"),
            SHOW_HIMDS_LOG,
            RERUN,
        ],
        guide: "azcmagent errors AZCM0061 to AZCM0070",
        ..COMMON
    };

    AGENT_AZURE_VM = FaultKind {
        code: "agent.azure-vm",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent takes this VM for an Azure VM and refuses it.",
        causes: &[cause("The sidecar answers /metadata/instance/compute as Azure's own IMDS does.")],
        automatic: "Sets azcmagent's override only where agent.allow_azure_vm is true.",
        repair: Some(RepairId::AllowAzureVm),
        recheck_from: Condition::Agent,
        steps: &[
            as_root(
                "Set agent.allow_azure_vm to true in {config}; Microsoft calls this override a test setting",
                "",
            ),
            RERUN,
        ],
        guide: "azcmagent error AZCM0141",
        ..COMMON
    };

    AGENT_CONFIGURATION = FaultKind {
        code: "agent.configuration-refused",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent refuses its own configuration or what it was given.",
        causes: &[
            cause("Settings of azcmagent conflict with each other."),
            cause("A location, name or tag is not valid in Azure."),
        ],
        automatic: "Nothing: a retry with the same settings gives the same result.",
        recheck_from: Condition::Agent,
        steps: &[
            as_root("See azcmagent's own settings:", "azcmagent config list"),
            CORRECT_CONFIG,
            RERUN,
        ],
        guide: "azcmagent errors AZCM0016 to AZCM0027",
        ..COMMON
    };
}
