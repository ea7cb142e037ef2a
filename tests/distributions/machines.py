"""Machines like the images of some distributions, and the agent on them."""

import json
import os
import shutil

from roots import Failure

AGENT = "/usr/local/bin/arc-enroll"
LOG = "/var/log/cloud-init-output.log"

# The place in Azure that the simulated ARM knows (tests/nexus/spec.rs).
TARGET = {
    "subscription_id": "11111111-1111-4111-8111-111111111111",
    "resource_group": "contoso-nexus-rg",
    "location": "eastus",
    "resource_name": "contoso-vm-01",
}

# Values as in the distributions' own files: ID, VERSION_ID, ID_LIKE, PRETTY_NAME.
RELEASES = {
    "rhel-9": ("rhel", "9.4", "fedora", "Red Hat Enterprise Linux 9.4 (Plow)"),
    "rocky-9": ("rocky", "9.5", "rhel centos fedora", "Rocky Linux 9.5 (Blue Onyx)"),
    "alma-8": ("almalinux", "8.10", "rhel centos fedora", "AlmaLinux 8.10 (Cerulean Leopard)"),
    "oracle-8": ("ol", "8.10", "fedora", "Oracle Linux Server 8.10"),
    "rhel-10": ("rhel", "10.0", "fedora", "Red Hat Enterprise Linux 10.0 (Coughlan)"),
    "amazon-2023": ("amzn", "2023", "fedora", "Amazon Linux 2023.6.20250107"),
    "amazon-2": ("amzn", "2", "centos rhel fedora", "Amazon Linux 2"),
    "centos-7": ("centos", "7", "rhel fedora", "CentOS Linux 7 (Core)"),
    "azurelinux-3": ("azurelinux", "3.0", None, "Microsoft Azure Linux 3.0"),
    "sles-15": ("sles", "15.6", "suse", "SUSE Linux Enterprise Server 15 SP6"),
    "sles-16": ("sles", "16.0", "suse", "SUSE Linux Enterprise Server 16.0"),
    "opensuse": ("opensuse-leap", "15.6", "suse opensuse", "openSUSE Leap 15.6"),
}

# As Red Hat ships it.
DNF_CONF = """\
[main]
gpgcheck=1
installonly_limit=3
clean_requirements_on_remove=True
best=True
skip_if_unavailable=False
"""

# As Azure Linux ships it.
TDNF_CONF = """\
[main]
gpgcheck=1
installonly_limit=3
clean_requirements_on_remove=0
repodir=/etc/yum.repos.d
cachedir=/var/cache/tdnf
"""

# As SUSE ships it, without its comments.
SYSCONFIG_PROXY = """\
PROXY_ENABLED="no"
HTTP_PROXY=""
HTTPS_PROXY=""
FTP_PROXY=""
GOPHER_PROXY=""
SOCKS_PROXY=""
SOCKS5_SERVER=""
NO_PROXY="localhost, 127.0.0.1"
"""

# The distribution's own packages: a mirror that no cloud services network lets through, and a medium.
OWN_REPOSITORIES = """\
[distribution-mirror]
name=Packages of the distribution
baseurl=https://mirror.example.org/os/
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-distribution

[distribution-medium]
name=The installation medium
baseurl=file:///srv/medium
enabled=1
gpgcheck=0
"""

# On Azure Linux the package is in one of the distribution's own, which are Microsoft's.
AZURE_LINUX = """\
[azurelinux-official-ms-oss]
name=Azure Linux Official Microsoft Open-Source 3.0
baseurl=https://packages.microsoft.com/azurelinux/3.0/prod/ms-oss/x86_64
gpgkey=file:///etc/pki/rpm-gpg/MICROSOFT-RPM-GPG-KEY
gpgcheck=1
repo_gpgcheck=1
enabled=1
skip_if_unavailable=True
"""


def release_text(name):
    ident, version, like, pretty = RELEASES[name]
    like = f'ID_LIKE="{like}"\n' if like else ""
    first = pretty.split(" ", maxsplit=1)[0]
    return f'NAME="{first}"\nID="{ident}"\n{like}VERSION_ID="{version}"\nPRETTY_NAME="{pretty}"\n'


class Machine:
    """One machine: its root, its package manager, and what its runs of the agent left."""

    def __init__(self, root, name, workshop, authority):
        self.root, self.workshop = root, workshop
        ident = RELEASES[name][0]
        self.family = "zypper" if ident.startswith(("sles", "opensuse")) else "dnf"
        root.hide("/etc/os-release", "/usr/lib/os-release")
        # The root begins as a view of this computer, where the agent may have run.
        root.hide(LOG, "/etc/arc-enroll", "/var/lib/arc-enroll")
        root.write("/etc/os-release", release_text(name))
        root.write("/etc/hostname", "contoso-vm-01\n")
        # Debian keeps rpm's database in the home folder, no distribution of rpm's own does.
        root.write("/etc/rpm/macros", "%_dbpath /var/lib/rpm\n")
        for program in ("systemctl", "timedatectl"):
            root.hide(f"/usr/bin/{program}")
            shutil.copy(workshop.program, root.file(f"/usr/bin/{program}"))
        with root.file("/etc/ssl/certs/ca-certificates.crt").open("a") as bundle:
            bundle.write(authority.read_text())
        shutil.copy(os.environ["AGENT"], root.file(AGENT))
        if self.family == "zypper":
            root.hide("/usr/bin/dnf", "/etc/dnf", "/etc/yum.repos.d")
            root.write("/etc/sysconfig/proxy", SYSCONFIG_PROXY)
            root.write("/etc/zypp/repos.d/distribution.repo", OWN_REPOSITORIES)
        else:
            root.hide("/usr/bin/zypper")
            self.prepare_dnf(name)
        root.file("/srv").mkdir(exist_ok=True)
        shutil.copytree(workshop.root.file("/workshop/medium"), root.file("/srv/medium"))
        root.start()
        base = self.bring(workshop.base(RELEASES[name][1]))
        root.run("rpm", "-i", "--nodeps", "--force-debian", base)

    def prepare_dnf(self, name):
        root = self.root
        root.write("/etc/dnf/dnf.conf", DNF_CONF)
        root.write("/etc/yum.repos.d/distribution.repo", OWN_REPOSITORIES)
        if name == "azurelinux-3":
            # tdnf is not available: dnf understands the same commands, as far as they are used here.
            root.file("/usr/bin/dnf").rename(root.file("/usr/bin/tdnf"))
            root.write("/etc/tdnf/tdnf.conf", TDNF_CONF)
            root.hide("/etc/yum.repos.d/distribution.repo")
            root.write("/etc/yum.repos.d/azurelinux-official-ms-oss.repo", AZURE_LINUX)
            key = self.workshop.root.file("/workshop/key.asc").read_text()
            root.write("/etc/pki/rpm-gpg/MICROSOFT-RPM-GPG-KEY", key)
        elif RELEASES[name][1] in ("2", "7"):
            # yum 3 is not available either; from RHEL 8 on yum is dnf.
            root.file("/usr/bin/dnf").rename(root.file("/usr/bin/yum"))
            root.hide("/etc/dnf/dnf.conf")
            root.write("/etc/yum.conf", DNF_CONF)
            root.file("/etc/dnf/dnf.conf").symlink_to("../yum.conf")
        else:
            root.file("/usr/bin/yum").symlink_to("dnf")
            root.file("/etc/yum.conf").symlink_to("dnf/dnf.conf")

    def bring(self, package):
        """Puts a package file onto the machine; its path there."""
        target = f"/srv/{package.name}"
        shutil.copy(package, self.root.file(target))
        return target

    def configure(self, agent=None, **more):
        agent = {"repository_key": [self.workshop.key], **(agent or {})}
        # Short windows: a service that does not answer at once never does in these tests.
        settings = {"azure": TARGET, "agent": agent, "wait": {"endpoint": "40s"}, **more}
        self.root.write("/etc/arc-enroll/config.yaml", json.dumps(settings))

    def enroll(self):
        code, said = self.root.run(AGENT, "enroll", check=False)
        return Run(self, code, said)

    def begin_to_enroll(self):
        return self.root.begin(AGENT, "enroll")

    def lines(self):
        """The agent's log so far."""
        text = self.root.text(LOG)
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    def has_met(self, fault):
        return any(line.get("fault") == fault for line in self.lines())

    def installed(self):
        """The version and release of azcmagent in the rpm database."""
        code, said = self.root.run("rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}", "azcmagent", check=False)
        return said.strip() if code == 0 else None

    def units(self):
        """The units as the stand-in of systemctl has them."""
        text = self.root.text("/var/opt/azcmagent/nexus/system.json")
        return json.loads(text)["units"] if text else {}


class Run:
    """A run of the agent that has ended."""

    def __init__(self, machine, code, said):
        self.code, self.said = code, said
        lines = machine.lines()
        if not lines or lines[-1]["event"] != "run.finished":
            raise Failure(f"the run left no last line; it ended with {code}:\n{said[-2000:]}")
        self.last = lines[-1]
        self.lines = [line for line in lines if line["run_id"] == self.last["run_id"]]
        self.fault = self.last.get("fault")

    def events(self, name):
        return [line for line in self.lines if line["event"] == name]

    def commands(self, program):
        """The executed commands of one program, from the log."""
        shown = [line["command"] for line in self.events("command.finished")]
        return [command for command in shown if command.split(" ")[0] == program]
