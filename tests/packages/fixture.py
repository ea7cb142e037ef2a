"""Roots with an installed package, and assertions that several checks share."""

import re
import subprocess
import traceback
from pathlib import Path

CONFIG = "/etc/arc-enroll/config.yaml"
DEFAULTS = "/usr/share/arc-enroll/config.yaml"
ROTATION = "/etc/logrotate.d/arc-enroll"
LOG = "/var/log/cloud-init-output.log"
LINK = "/etc/systemd/system/timers.target.wants/arc-enroll.timer"

CONFIGURED = """\
azure:
  subscription_id: 11111111-2222-3333-4444-555555555555
  resource_group: edge-rg
  location: eastus
wait: {boot: 3s, token: 1s, access: 1s, endpoint: 1s}
"""

# Drop-ins and units that `enroll` writes, and a drop-in of the administrator.
DROP_INS = [f"/etc/systemd/system/arc-enroll.{kind}.d/50-arc-enroll.conf" for kind in ("service", "timer")]
OWN_UNITS = [f"/etc/systemd/system/arc-enroll.{kind}" for kind in ("service", "timer")]
ADMINISTRATORS = "/etc/systemd/system/arc-enroll.service.d/override.conf"

SHIPPED = {
    "/usr/bin/arc-enroll": "0755 0:0",
    "/usr/lib/systemd/system/arc-enroll.service": "0644 0:0",
    "/usr/lib/systemd/system/arc-enroll.timer": "0644 0:0",
    "/usr/lib/tmpfiles.d/arc-enroll.conf": "0644 0:0",
    "/usr/share/man/man8/arc-enroll.8.gz": "0644 0:0",
    "/usr/share/bash-completion/completions/arc-enroll": "0644 0:0",
    "/usr/share/fish/vendor_completions.d/arc-enroll.fish": "0644 0:0",
    DEFAULTS: "0644 0:0",
    CONFIG: "0600 0:0",
}

# A systemctl that records its arguments, for roots in which no systemd runs.
SYSTEMCTL = '#!/bin/sh\necho "$*" >> /systemctl.log\n'

# The program of a newer package, which records that it ran.
NEWER = '#!/bin/sh\necho "newer $*" >> /newer.log\n'


def only(pattern):
    found = sorted(Path("dist").glob(pattern))
    assert len(found) == 1, f"dist/{pattern} are {found}"
    return found[0]


class Fixture:
    """Runs the checks one after the other and counts."""

    def __init__(self, roots, scratch):
        self.roots, self.scratch = roots, Path(scratch)
        self.deb, self.rpm = only("arc-enroll_*_amd64.deb"), only("arc-enroll-*.x86_64.rpm")
        self.passed = self.failed = 0
        self.installed = self.with_deb()

    def run(self, name, check):
        try:
            check()
        except Exception as problem:  # Any exception is a failure of the check.
            self.failed += 1
            where = traceback.extract_tb(problem.__traceback__)[-1].line
            print(f"FAILED  {name}: {where}: {problem}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {name}", flush=True)

    def with_deb(self, *before):
        root = self.roots.new()
        for name, text in before:
            root.write(name, text, 0o755 if name.startswith("/usr") else 0o644)
        root.done("apt-get", "install", "-qy", "--no-install-recommends", root.take(self.deb))
        return root

    def newer(self):
        """The same package with a higher version, another default configuration and another program."""
        newer = self.scratch / "newer.deb"
        if newer.exists():
            return newer
        tree = self.scratch / "newer"
        subprocess.run(["dpkg-deb", "--raw-extract", self.deb, tree], check=True)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+newer", control.read_text()))
        (tree / DEFAULTS.lstrip("/")).write_text("# newer\n")
        (tree / "usr/bin/arc-enroll").write_text(NEWER)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", tree, newer], check=True, stdout=subprocess.DEVNULL
        )
        return newer

    def with_rpm(self):
        root = self.roots.new()
        # No other rpm is installed in this root; the requirements of the package have their own check.
        root.done("rpm", "--install", "--nodeps", root.take(self.rpm))
        return root

    def assert_shipped(self, root, more):
        for name, mode in {**SHIPPED, **more}.items():
            assert root.exists(name), f"{name} is not there"
            assert root.mode(name) == mode, f"{name} is {root.mode(name)}"

    def assert_not_enabled(self, root):
        assert not root.exists(LINK), "the timer is enabled by installing the package"
        state = root.run(["systemctl", "--root=/", "is-enabled", "arc-enroll.timer"]).stdout.strip()
        assert state == "disabled", f"the timer is {state}"

    def pretend_systemd(self, root):
        """Replaces systemctl, since no systemd runs in these roots."""
        root.path("/run/systemd/system").mkdir(parents=True)
        root.write("/usr/bin/systemctl", SYSTEMCTL, 0o755)

    def leave_traces(self, root):
        """Creates the files that a machine has after some weeks."""
        for name in [*DROP_INS, ADMINISTRATORS]:
            root.write(name, "[Unit]\n")
        root.path(LINK).parent.mkdir(parents=True, exist_ok=True)
        root.path(LINK).symlink_to("/usr/lib/systemd/system/arc-enroll.timer")
        root.write("/var/lib/arc-enroll/status.json", "{}\n")
        root.write("/run/arc-enroll/lock", "")
        root.write("/etc/environment", "HTTPS_PROXY=http://169.254.0.11:3128\n")

    def assert_traces_gone(self, root):
        for name in [
            *DROP_INS,
            LINK,
            "/run/arc-enroll",
            "/usr/bin/arc-enroll",
            "/usr/lib/systemd/system/arc-enroll.timer",
        ]:
            assert not root.exists(name), f"{name} is left"
        for name in [ADMINISTRATORS, "/etc/environment"]:
            assert root.exists(name), f"{name} is not the package's to remove"

    def on_a_running_machine(self, install, upgrade, remove):
        """Nothing starts before `enroll`; the timer stays active across an upgrade and is removed with the package."""
        root = self.roots.new().boot()
        try:
            install(root)
            assert self.timer(root) == {
                "LoadState": "loaded",
                "ActiveState": "inactive",
                "UnitFileState": "disabled",
            }
            assert root.mode("/run/arc-enroll") == "0755 0:0"
            root.write(CONFIG, CONFIGURED, 0o600)
            # Without a sidecar the run ends with a retryable fault and leaves the timer active.
            said = root.run(["arc-enroll", "enroll"])
            assert said.returncode == 75, f"exit {said.returncode}: {said.stdout}"
            running = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
            assert self.timer(root) == running, self.timer(root)
            assert root.exists(DROP_INS[0]) and not any(root.exists(name) for name in OWN_UNITS)
            upgrade(root)
            assert self.timer(root) == running, self.timer(root)
            for unit in ("service", "timer"):
                state = root.done("systemctl", "show", "--property=NeedDaemonReload", f"arc-enroll.{unit}")
                assert state.strip() == "NeedDaemonReload=no", f"systemd has not reloaded the {unit}"
            remove(root)
            assert (
                self.timer(root)["ActiveState"] == "inactive" and self.timer(root)["LoadState"] == "not-found"
            )
            assert not any(root.exists(name) for name in (*DROP_INS, LINK))
            failed = root.done("systemctl", "list-units", "--failed", "--plain", "--no-legend")
            assert not failed.strip(), failed
        finally:
            root.end()

    def timer(self, root):
        shown = root.done(
            "systemctl", "show", "--property=LoadState,ActiveState,UnitFileState", "arc-enroll.timer"
        )
        return dict(line.split("=", 1) for line in shown.splitlines())
