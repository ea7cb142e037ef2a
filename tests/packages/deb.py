"""Checks of the .deb package."""

import re

from fixture import CONFIG, CONFIGURED, DEFAULTS, DROP_INS, LINK, OWN_UNITS, ROTATION, Fixture


class DebChecks(Fixture):
    """lintian, and what apt-get and dpkg do with the package."""

    def lintian(self):
        root = self.roots.new()
        # Texts lie in the binary without a separator, so that two of them may look like a misspelt word.
        quiet = ["--suppress-tags", "spelling-error-in-binary"]
        said = root.run(["lintian", "--pedantic", "-I", *quiet, "--allow-root", root.take(self.deb)])
        assert said.returncode == 0 and not said.stdout.strip(), said.stdout

    def maintainer_scripts(self):
        for script in ("postinst", "prerm", "postrm"):
            said = self.installed.run([f"/var/lib/dpkg/info/arc-enroll.{script}", "zzqqxx"])
            assert said.returncode == 1 and "unknown argument" in said.stdout, f"{script}: {said.stdout}"

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
        assert calls == ["--system daemon-reload"], f"an upgrade only reloads units: {calls}"

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
