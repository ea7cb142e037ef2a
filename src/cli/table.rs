//! The command line as data: help, the parser, the man page and the completions of shells are made from it.
//!
//! Man page and completions are made by `packaging/pages`, for packages: the binary in user-data does not carry
//! them. Texts are broken into lines as help shows them.

pub use crate::settings::targets::{Flag, TargetOption, TARGETS};

/// A subcommand.
#[derive(Debug, PartialEq)]
pub struct Subcommand {
    /// As it is typed.
    pub name: &'static str,
    /// Its argument, which may always be left out; empty when it takes none. Shells complete a FILE, and a
    /// CODE with the codes of the faults.
    pub argument: &'static str,
    /// What the argument is.
    pub about_argument: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What it does, in paragraphs.
    pub about: &'static str,
    /// The options that it has besides those of every subcommand.
    pub flags: &'static [Flag],
    /// A command line to begin with.
    pub example: &'static str,
}

/// What the program does, in one line.
pub const SUMMARY: &str = "Enroll this VM on Azure Operator Nexus as an Azure Arc-enabled server.";

/// Which of several values for the target is taken.
pub const PRECEDENCE: &str = "A flag wins over the environment, the environment over the file.";

/// What the exit code of a condition means.
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

/// The exit codes that are not a condition's, each with its meaning; the last stands behind the conditions.
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
Makes every condition hold, in order, inside the time of wait.boot. Run again,
it goes on where it stands; on an enrolled VM it changes nothing.

It also installs arc-enroll.timer, which runs it again every repair.every, with
the same --config and target; repair.timer: false removes the timer.
",
        flags: &[Flag::new(
            "if-idle",
            "",
            "end at once when another run is at work (exit code 75); the timer\nruns it so",
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
        summary: "what the last run did, what holds now, when it tries next",
        about: "\
Shows what the last run did, what it left to a person, what holds now on this
VM (nothing is asked over the network) and when the timer tries next. The exit
code is that of the last run, 75 when there was none.
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
Prints an access token for the managed identity; a sidecar that is coming up is
waited for, at most 90 s. Whoever reads the token can act as this VM: keep it
out of files and logs.
",
        flags: &[
            Flag::new("resource", "URL", "what the token is for (default: imds.resource)"),
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
        summary: "what a fault means and what to do; without CODE, the list",
        about: "\
Says what a fault means, its causes, what is done about it automatically and
what a person can do.
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
        summary: "collect what support asks for, secrets taken out",
        about: "\
Collects logs, journals, network tests, proxy settings and versions into one
.tar.gz for a support request, secrets taken out, in half a minute at most.
manifest.json in it says what could not be had. It changes nothing else, works
without root as far as that sees, and with a configuration that is broken.
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
Checks a configuration file offline and tells all its faults, each with key
and line.
",
        flags: &[],
        example: "arc-enroll validate nexus.yaml",
    },
    Subcommand {
        name: "user-data",
        argument: "",
        about_argument: "",
        summary: "write the user-data that embeds this program",
        about: "\
Writes cloud-config that installs this very program with the configuration and
starts it. The configuration is checked first; size and the command to use go
to stderr.
",
        flags: &[
            Flag::new("base64", "", "write the string for --user-data-content"),
            Flag::new("gzip", "", "compress the whole"),
            Flag::new("include", "FILE", "join your own cloud-config in"),
            Flag::new(
                "fetch-url",
                "URL",
                "the VM fetches this program there, through its\nproxy, and checks its SHA-256",
            ),
            Flag::new("fetch-sha256", "HEX", "digest of what is there (default: this program's)"),
            Flag::new("without-binary", "", "the program is on the VM, by package or image"),
        ],
        example: "arc-enroll user-data --config nexus.yaml --base64 > user-data.b64",
    },
    Subcommand {
        name: "precheck",
        argument: "",
        about_argument: "",
        summary: "check network, identity and roles with az, from outside",
        about: "\
Runs on the operator's workstation, not as root, with the az CLI that is signed
in there. Checks az and its networkcloud extension, the cluster's version, the
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
