"""What installing, upgrading, removing and using the packages does. Started by `run`."""

import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from root import Roots
from shells import Terminal

CONFIG = "/etc/arc-enroll/config.yaml"
DEFAULTS = "/usr/share/arc-enroll/config.yaml"
ROTATION = "/etc/logrotate.d/arc-enroll"
LOG = "/var/log/cloud-init-output.log"
LINK = "/etc/systemd/system/timers.target.wants/arc-enroll.timer"
TOOLS = [
    "bash-completion",
    "ca-certificates",
    "cloud-init",
    "cpio",
    "curl",
    "fish",
    "groff",
    "lintian",
    "logrotate",
    "man-db",
    "mandoc",
    "rpm",
    "rpmlint",
    "systemd",
    "zsh",
]

# Of cloud-init 25.1 in Debian 13, which rotates its logs itself.
CLOUD_INIT_ROTATION = """\
/var/log/cloud-init.log /var/log/cloud-init-output.log {
  rotate 5
  size 1M
  create 644 root adm
  compress
  missingok
}
"""

CONFIGURED = """\
azure:
  subscription_id: 11111111-2222-3333-4444-555555555555
  resource_group: edge-rg
  location: eastus
wait: {boot: 3s, token: 1s, access: 1s, endpoint: 1s}
"""

# What `enroll` leaves beside the units, and an administrator's own.
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

# Says what it was asked, as the only systemctl of a root in which no systemd runs.
SYSTEMCTL = '#!/bin/sh\necho "$*" >> /systemctl.log\n'


# The program of a newer package: it shows that it ran.
NEWER = '#!/bin/sh\necho "newer $*" >> /newer.log\n'


def only(pattern):
    found = sorted(Path("dist").glob(pattern))
    assert len(found) == 1, f"dist/{pattern} are {found}"
    return found[0]


def names_of(help_text):
    commands = help_text.split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in commands.splitlines()]


class Checks:
    """Runs the checks one after the other and counts."""

    def __init__(self, roots, scratch):
        self.roots, self.scratch = roots, Path(scratch)
        self.deb, self.rpm = only("arc-enroll_*_amd64.deb"), only("arc-enroll-*.x86_64.rpm")
        self.passed = self.failed = 0
        self.installed = self.with_deb()

    def run(self, name, check):
        try:
            check()
        except Exception as problem:  # Whatever a check fails with counts as its failure.
            self.failed += 1
            where = traceback.extract_tb(problem.__traceback__)[-1].line
            print(f"FAILED  {name}: {where}: {problem}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {name}", flush=True)

    # Roots.

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
        # Nothing else in this root comes from an rpm: what the package requires is compared by itself.
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
        """No systemd runs in these roots: what it is asked is written down."""
        root.path("/run/systemd/system").mkdir(parents=True)
        root.write("/usr/bin/systemctl", SYSTEMCTL, 0o755)

    def leave_traces(self, root):
        """What a machine has after some weeks."""
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

    # What reviewers look at.

    def lintian(self):
        root = self.roots.new()
        said = root.run(["lintian", "--pedantic", "-I", "--allow-root", root.take(self.deb)])
        assert said.returncode == 0 and not said.stdout.strip(), said.stdout

    def rpmlint(self):
        root = self.roots.new()
        said = root.done("rpmlint", "-c", root.take("tests/packages/rpmlint.toml"), root.take(self.rpm))
        assert "0 errors, 0 warnings" in said, said

    def maintainer_scripts(self):
        for script in ("postinst", "prerm", "postrm"):
            said = self.installed.run([f"/var/lib/dpkg/info/arc-enroll.{script}", "zzqqxx"])
            assert said.returncode == 1 and "unknown argument" in said.stdout, f"{script}: {said.stdout}"

    def requirements(self):
        root = self.roots.new()
        told = root.done("rpm", "-qp", "--requires", root.take(self.rpm)).splitlines()
        told = {line for line in told if not line.startswith(("rpmlib(", "config("))}
        assert told == {"/bin/sh", "ca-certificates", "curl", "systemd"}, told

    # The .deb.

    def deb_installs(self):
        root = self.installed
        self.assert_shipped(
            root,
            {
                ROTATION: "0644 0:0",
                "/usr/lib/systemd/system-preset/80-arc-enroll.preset": "0644 0:0",
                "/usr/share/zsh/vendor-completions/_arc-enroll": "0644 0:0",
                "/usr/share/doc/arc-enroll/copyright": "0644 0:0",
            },
        )
        self.assert_not_enabled(root)
        assert not root.done("dpkg", "--verify", "arc-enroll"), "a file is not as in the package"
        status = root.done("dpkg-query", "--show", "--showformat=${Conffiles}", "arc-enroll")
        assert not status.strip(), f"conffiles, about which an upgrade may ask: {status}"
        assert root.text(CONFIG) == root.text(DEFAULTS)

    def first_boot_of_an_image_enables_nothing(self):
        root = self.with_deb()
        root.done("systemctl", "--root=/", "preset-all", "--preset-mode=enable-only")
        self.assert_not_enabled(root)

    def deb_keeps_a_configuration(self):
        root = self.with_deb((CONFIG, CONFIGURED), (ROTATION, "# theirs\n"))
        assert root.text(CONFIG) == CONFIGURED
        assert root.text(ROTATION) == "# theirs\n"

    def deb_upgrades(self):
        root = self.with_deb()
        self.pretend_systemd(root)
        root.write(CONFIG, CONFIGURED, 0o600)
        root.path(ROTATION).unlink()
        self.leave_traces(root)
        newer = root.take(self.newer(), "/root/newer.deb")
        root.done("apt-get", "install", "-qy", newer)
        assert root.text(CONFIG) == CONFIGURED and root.mode(CONFIG) == "0600 0:0"
        assert root.text(DEFAULTS) == "# newer\n"
        assert not root.exists(ROTATION), "what an administrator removed is back"
        for name in [*DROP_INS, LINK, "/var/lib/arc-enroll/status.json"]:
            assert root.exists(name), f"{name} is lost"
        calls = root.text("/systemctl.log").splitlines()
        assert calls == ["--system daemon-reload"], f"an upgrade only has units read anew: {calls}"

    def deb_is_removed_and_purged(self):
        root = self.with_deb()
        self.pretend_systemd(root)
        root.write(CONFIG, CONFIGURED, 0o600)
        self.leave_traces(root)
        root.done("apt-get", "remove", "-qy", "arc-enroll")
        self.assert_traces_gone(root)
        assert root.text(CONFIG) == CONFIGURED and root.exists("/var/lib/arc-enroll/status.json")
        calls = root.text("/systemctl.log")
        assert re.search(r"(?m)^.*stop.*arc-enroll\.timer", calls), calls
        assert re.search(r"(?m)^.*stop.*arc-enroll\.service", calls), calls
        assert calls.splitlines()[-1] == "--system daemon-reload", calls
        root.done("dpkg", "--purge", "arc-enroll")
        for name in ("/etc/arc-enroll", "/var/lib/arc-enroll", ROTATION):
            assert not root.exists(name), f"{name} is left by a purge"
        assert (
            "arc-enroll"
            not in root.run(["dpkg-query", "--list", "arc-enroll"]).stdout.split("no packages")[0]
        )

    def deb_takes_units_that_the_program_wrote(self):
        root = self.with_deb()
        for name in OWN_UNITS:
            root.write(name, "[Unit]\n")
        root.done("dpkg", "--remove", "arc-enroll")
        assert not any(root.exists(name) for name in OWN_UNITS)
        root = self.with_deb()
        for name in OWN_UNITS:
            root.path(name).symlink_to("/dev/null")
        root.done("dpkg", "--purge", "arc-enroll")
        assert all(root.exists(name) for name in OWN_UNITS), "an administrator's mask is gone"

    # The .rpm.

    def rpm_installs_and_is_erased(self):
        root = self.with_rpm()
        self.assert_shipped(
            root, {ROTATION: "0644 0:0", "/usr/share/zsh/site-functions/_arc-enroll": "0644 0:0"}
        )
        self.assert_not_enabled(root)
        assert not root.run(
            ["rpm", "--verify", "--nodeps", "arc-enroll"]
        ).stdout, "a file is not as in the package"
        assert sorted(root.done("rpm", "-qc", "arc-enroll").split()) == [CONFIG, ROTATION]
        self.leave_traces(root)
        for name in OWN_UNITS:
            root.write(name, "[Unit]\n")
        root.done("rpm", "--erase", "arc-enroll")
        self.assert_traces_gone(root)
        assert not any(root.exists(name) for name in (CONFIG, *OWN_UNITS))

    def rpm_keeps_a_configuration(self):
        root = self.with_rpm()
        self.pretend_systemd(root)
        root.write(CONFIG, CONFIGURED, 0o600)
        self.leave_traces(root)
        root.done("rpm", "--upgrade", "--nodeps", "--replacepkgs", f"/root/{self.rpm.name}")
        assert root.text(CONFIG) == CONFIGURED and root.mode(CONFIG) == "0600 0:0"
        assert all(root.exists(name) for name in [*DROP_INS, LINK]), "an upgrade takes away what enroll wrote"
        assert set(root.text("/systemctl.log").splitlines()) == {"daemon-reload"}
        root.done("rpm", "--erase", "arc-enroll")
        assert root.text(f"{CONFIG}.rpmsave") == CONFIGURED
        assert "stop arc-enroll.timer arc-enroll.service" in root.text("/systemctl.log")

    # On a running systemd.

    def deb_on_a_running_machine(self):
        newer = self.newer()

        def upgrade(root):
            root.done("apt-get", "install", "-qy", root.take(newer, "/root/newer.deb"))
            root.done("systemctl", "start", "arc-enroll.service")
            assert (
                root.text("/newer.log") == "newer enroll --if-idle\n"
            ), "the timer's unit does not run the new program"

        self.on_a_running_machine(
            lambda root: root.done("apt-get", "install", "-qy", root.take(self.deb)),
            upgrade,
            lambda root: root.done("apt-get", "remove", "-qy", "arc-enroll"),
        )

    def rpm_on_a_running_machine(self):
        self.on_a_running_machine(
            lambda root: root.done("rpm", "--install", "--nodeps", root.take(self.rpm)),
            lambda root: root.done("rpm", "--upgrade", "--nodeps", "--replacepkgs", f"/root/{self.rpm.name}"),
            lambda root: root.done("rpm", "--erase", "arc-enroll"),
        )

    def on_a_running_machine(self, install, upgrade, remove):
        """Nothing starts until `enroll` says so; the timer goes on over an upgrade and ends with the package."""
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
            # There is no sidecar: not yet, says the run, and leaves the timer to go on.
            said = root.run(["arc-enroll", "enroll"])
            assert said.returncode == 75, f"exit {said.returncode}: {said.stdout}"
            running = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
            assert self.timer(root) == running, self.timer(root)
            assert root.exists(DROP_INS[0]) and not any(root.exists(name) for name in OWN_UNITS)
            upgrade(root)
            assert self.timer(root) == running, self.timer(root)
            for unit in ("service", "timer"):
                state = root.done("systemctl", "show", "--property=NeedDaemonReload", f"arc-enroll.{unit}")
                assert state.strip() == "NeedDaemonReload=no", f"systemd has not read the {unit} anew"
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
        told = root.done(
            "systemctl", "show", "--property=LoadState,ActiveState,UnitFileState", "arc-enroll.timer"
        )
        return dict(line.split("=", 1) for line in told.splitlines())

    # What the files are for.

    def units(self):
        said = self.installed.run(
            ["systemd-analyze", "verify", "--man=no", "arc-enroll.service", "arc-enroll.timer"]
        )
        ours = [line for line in said.stdout.splitlines() if "arc-enroll" in line]
        assert said.returncode == 0 and not ours, said.stdout

    def tmpfiles(self):
        root = self.roots.new()
        tree = root.path("/root/tree")
        subprocess.run(["dpkg-deb", "--extract", self.deb, tree], check=True)
        for name in ("passwd", "group"):
            root.write(
                f"/root/tree/etc/{name}", "root:x:0:0::/:/bin/sh\n" if name == "passwd" else "root:x:0:\n"
            )
        said = root.done("systemd-tmpfiles", "--create", "--root=/root/tree", "arc-enroll.conf")
        assert not said.strip(), said
        assert root.mode("/root/tree/run/arc-enroll") == "0755 0:0"
        # What an installation that was cut off has fetched goes after ten days, the record never.
        rule = "/root/tree/usr/lib/tmpfiles.d/arc-enroll.conf"
        fetched, record = (
            f"/root/tree/var/lib/arc-enroll/{name}" for name in ("install/a.deb", "status.json")
        )
        root.write(fetched, "x")
        root.write(record, "x")
        root.done("systemd-tmpfiles", "--clean", "--root=/root/tree", "arc-enroll.conf")
        assert root.exists(fetched) and root.exists(record)
        # No file can be made old here, as one of its times is that of its change: the rule is made stricter.
        assert " 10d\n" in root.text(rule)
        root.write(rule, root.text(rule).replace(" 10d\n", " 0\n"))
        root.done("systemd-tmpfiles", "--clean", "--root=/root/tree", "arc-enroll.conf")
        assert not root.exists(fetched) and root.exists(record)

    def rotation(self):
        root = self.with_deb()
        root.write(LOG, "x" * 1_100_000, 0o640)
        said = root.run(["logrotate", "--debug", "/etc/logrotate.conf"])
        assert said.returncode == 0 and "error" not in said.stdout, said.stdout
        root.done("logrotate", "/etc/logrotate.conf")
        assert root.exists(f"{LOG}.1"), "the log is not rotated"

    def rotation_beside_that_of_cloud_init(self):
        there = ("/etc/logrotate.d/cloud-init", CLOUD_INIT_ROTATION)
        root = self.with_deb(there)
        assert not root.exists(ROTATION), "there are two entries for one log"
        # cloud-init is upgraded later: the second entry is no error, and its other log is still rotated.
        root = self.with_deb()
        root.write(*there)
        for log in (LOG, "/var/log/cloud-init.log"):
            root.write(log, "x" * 1_100_000, 0o640)
        said = root.run(["logrotate", "--verbose", "/etc/logrotate.conf"])
        assert said.returncode == 0 and "error" not in said.stdout, said.stdout
        for log in (LOG, "/var/log/cloud-init.log"):
            assert root.exists(f"{log}.1") or root.exists(f"{log}.1.gz"), f"{log} is not rotated"
        # The next version of the package leaves it to cloud-init.
        root.done("dpkg", "--install", root.take(self.newer(), "/root/newer.deb"))
        assert not root.exists(ROTATION)

    def man_page(self):
        root = self.installed
        for words in (
            ["mandoc", "-T", "lint", "-W", "warning"],
            ["env", "MANWIDTH=80", "man", "--warnings", "-l", "-Tutf8", "-Z"],
        ):
            said = root.run([*words, "/usr/share/man/man8/arc-enroll.8.gz"])
            complaints = [
                line for line in said.stdout.splitlines() if re.search(r"warning|WARNING|ERROR|error:", line)
            ]
            assert said.returncode == 0 and not complaints, complaints
        page = root.done("sh", "-c", "MANWIDTH=500 man -P cat arc-enroll | col -bx")
        assert "arc-enroll(8)" in root.done("sh", "-c", "mandb -q -c && whatis arc-enroll").replace(
            " (8)", "(8)"
        )
        help_text = root.done("arc-enroll", "--help")
        for name in names_of(help_text):
            assert f"\n   arc-enroll {name}" in page, f"{name} is not in the man page"
            for option in re.findall(
                r"(?m)^  +(?:-\w, )?(--[a-z0-9-]+)", root.done("arc-enroll", name, "--help")
            ):
                assert re.search(rf"(?m)^ +(-\w, )?{option}\b", page), f"{option} is not in the man page"
        for option in re.findall(r"(?m)^  (?:-\w, )?(--[a-z-]+)", help_text):
            assert re.search(rf"(?m)^ +(-\w, )?{option}\b", page), f"{option} is not in the man page"
        for name in re.findall(r"\[([A-Z_]+_?[A-Z]+)\]$", help_text, re.MULTILINE):
            assert re.search(
                rf"(?m)^ +{name}$", page.split("ENVIRONMENT")[1]
            ), f"{name} is not in the man page"
        codes = re.findall(r"  (\d+)  +[a-z]", help_text.split("Exit codes:")[1])
        assert len(codes) == 16
        for code in codes:
            assert re.search(
                rf"(?m)^ +{code}  +\w", page.split("EXIT STATUS")[1]
            ), f"exit code {code} is not in the man page"

    def files_of_the_man_page(self):
        """Each is one that the program knows or the package has."""
        page = self.installed.done("sh", "-c", "MANWIDTH=500 man -P cat arc-enroll | col -bx")
        paths = re.findall(r"(?m)^ +(/[^ ]+)$", page.split("\nFILES\n")[1].split("\nREMOVAL\n")[0])
        assert len(paths) > 10, paths
        source = "".join(path.read_text() for path in Path("src").rglob("*.rs"))
        for path in paths:
            base = re.split(r"-[A-Z]", path)[0]
            known = base in source or self.installed.exists(path) or base.rsplit("/", 1)[1] in source
            unit = re.search(r"arc-enroll\.(service|timer)\.d/(.*)", path)
            assert known or unit and f".d/{unit.group(2)}" in source, f"nobody knows {path}"

    def bash(self):
        terminal = Terminal(
            self.installed,
            ["bash", "--norc", "--noprofile", "-i"],
            [
                "PS1='> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'",
                "cd /root; touch my.yaml",
                ". /usr/share/bash-completion/bash_completion",
            ],
        )
        self.complete(terminal)

    def zsh(self):
        terminal = Terminal(
            self.installed,
            ["zsh", "-f", "-i"],
            [
                "PS1='> '; unsetopt zle_bracketed_paste beep; cd /root; touch my.yaml",
                "autoload -U compinit; compinit -u -D",
            ],
        )
        self.complete(terminal)

    def complete(self, terminal):
        """What is unique is written by TAB: subcommands, options of each, their values, files and codes."""
        names = names_of(self.installed.done("arc-enroll", "--help"))
        cases = {
            "arc-enroll enroll --if": ["arc-enroll", "enroll", "--if-idle"],
            "arc-enroll token --reso": ["arc-enroll", "token", "--resource"],
            "arc-enroll --output j": ["arc-enroll", "--output", "json"],
            "arc-enroll --output=j": ["arc-enroll", "--output=json"],
            "arc-enroll doctor --cloud AzureU": ["arc-enroll", "doctor", "--cloud", "AzureUSGovernment"],
            "arc-enroll token --identity s": ["arc-enroll", "token", "--identity", "system"],
            "arc-enroll --config my": ["arc-enroll", "--config", "my.yaml"],
            "arc-enroll --config my.yaml validate m": [
                "arc-enroll",
                "--config",
                "my.yaml",
                "validate",
                "my.yaml",
            ],
            "arc-enroll --location my": ["arc-enroll", "--location", "my"],
            "arc-enroll explain imds.ref": ["arc-enroll", "explain", "imds.refused"],
            "arc-enroll doctor --if": ["arc-enroll", "doctor", "--if"],
            "arc-enroll doctor my": ["arc-enroll", "doctor", "my"],
        }
        for name in names:
            shortest = next(
                name[:end]
                for end in range(1, len(name) + 1)
                if sum(other.startswith(name[:end]) for other in names) == 1
            )
            cases[f"arc-enroll {shortest}"] = ["arc-enroll", name]
        try:
            for typed, expected in cases.items():
                found = terminal.completed(typed)
                # zsh ends a value with "=", so that more may follow.
                found = [word.rstrip("=") if word.startswith("--") else word for word in found if word]
                assert found == expected, f"{typed!r} became {found}"
        finally:
            terminal.end()

    def fish(self):
        root = self.installed

        def offered(typed):
            script = f"cd /root; complete -C '{typed}'"
            return {
                line.split("\t")[0]
                for line in root.done(
                    "fish",
                    "--no-config",
                    "-c",
                    f"source /usr/share/fish/vendor_completions.d/arc-enroll.fish; {script}",
                ).splitlines()
            }

        help_text = root.done("arc-enroll", "--help")
        assert offered("arc-enroll ") == set(names_of(help_text))
        assert offered("arc-enroll --config /x ") == set(names_of(help_text))
        assert offered("arc-enroll --output ") == {"text", "json"}
        assert offered("arc-enroll doctor --cloud AzureU") == {"AzureUSGovernment"}
        assert "--if-idle" in offered("arc-enroll enroll --") and "--if-idle" not in offered(
            "arc-enroll doctor --"
        )
        everywhere = set(re.findall(r"(?m)^  (?:-\w, )?(--[a-z-]+)", help_text))
        assert everywhere <= {word.rstrip("=") for word in offered("arc-enroll doctor --")}
        listed = re.findall(r"(?m)^      ([a-z.-]+\.[a-z-]+) ", root.done("arc-enroll", "explain"))
        assert len(listed) > 100 and offered("arc-enroll explain ") == set(listed)

    # How it is used.

    def enroll_says_what_is_missing(self):
        said = self.installed.run(["arc-enroll", "enroll"])
        assert said.returncode == 2, f"exit {said.returncode}: {said.stdout}"
        told = self.installed.run(["arc-enroll", "validate"]).stdout
        for text in (said.stdout, told):
            missing = set(re.findall(r"azure\.(\w+)", text))
            assert {"subscription_id", "resource_group", "location"} <= missing, text
            assert "required" in text or "missing" in text, text
        filled = re.sub(r"(?m)^  #(.*# replace: )", r"  \1", self.installed.text(DEFAULTS))
        self.installed.write("/root/filled.yaml", filled)
        assert "is valid" in self.installed.done("arc-enroll", "validate", "/root/filled.yaml")

    def golden_image(self):
        """The package in the image, the configuration by user-data as the man page shows it."""
        page = self.installed.done("sh", "-c", "MANWIDTH=500 man -P cat arc-enroll | col -bx")
        example = page.split("#cloud-config\n")[1].split("\nSEE ALSO")[0]
        lines = ["#cloud-config", *(line.removeprefix(" " * 11) for line in example.splitlines())]
        self.boots_from_the_image("\n".join(lines) + "\n", "my-rg")

    def golden_image_by_user_data(self):
        """The same with what the program writes for images that have it."""
        self.installed.write("/root/nexus.yaml", CONFIGURED)
        words = ["arc-enroll", "user-data", "--without-binary", "--config", "/root/nexus.yaml"]
        self.installed.done("sh", "-c", f"{' '.join(words)} > /root/user-data")
        self.boots_from_the_image(self.installed.text("/root/user-data"), "edge-rg")

    def boots_from_the_image(self, user_data, resource_group):
        settings = (
            "datasource_list: [NoCloud, None]\ncloud_init_modules: [write-files]\n"
            "cloud_config_modules: [runcmd]\ncloud_final_modules: [scripts-user]\n"
        )
        seed = "/var/lib/cloud/seed/nocloud-net"
        root = self.with_deb(
            ("/etc/cloud/cloud.cfg.d/99_test.cfg", settings),
            (f"{seed}/meta-data", "instance-id: test\n"),
            (f"{seed}/user-data", user_data),
        )
        for log in root.path("/var/log").glob("cloud-init*.log"):
            log.unlink()
        stages = ("init --local", "init", "modules --mode=config", "modules --mode=final")
        root.run(["sh", "-c", "; ".join(f"cloud-init {stage}" for stage in stages) + "; exit 0"])
        assert root.mode(CONFIG) == "0600 0:0", root.mode(CONFIG)
        assert f"resource_group: {resource_group}" in root.text(CONFIG)
        # There is no systemd in this root: the run gets as far as telling that.
        events = [line for line in root.text(LOG).splitlines() if '"event":"run.' in line]
        assert any(resource_group in line for line in events), root.text(LOG)[-1500:]
        assert '"event":"run.finished"' in events[-1] and "host.no-systemd" in events[-1], events[-1]
        before = root.text(CONFIG)
        root.done("apt-get", "install", "-qy", root.take(self.newer(), "/root/newer.deb"))
        assert root.text(CONFIG) == before


def main():
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as scratch:
        checks = Checks(Roots(directory, TOOLS), scratch)
        for name in (
            "lintian",
            "rpmlint",
            "maintainer_scripts",
            "requirements",
            "deb_installs",
            "first_boot_of_an_image_enables_nothing",
            "deb_keeps_a_configuration",
            "deb_upgrades",
            "deb_is_removed_and_purged",
            "deb_takes_units_that_the_program_wrote",
            "rpm_installs_and_is_erased",
            "rpm_keeps_a_configuration",
            "deb_on_a_running_machine",
            "rpm_on_a_running_machine",
            "units",
            "tmpfiles",
            "rotation",
            "rotation_beside_that_of_cloud_init",
            "man_page",
            "files_of_the_man_page",
            "bash",
            "zsh",
            "fish",
            "enroll_says_what_is_missing",
            "golden_image",
            "golden_image_by_user_data",
        ):
            if not sys.argv[1:] or name in sys.argv[1:]:
                checks.run(name.replace("_", " "), getattr(checks, name))
        subprocess.run(["umount", "--recursive", directory], check=False)
        print(f"{checks.passed} passed, {checks.failed} failed")
        sys.exit(1 if checks.failed or not checks.passed else 0)


if __name__ == "__main__":
    main()
