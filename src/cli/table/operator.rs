//! The subcommands of the workstation.

use super::{Flag, Subcommand};

/// `user-data`.
pub(super) const USER_DATA: Subcommand = Subcommand {
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
};

/// `precheck`.
pub(super) const PRECHECK: Subcommand = Subcommand {
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
};
