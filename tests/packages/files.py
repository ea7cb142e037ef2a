"""Checks of the packaged files: units, tmpfiles, log rotation, man page, completions, and their use."""

import re
import subprocess
from pathlib import Path

from fixture import CONFIG, CONFIGURED, DEFAULTS, LOG, ROTATION, Fixture
from shells import Terminal

# From cloud-init 25.1 in Debian 13, which rotates its own logs.
CLOUD_INIT_ROTATION = """\
/var/log/cloud-init.log /var/log/cloud-init-output.log {
  rotate 5
  size 1M
  create 644 root adm
  compress
  missingok
}
"""


def names_of(help_text):
    commands = help_text.split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in commands.splitlines()]


class FileChecks(Fixture):
    """What systemd, logrotate, man, the shells and cloud-init do with the packaged files."""

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
        # Files of an interrupted installation are removed after ten days, the record never.
        rule = "/root/tree/usr/lib/tmpfiles.d/arc-enroll.conf"
        fetched, record = (
            f"/root/tree/var/lib/arc-enroll/{name}" for name in ("install/a.deb", "status.json")
        )
        root.write(fetched, "x")
        root.write(record, "x")
        root.done("systemd-tmpfiles", "--clean", "--root=/root/tree", "arc-enroll.conf")
        assert root.exists(fetched) and root.exists(record)
        # The change time of a file cannot be set, so the rule's age is reduced instead.
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
        # cloud-init is upgraded later: the duplicate entry is not an error, and its other log is still rotated.
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
        """The program or the package has each file that the man page lists."""
        page = self.installed.done("sh", "-c", "MANWIDTH=500 man -P cat arc-enroll | col -bx")
        paths = re.findall(r"(?m)^ +(/[^ ]+)$", page.split("\nFILES\n")[1].split("\nREMOVAL\n")[0])
        assert len(paths) > 10, paths
        source = "".join(path.read_text() for path in Path("src").rglob("*.rs"))
        for path in paths:
            base = re.split(r"-[A-Z]", path)[0]
            known = base in source or self.installed.exists(path) or base.rsplit("/", 1)[1] in source
            unit = re.search(r"arc-enroll\.(service|timer)\.d/(.*)", path)
            assert known or unit and f".d/{unit.group(2)}" in source, f"neither program nor package has {path}"

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
        """TAB completes unique prefixes: subcommands, options of each, their values, files and codes."""
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
                # zsh appends "=" to an option that takes a value.
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
        assert len(listed) > 90 and offered("arc-enroll explain ") == set(listed)

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
        """The same with user-data that `user-data --without-binary` writes on the workstation."""
        config = self.scratch / "nexus.yaml"
        config.write_text(CONFIGURED)
        words = ["dist/arc-enroll", "user-data", "--without-binary", "--config", config]
        user_data = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        self.boots_from_the_image(user_data, "edge-rg")

    def commands_of_the_workstation(self):
        """The package has the VM's build: program, man page and completions say so of what it lacks."""
        page = self.installed.done("sh", "-c", "MANWIDTH=500 man -P cat arc-enroll | col -bx")
        for name in ("precheck", "user-data"):
            said = self.installed.run(["arc-enroll", name])
            assert said.returncode == 2 and "run it on the workstation" in said.stdout, said.stdout
            assert f"\n   arc-enroll {name}" not in page, f"{name} has a section in the man page"
        assert re.search(r"user-data and precheck\b.* workstation", page), "the man page does not say where they are"

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
        # There is no systemd in this root, so the run ends with that fault.
        events = [line for line in root.text(LOG).splitlines() if '"event":"run.' in line]
        assert any(resource_group in line for line in events), root.text(LOG)[-1500:]
        assert '"event":"run.finished"' in events[-1] and "host.no-systemd" in events[-1], events[-1]
        before = root.text(CONFIG)
        root.done("apt-get", "install", "-qy", root.take(self.newer(), "/root/newer.deb"))
        assert root.text(CONFIG) == before
