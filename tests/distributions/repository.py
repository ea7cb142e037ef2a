"""The simulated packages.microsoft.com: the stand-in azcmagent as signed RPMs, in a signed repository."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "vm"))

from package import DAEMON, UNIT, UNITS  # noqa: E402

from roots import Failure  # noqa: E402

# The names of two builds of one release (the stand-in's version is 1.58, tests/nexus/spec.rs).
NEWEST = "1.58.03228-700"
OLDER = "1.57.03160-512"
# From before `connect --config` (release notes of 1.4).
ANCIENT = "1.3.20338-002"

# Every place of the table for which machines are made.
PLACES = ("rhel/7/prod", "rhel/8/prod", "rhel/9/prod", "rhel/10/prod", "amazonlinux/2/prod",
          "amazonlinux/2023/prod", "sles/15/prod", "sles/16/prod", "azurelinux/3.0/prod/ms-oss/x86_64")

SPEC = """\
Name: azcmagent
Version: {version}
Release: {release}
Summary: Stand-in for the Azure Connected Machine agent, for tests
License: none
BuildArch: x86_64
AutoReqProv: no
Requires: /bin/sh systemd{more}
%description
Stand-in.
%prep
%build
%install
cp -a %{{_sourcedir}}/tree-{version}/. %{{buildroot}}
%files
/opt
/usr
%post
# Left behind by a test that cuts the power here.
while [ -e /run/hold-post ]; do sleep 0.1; done
install -d /var/opt/azcmagent/certs /var/opt/azcmagent/tokens /var/opt/azcmagent/log
systemctl daemon-reload
systemctl enable --now himdsd.service arcproxyd.service gcad.service extd.service
%preun
if [ "$1" = 0 ]; then
    systemctl disable --now himdsd.service arcproxyd.service gcad.service extd.service || true
fi
"""

# What every system has, as far as the package asks for it.
BASE = """\
Name: base-system
Version: 1
Release: 1
Summary: Stands for the packages of the distribution itself
License: none
BuildArch: noarch
AutoReqProv: no
Provides: /bin/sh systemd openssl system-release = {release}
%description
Stand-in.
%prep
%build
%install
%files
"""

# In the distribution's own repository, and not on the machine.
EXTRA = """\
Name: not-there-yet
Version: 2
Release: 1
Summary: A dependency
License: none
BuildArch: noarch
AutoReqProv: no
%description
Stand-in.
%prep
%build
%install
%files
"""

# Holds the package manager's lock until a file exists.
SLOW = """\
Name: slow
Requires(pre): /bin/sh
Version: 1
Release: 1
Summary: Takes its time
License: none
BuildArch: noarch
AutoReqProv: no
%description
Stand-in.
%prep
%build
%install
%files
%pre
touch /run/slow-begun
while [ ! -e /run/slow-may-end ]; do sleep 0.1; done
"""

ANCIENT_PROGRAM = """\
#!/bin/sh
echo "azcmagent version 1.3.20338.002"
[ "$1" = version ]
"""

MACROS = """\
%_topdir /workshop/rpm
%_gpg_name {key}
%__gpg /usr/bin/gpg
%_gpg_path {home}
%_binary_payload w1.gzdio
%_build_id_links none
%__os_install_post %{{nil}}
%debug_package %{{nil}}
"""


class Workshop:
    """A root in which the packages and repositories are built, and the resulting folders."""

    def __init__(self, root, nexus):
        self.root = root
        root.start()
        self.program = root.file("/workshop/azcmagent")
        self.program.parent.mkdir()
        # Without its debug symbols a debug build is a tenth as large.
        subprocess.run(["strip", "-o", self.program, nexus], check=True)
        self.key = self.make_key("/workshop/key")
        self.other_key = self.make_key("/workshop/other-key")
        self.pool = root.file("/workshop/pool")
        self.pool.mkdir()
        self.make_packages()

    def make_key(self, home):
        self.root.file(home).mkdir(mode=0o700)
        unattended = ["--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
        gpg = ["gpg", "--homedir", home, *unattended]
        name = f"Repository of {home} <nobody@localhost>"
        self.root.run(*gpg, "--quick-generate-key", name, "rsa2048", "sign", "never")
        listing = self.root.run(*gpg, "--with-colons", "--fingerprint")[1]
        self.root.run(*gpg, "--armor", "--output", f"{home}.asc", "--export")
        return re.search(r"^fpr:+([0-9A-F]{40}):", listing, re.M).group(1)

    def make_tree(self, version):
        tree = self.root.file(f"/workshop/rpm/SOURCES/tree-{version}")
        program = tree / "opt/azcmagent/bin/azcmagent"
        program.parent.mkdir(parents=True)
        if version in ANCIENT:
            program.write_text(ANCIENT_PROGRAM)
        else:
            shutil.copy(self.program, program)
        program.chmod(0o755)
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "usr/bin/azcmagent").symlink_to("/opt/azcmagent/bin/azcmagent")
        units = tree / "usr/lib/systemd/system"
        units.mkdir(parents=True)
        for name, (description, user, daemon) in UNITS.items():
            (units / name).write_text(UNIT.format(description=description, user=user, program=daemon))
            path = tree / daemon.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(DAEMON)
            path.chmod(0o755)

    def build(self, name, spec, key=None, home="/workshop/key"):
        """The RPM of this specification, signed, in a pool below its own name."""
        self.root.write("/root/.rpmmacros", MACROS.format(key=key or self.key, home=home))
        self.root.write(f"/workshop/rpm/SPECS/{name}.spec", spec)
        self.root.run("rpmbuild", "-bb", "--quiet", "--nodeps", f"/workshop/rpm/SPECS/{name}.spec")
        made = list(self.root.file("/workshop/rpm/RPMS").glob("*/*.rpm"))
        if len(made) != 1:
            raise Failure(f"rpmbuild made {made}")
        inside = "/workshop/rpm/RPMS/" + "/".join(made[0].parts[-2:])
        self.root.run("rpmsign", "--addsign", inside)
        (self.pool / name).mkdir()
        return shutil.move(made[0], self.pool / name / made[0].name)

    def make_packages(self):
        def azcmagent(name, full, more="", **signer):
            version, release = full.split("-")
            spec = SPEC.format(version=version, release=release, more=more)
            return self.build(name, spec, **signer)

        for full in (NEWEST, OLDER, ANCIENT):
            self.make_tree(full.split("-")[0])
        self.newest = azcmagent("newest", NEWEST)
        self.older = azcmagent("older", OLDER)
        self.ancient = azcmagent("ancient", ANCIENT)
        self.depending = azcmagent("depending", NEWEST, more=" not-there-yet")
        self.foreign = azcmagent("foreign", NEWEST, key=self.other_key, home="/workshop/other-key")
        self.extra = self.build("extra", EXTRA)
        self.slow = self.build("slow", SLOW)

    def base(self, release):
        """What stands for the packages that are on a system of this release."""
        name = f"base-{release}"
        if not (self.pool / name).is_dir():
            self.build(name, BASE.format(release=release))
        return next((self.pool / name).glob("*.rpm"))

    def repository(self, folder, packages, home="/workshop/key"):
        """An index over some packages, signed."""
        inside = f"/workshop/{folder}"
        place = self.root.file(inside)
        place.mkdir(parents=True)
        for package in packages:
            shutil.copy(package, place)
        self.root.run("createrepo_c", "--quiet", "--simple-md-filenames", inside)
        sign = ["--batch", "--quiet", "--armor", "--detach-sign"]
        self.root.run("gpg", "--homedir", home, *sign, f"{inside}/repodata/repomd.xml")
        return place

    def site(self, name, packages, home="/workshop/key"):
        """A complete packages.microsoft.com with the same packages for every distribution."""
        made = self.repository(f"{name}-repository", packages, home)
        site = self.root.file(f"/workshop/{name}")
        for place in PLACES:
            (site / place).parent.mkdir(parents=True, exist_ok=True)
            (site / place).symlink_to(made)
        (site / "keys").mkdir()
        for file in ("microsoft.asc", "microsoft-2025.asc"):
            shutil.copy(self.root.file("/workshop/key.asc"), site / "keys" / file)
        return site


class Nexus:
    """The sidecar, the proxy and Azure at their true addresses, as long as the `with` block lasts."""

    def __init__(self, program, state, site, plan):
        self.state = state
        state.mkdir(parents=True)
        (state / "plan.json").write_text(json.dumps(plan))
        self.command = [
            program, "serve", "--sidecar", "169.254.169.254:80", "--proxy", "169.254.0.11:3128",
            "--packages", site, "--state", state, "--ca-out", state.parent / "ca.pem",
            "--plan", state / "plan.json",
        ]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for line in self.process.stdout:
            if "CSN proxy at" in line:
                return self
        raise Failure(f"the simulated Nexus does not start: {line}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def requests(self, server=None, agent=None):
        """Requests to `csn`, `azure` or `imds`, of programs whose User-Agent has this word."""
        path = self.state / "requests.jsonl"
        seen = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [
            one for one in seen
            if server in (None, one["server"]) and (agent or "") in one["headers"].get("user-agent", "")
        ]

    def machines(self):
        return json.loads((self.state / "machines.json").read_text())
