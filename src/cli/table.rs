//! The command line as data, from which help, parser, man page and shell completions are generated.
//!
//! `packaging/pages` generates man page and completions for packages, so that they are not part of the binary in
//! user-data. Line breaks in texts are those of the help output.

pub use crate::settings::targets::{Flag, TargetOption, TARGETS};

/// A subcommand.
#[derive(Debug, PartialEq)]
pub struct Subcommand {
    /// Its name.
    pub name: &'static str,
    /// Its argument, which is always optional; empty when it takes none. Shells complete FILE, and CODE with the codes
    /// of the faults.
    pub argument: &'static str,
    /// The description of the argument.
    pub about_argument: &'static str,
    /// Its description in one line.
    pub summary: &'static str,
    /// Its description in paragraphs.
    pub about: &'static str,
    /// Its options, besides those of every subcommand.
    pub flags: &'static [Flag],
    /// An example.
    pub example: &'static str,
}

/// The description of the program in one line.
pub const SUMMARY: &str = "Enroll this VM on Azure Operator Nexus as an Azure Arc-enabled server.";

/// The precedence of values for the target.
pub const PRECEDENCE: &str = "A flag wins over the environment, the environment over the file.";

/// The meaning of the exit code of a condition.
pub const CONDITION_FAILS: &str = "the condition fails, and only a person can help";

/// The options of every subcommand.
pub static EVERYWHERE: [Flag; 6] = [
    Flag::new("config", "FILE", "settings (default /etc/arc-enroll/config.yaml)"),
    Flag::new("output", "text|json", "form of the output"),
    Flag::new("verbose", "", "log more; -vv logs everything").short('v'),
    Flag::new("root", "DIR", "take every file path below DIR"),
    Flag::new("help", "", "this help, or that of a command").short('h'),
    Flag::new("version", "", "the version").short('V'),
];

/// The exit codes besides those of the conditions, with their meanings; the last is listed after the conditions.
pub static EXIT_CODES: [(u8, &str); 5] = [
    (0, "all conditions hold"),
    (1, "internal error"),
    (2, "wrong command line or configuration"),
    (3, "this host is unsuitable"),
    (75, "not yet: waiting longer can help"),
];

/// Every subcommand, in the order of the help.
pub static SUBCOMMANDS: [Subcommand; 10] = [
    Subcommand {
        name: "enroll",
        argument: "",
        about_argument: "",
        summary: "make every condition hold (first boot, timer, by hand)",
        about: "\
Makes every condition hold, in order, within wait.boot. Run again, it continues
where it stopped; on an enrolled VM it changes nothing.

It also installs arc-enroll.timer, which runs it again every repair.every, with
the same --config and target; repair.timer: false removes the timer.
",
        flags: &[Flag::new(
            "if-idle",
            "",
            "end at once when another run is in progress (exit code 75);\nthe timer uses this",
        )],
        example: "sudo arc-enroll enroll --resource-group my-rg --location eastus",
    },
    Subcommand {
        name: "doctor",
        argument: "",
        about_argument: "",
        summary: "observe every condition, change nothing",
        about: "\
Observes every condition and changes nothing. The exit code is that of the
worst condition.
",
        flags: &[],
        example: "sudo arc-enroll doctor --output json",
    },
    Subcommand {
        name: "status",
        argument: "",
        about_argument: "",
        summary: "show the last run, the current state, and the next run",
        about: "\
Shows the last run with its manual steps, the local conditions (without using
the network), and the next run of the timer. The exit code is that of the last
run, 75 when there was none.
",
        flags: &[],
        example: "arc-enroll status",
    },
    Subcommand {
        name: "token",
        argument: "",
        about_argument: "",
        summary: "print an access token for the managed identity",
        about: "\
Prints an access token for the managed identity. Retries for at most 90 s while
the sidecar starts. The token grants the rights of this VM: keep it out of files
and logs.
",
        flags: &[
            Flag::new("resource", "URL", "resource of the token (default: imds.resource)"),
            Flag::new("identity", "ID", "system, a resource id, or a client id (default: identity)"),
        ],
        example: "TOKEN=$(arc-enroll token --resource https://storage.azure.com/)",
    },
    Subcommand {
        name: "env",
        argument: "",
        about_argument: "",
        summary: "print the proxy exports, for: eval \"$(arc-enroll env)\"",
        about: "Prints the proxy variables as shell exports.\n",
        flags: &[],
        example: "eval \"$(arc-enroll env)\"",
    },
    Subcommand {
        name: "explain",
        argument: "CODE",
        about_argument: "of a fault, such as imds.refused; without it, all are listed",
        summary: "explain a fault and its remediation; without CODE, list all",
        about: "\
Explains a fault: its meaning, its causes, what arc-enroll does about it, and
the manual steps.
",
        flags: &[],
        example: "arc-enroll explain",
    },
    Subcommand {
        name: "bundle",
        argument: "FILE",
        about_argument: "\
where to write it; - is standard output (default:
/var/tmp/arc-enroll-bundle-HOSTNAME-TIME.tar.gz)",
        summary: "collect evidence for support, with secrets redacted",
        about: "\
Collects logs, journals, network tests, proxy settings and versions into one
.tar.gz for a support request, with secrets redacted, in half a minute at most.
Its manifest.json lists what could not be collected. It changes nothing else,
works without root (with less content), and with an invalid configuration.
",
        flags: &[],
        example: "sudo arc-enroll bundle",
    },
    Subcommand {
        name: "validate",
        argument: "FILE",
        about_argument: "the configuration; it may also be given by --config",
        summary: "check a configuration file offline",
        about: "\
Checks a configuration file offline and reports all its problems, each with key
and line.
",
        flags: &[],
        example: "arc-enroll validate nexus.yaml",
    },
    Subcommand {
        name: "user-data",
        argument: "",
        about_argument: "",
        summary: "write the user-data that carries the VM's program",
        about: "\
Writes cloud-config that installs the VM's program with the configuration and
starts it. The configuration is checked first; the size and the command to use
are printed to stderr. The VM unpacks the program by xz or Python.
",
        flags: &[
            Flag::new("base64", "", "write the string for --user-data-content"),
            Flag::new("gzip", "", "compress the user-data, which makes it binary"),
            Flag::new("include", "FILE", "include your own user-data"),
            Flag::new("agent", "FILE", "the VM's program (default: the one in this program)"),
            Flag::new(
                "fetch-url",
                "URL",
                "the VM fetches its program from URL through its\nproxy, and checks its SHA-256",
            ),
            Flag::new("fetch-sha256", "HEX", "digest of the file at URL (default: the VM program's)"),
            Flag::new("without-binary", "", "the program is already in the image or a package"),
        ],
        example: "arc-enroll user-data --config nexus.yaml --base64 > user-data.b64",
    },
    Subcommand {
        name: "precheck",
        argument: "",
        about_argument: "",
        summary: "check network, identity and roles with az, off the VM",
        about: "\
Runs on the operator's workstation, not as root, with a signed-in az CLI.
Checks az and its networkcloud extension, the cluster's version, the
cloud services network's egress endpoints, the VM's identity, its roles, the
resource group and the resource providers; changes nothing. It works before the
VM exists, and after. The exit code is that of the worst row.
",
        flags: &[
            Flag::new(
                "csn",
                "NAME",
                "cloud services network, by name or id (default: the VM's own,\nor the only one of the resource group)",
            ),
            Flag::new("vm", "NAME", "VM, by name or id (default: that of azure.resource_name)"),
        ],
        example: "arc-enroll precheck --config nexus.yaml --vm web-1",
    },
];
