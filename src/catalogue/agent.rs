//! Faults of azcmagent: `agent`.

use std::time::Duration;

use super::{entries, lines, COMMON};
use crate::model::backoff::Backoff;
use crate::model::condition::Condition;
use crate::model::fault::{FaultKind, Repair, Resolution};

entries! {
    AGENT;

    /// azcmagent is not installed.
    AGENT_ABSENT = FaultKind {
        code: "agent.absent",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "azcmagent is not installed.",
        causes: lines!["It is a fresh VM."],
        agent: "Installs it.",
        repair: Some(Repair::InstallAgent),
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Agent,
        remediation: lines![
            "Let the agent install it: `sudo arc-enroll enroll`",
            "If it did not help, see the log of the installation: `grep agent {log}`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent is not installed, and the configuration says not to install it.
    AGENT_NOT_WANTED = FaultKind {
        code: "agent.absent-by-configuration",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent is not installed, and the configuration says not to install it.",
        causes: lines!["agent.install is never and the image does not have azcmagent."],
        agent: "Nothing.",
        recheck_from: Condition::Agent,
        remediation: lines![
            "Put azcmagent into the image, or set agent.install to repository in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// Microsoft offers no azcmagent package for this distribution.
    AGENT_DISTRIBUTION = FaultKind {
        code: "agent.distribution-unsupported",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "Microsoft offers no azcmagent package for this distribution.",
        causes: lines![
            "The distribution or version is too new or too old.",
            "/etc/os-release is missing.",
        ],
        agent: "Nothing.",
        recheck_from: Condition::Agent,
        remediation: lines![
            "See the supported ones: https://learn.microsoft.com/azure/azure-arc/servers/prerequisites",
            "If a package is known to work, name it: agent: {install: package, package: {url: …, sha256: …}}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent errors AZCM0131 to AZCM0133",
        ..COMMON
    };

    /// Another program holds the package manager's lock.
    AGENT_PACKAGE_LOCK = FaultKind {
        code: "agent.package-lock",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "Another program holds the package manager's lock.",
        causes: lines![
            "Unattended upgrades run at first boot.",
            "A person installs packages.",
        ],
        agent: "Waits for the lock.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Agent,
        remediation: lines!["See who holds it: `fuser -v /var/lib/dpkg/lock-frontend /var/lib/rpm/.rpm.lock`"],
        guide: "azcmagent error AZCM0145",
        ..COMMON
    };

    /// An earlier package installation was cut off.
    AGENT_DPKG_INTERRUPTED = FaultKind {
        code: "agent.package-manager-interrupted",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "An earlier package installation was cut off.",
        causes: lines!["The VM lost power or was restarted in the middle of it."],
        agent: "Lets dpkg finish it; where rpm has the packages, installs azcmagent anew.",
        repair: Some(Repair::ConfigurePackages),
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Agent,
        remediation: lines![
            "On Debian and Ubuntu: `dpkg --configure -a`",
            "Elsewhere: `rpm -e --justdb --noscripts azcmagent`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    /// The source of the azcmagent package cannot be reached.
    AGENT_SOURCE = FaultKind {
        code: "agent.source-unreachable",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "The source of the azcmagent package cannot be reached.",
        causes: lines![
            "The egress list of the cloud services network lacks packages.microsoft.com.",
            "A package mirror of the distribution is not reachable either, and a dependency is missing.",
        ],
        agent: "Tries again for as long as the window lasts.",
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Agent,
        remediation: lines![
            "Add packages.microsoft.com to the egress list: `az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --additional-egress-endpoints …`",
            "Or put azcmagent into the image and set agent.install to never in {config}",
        ],
        guide: "azcmagent error AZCM0146",
        ..COMMON
    };

    /// The repository's signing key is not the one that is expected.
    AGENT_KEY = FaultKind {
        code: "agent.repository-key",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "The repository's signing key is not the one that is expected.",
        causes: lines![
            "Something between the VM and the repository changes what is fetched.",
            "Microsoft published a new key, or a mirror has its own.",
        ],
        agent: "Nothing is installed.",
        recheck_from: Condition::Agent,
        remediation: lines![
            "If the key is right, name its fingerprint in {config}: agent: {repository_key: [FINGERPRINT]}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    /// The package file is not the one that the configuration names by its SHA-256.
    AGENT_DIGEST = FaultKind {
        code: "agent.package-digest",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "The package file is not the one that the configuration names by its SHA-256.",
        causes: lines![
            "The file was replaced or cut off.",
            "agent.package.sha256 is that of another version.",
        ],
        agent: "Nothing is installed.",
        recheck_from: Condition::Agent,
        remediation: lines![
            "Compare `sha256sum FILE`, and correct agent.package in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0142",
        ..COMMON
    };

    /// azcmagent could not be installed.
    AGENT_INSTALL = FaultKind {
        code: "agent.install-failed",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "azcmagent could not be installed.",
        causes: lines![
            "A dependency cannot be fetched from the distribution's mirrors.",
            "The package's own scripts failed.",
        ],
        agent: "Tries again, a bounded number of times.",
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Agent,
        remediation: lines![
            "Install it by hand and read the error: `apt-get install azcmagent`",
            "See the log: `grep agent {log}`",
        ],
        guide: "azcmagent error AZCM0143",
        ..COMMON
    };

    /// There is no curl, and something has to be fetched.
    AGENT_NO_CURL = FaultKind {
        code: "agent.no-curl",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "There is no curl that can be used, and something has to be fetched to install azcmagent.",
        causes: lines![
            "The image does not have curl.",
            "curl is confined (snap) and may not write where it has to.",
        ],
        agent: "Nothing is installed: without curl the certificate of the source is not checked.",
        recheck_from: Condition::Agent,
        remediation: lines![
            "Install the distribution's own curl: `{packages} install curl`",
            "Or put azcmagent into the image and set agent.install to never in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0157",
        ..COMMON
    };

    /// The azcmagent on this VM is too old.
    AGENT_TOO_OLD = FaultKind {
        code: "agent.too-old",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "The azcmagent on this VM is too old: before 1.4, or it does not know what it is asked to do.",
        causes: lines![
            "The image has an old azcmagent.",
            "agent.version pins an old one.",
        ],
        agent: "Installs the newest one, or the pinned one, once; never where agent.install is never.",
        repair: Some(Repair::UpgradeAgent),
        recheck_from: Condition::Agent,
        remediation: lines![
            "`azcmagent version`",
            "Install the newest: `{packages} install azcmagent`",
            "Remove agent.version from {config} if it pins an old one",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// The azcmagent version that the configuration pins is not in the repository.
    AGENT_VERSION_UNKNOWN = FaultKind {
        code: "agent.version-unavailable",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "The azcmagent version that the configuration pins is not in the repository.",
        causes: lines!["agent.version is misspelt or was withdrawn."],
        agent: "Nothing is installed.",
        recheck_from: Condition::Agent,
        remediation: lines![
            "See the versions: `apt-cache madison azcmagent`",
            "Correct agent.version in {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0147",
        ..COMMON
    };

    /// A service of azcmagent does not run.
    AGENT_SERVICE_DOWN = FaultKind {
        code: "agent.service-down",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "A service of azcmagent does not run.",
        causes: lines![
            "It was stopped or has crashed.",
            "The package was installed while systemd was not ready.",
        ],
        agent: "Starts it.",
        repair: Some(Repair::StartServices),
        backoff: Some(Backoff::Slow),
        recheck_from: Condition::Agent,
        remediation: lines![
            "`systemctl status himdsd arcproxyd extd gcad`",
            "`journalctl -u himdsd -n 50`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// A service of azcmagent is masked.
    AGENT_SERVICE_MASKED = FaultKind {
        code: "agent.service-masked",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "A service of azcmagent is masked.",
        causes: lines!["Somebody masked it."],
        agent: "Nothing: a mask is a person's decision.",
        recheck_from: Condition::Agent,
        remediation: lines![
            "`systemctl unmask himdsd && systemctl enable --now himdsd`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// A service of azcmagent ends again and again.
    AGENT_SERVICE_CRASHES = FaultKind {
        code: "agent.service-crash-looping",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "A service of azcmagent ends soon after each start, and systemd starts it again or has given up.",
        causes: lines![
            "Its installation or configuration is damaged.",
            "Something else has its port: himds needs 127.0.0.1:40342.",
            "The disk or memory ran out.",
        ],
        agent: "Waits a little: systemd restarts it already, and one more restart would not mend it.",
        backoff: Some(Backoff::Slow),
        most_window: Duration::from_secs(90),
        recheck_from: Condition::Agent,
        remediation: lines![
            "See why it ends: `journalctl -u himdsd -u arcproxyd -u extd -u gcad -n 100`",
            "If its files are damaged, remove it, and enroll installs it anew: `{packages} remove azcmagent`",
            "`systemctl reset-failed himdsd arcproxyd extd gcad`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "Error: Failed to connect to Azure Arc",
        ..COMMON
    };

    /// azcmagent's own proxy.url is not set.
    AGENT_PROXY_MISSING = FaultKind {
        code: "agent.proxy-missing",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent's own proxy.url is not set, so its services do not know the proxy of this VM.",
        causes: lines![
            "azcmagent was just installed.",
            "Somebody cleared it.",
        ],
        agent: "Sets it.",
        repair: Some(Repair::SetAgentProxy),
        recheck_from: Condition::Agent,
        remediation: lines![
            "`azcmagent config set proxy.url {proxy}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// azcmagent's own proxy.url is another proxy than that of this VM.
    AGENT_PROXY_DIFFERS = FaultKind {
        code: "agent.proxy-differs",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent's own proxy.url is another proxy than that of this VM.",
        causes: lines!["It was set by hand, or in the image."],
        agent: "Sets it.",
        repair: Some(Repair::SetAgentProxy),
        recheck_from: Condition::Agent,
        remediation: lines![
            "`azcmagent config set proxy.url {proxy}`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// A service of azcmagent runs without the proxy, because it was started before the variables were set.
    AGENT_SERVICE_STALE = FaultKind {
        code: "agent.service-stale",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "A service of azcmagent was started before the proxy variables were set and does not have them.",
        causes: lines!["azcmagent is in the image, so its services start at boot, before the variables are there."],
        agent: "Restarts the services, once.",
        repair: Some(Repair::RestartServices),
        recheck_from: Condition::Agent,
        remediation: lines![
            "`systemctl restart himdsd arcproxyd extd gcad`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "CSN Proxy configuration",
        ..COMMON
    };

    /// azcmagent or its service himds does not answer.
    AGENT_BROKEN = FaultKind {
        code: "agent.not-answering",
        condition: Condition::Agent,
        resolution: Resolution::Retry,
        summary: "azcmagent or its service himds does not answer.",
        causes: lines![
            "himdsd was just started.",
            "himdsd is stuck.",
        ],
        agent: "Restarts the services, then waits.",
        repair: Some(Repair::RestartServices),
        backoff: Some(Backoff::Fast),
        recheck_from: Condition::Agent,
        remediation: lines![
            "`systemctl restart himdsd arcproxyd`",
            "`journalctl -u himdsd -n 50`",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent errors AZCM0061 to AZCM0070",
        ..COMMON
    };

    /// azcmagent takes this VM for an Azure VM and refuses it.
    AGENT_AZURE_VM = FaultKind {
        code: "agent.azure-vm",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent takes this VM for an Azure VM and refuses it.",
        causes: lines!["The sidecar answers /metadata/instance/compute as Azure's own IMDS does."],
        agent: "Sets azcmagent's override only when agent.allow_azure_vm says so.",
        repair: Some(Repair::AllowAzureVm),
        recheck_from: Condition::Agent,
        remediation: lines![
            "Set agent.allow_azure_vm to true in {config}; Microsoft calls this override a test setting",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent error AZCM0141",
        ..COMMON
    };

    /// azcmagent refuses its own configuration or what it was given.
    AGENT_CONFIGURATION = FaultKind {
        code: "agent.configuration-refused",
        condition: Condition::Agent,
        resolution: Resolution::Manual,
        summary: "azcmagent refuses its own configuration or what it was given.",
        causes: lines![
            "Conflicting settings of azcmagent.",
            "A location, name or tag that Azure does not know.",
        ],
        agent: "Nothing: the same settings get the same answer.",
        recheck_from: Condition::Agent,
        remediation: lines![
            "`azcmagent config list`",
            "Correct {config}",
            "Then run: `arc-enroll enroll`",
        ],
        guide: "azcmagent errors AZCM0016 to AZCM0027",
        ..COMMON
    };
}
