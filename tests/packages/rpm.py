"""Checks of the .rpm package."""

from fixture import CONFIG, CONFIGURED, DROP_INS, LINK, OWN_UNITS, ROTATION, Fixture


class RpmChecks(Fixture):
    """rpmlint, and what rpm does with the package."""

    def rpmlint(self):
        root = self.roots.new()
        said = root.done("rpmlint", "-c", root.take("tests/packages/rpmlint.toml"), root.take(self.rpm))
        assert "0 errors, 0 warnings" in said, said

    def requirements(self):
        root = self.roots.new()
        told = root.done("rpm", "-qp", "--requires", root.take(self.rpm)).splitlines()
        told = {line for line in told if not line.startswith(("rpmlib(", "config("))}
        assert told == {"/bin/sh", "ca-certificates", "curl", "systemd"}, told

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

    def rpm_on_a_running_machine(self):
        self.on_a_running_machine(
            lambda root: root.done("rpm", "--install", "--nodeps", root.take(self.rpm)),
            lambda root: root.done("rpm", "--upgrade", "--nodeps", "--replacepkgs", f"/root/{self.rpm.name}"),
            lambda root: root.done("rpm", "--erase", "arc-enroll"),
        )
