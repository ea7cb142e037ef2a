"""Checks of installing, upgrading, removing and using the packages. Started by `run`."""

import subprocess
import sys
import tempfile

from deb import DebChecks
from files import FileChecks
from root import Roots
from rpm import RpmChecks

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


class Checks(DebChecks, RpmChecks, FileChecks):
    """Every check."""


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
            "commands_of_the_workstation",
        ):
            if not sys.argv[1:] or name in sys.argv[1:]:
                checks.run(name.replace("_", " "), getattr(checks, name))
        subprocess.run(["umount", "--recursive", directory], check=False)
        print(f"{checks.passed} passed, {checks.failed} failed")
        sys.exit(1 if checks.failed or not checks.passed else 0)


if __name__ == "__main__":
    main()
