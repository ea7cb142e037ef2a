"""Every command line that the files in cloud-init/ tell to type: run here, run by another test, or in need of Azure."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

EXAMPLES = Path("cloud-init")

# How a command line is tried.
HERE = "run by this file"
BOOTED = "run by check.py, which assembles the example and boots it"
UNPACKED = "run by unpack.py on a machine"
FETCHED = "run by fetch.py on a machine"
STAND_IN = "run by tests/infrastructure/run with a stand-in for az"
AZURE = "needs Azure"

USER_DATA = "arc-enroll user-data --config config.yaml"
SHORT = f"{USER_DATA} --base64 > user-data.b64"
FETCH = f"{USER_DATA} --fetch-url https://example.com/arc-enroll"
PACK = "xz --check=crc32 --x86 --lzma2=preset=9e,lc=4,pb=0 -c arc-enroll"
DEPLOY = 'az deployment group create --resource-group "$VM_RESOURCE_GROUP" --template-file main.bicep'
ROLE = 'az role definition list --name "{}" --query "[].name" --output tsv'

COMMANDS = {
    ("README.md", "arc-enroll validate config.yaml"): HERE,
    ("README.md", SHORT): HERE,
    ("README.md", "az networkcloud virtualmachine create … --user-data-content @user-data.b64"): AZURE,
    ("README.md", f"{DEPLOY} --parameters @main.parameters.json --parameters userData=@user-data.b64"): AZURE,
    ("README.md", "terraform init && terraform apply"): AZURE,
    ("README.md", "sh create-vm.sh"): STAND_IN,
    ("README.md", "sudo sh /usr/local/sbin/arc-enroll-unpack"): UNPACKED,
    ("README.md", f"{FETCH} --base64 > user-data.b64"): HERE,
    ("README.md", f"{FETCH} --include mine.yaml --base64 > user-data.b64"): HERE,
    ("README.md", "sudo sh /usr/local/sbin/arc-enroll-fetch"): FETCHED,
    ("README.md", f"{USER_DATA} --without-binary --base64 > user-data.b64"): HERE,
    ("README.md", f"{USER_DATA} --without-binary --include mine.yaml --gzip --base64 > user-data.b64"): HERE,
    ("cloud-config.yaml", f"{{ cat cloud-config.yaml; {PACK} | base64 | tr -d '\\n' | sed 's/^/    /'; }} > user-data"): BOOTED,
    ("cloud-config.yaml", "base64 < user-data | tr -d '\\n' > user-data.b64"): BOOTED,
    ("script.sh", f"{{ cat script.sh; {PACK} | base64; }} > user-data"): BOOTED,
    ("script.sh", "base64 < user-data | tr -d '\\n' > user-data.b64"): BOOTED,
    ("multi-part.txt", f"{{ cat multi-part.txt; {PACK} | base64 | tr -d '\\n' | sed 's/^/    /'; "
                       "printf '\\n--==part==--\\n'; } > user-data"): BOOTED,
    ("multi-part.txt", "base64 < user-data | tr -d '\\n' > user-data.b64"): BOOTED,
    ("config.yaml", "arc-enroll validate --config config.yaml"): HERE,
    ("main.bicep", SHORT): HERE,
    ("main.bicep", f"{DEPLOY} --parameters @main.parameters.json --parameters userData=@user-data.b64"): AZURE,
    ("roles.bicep", ROLE.format("Azure Connected Machine Resource Manager")): AZURE,
    ("roles.bicep", ROLE.format("HybridCompute Machine ListAccessDetails Action")): AZURE,
    ("main.tf", SHORT): HERE,
    ("main.tf", "terraform init && terraform apply"): AZURE,
    ("create-vm.sh", SHORT): HERE,
    ("create-vm.sh", "sh create-vm.sh"): STAND_IN,
}

# The prefix of a command line in a comment or in the text above a message.
COMMAND = re.compile(r"^(?:[#/ ]*(?:\d\. )?|.*with: |.*base64 of (?:that|it): )((?:arc-enroll|az|terraform|sh|base64|\{ cat) .*)$")


def told(name):
    """The command lines of one file."""
    text = (EXAMPLES / name).read_text().replace("\\\n//        ", "")
    if name.endswith(".md"):
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            yield from block.splitlines()
        return
    for line in text.splitlines():
        is_comment = line.startswith(("#", "//")) or name == "multi-part.txt"
        if is_comment and (found := COMMAND.match(line)):
            yield found[1]


class CommandChecks:
    """Checks that each command line is tried; returns those that are tried here."""

    def __init__(self, checks):
        self.checks = checks

    def complete(self):
        found = {(path.name, line) for path in EXAMPLES.iterdir() for line in told(path.name)}
        assert found == set(COMMANDS), f"not both told and listed: {found ^ set(COMMANDS)}"

    def run_here(self):
        place = Path(tempfile.mkdtemp(dir=self.checks.scratch))
        (place / "bin").mkdir()
        # The words that a development build needs in addition.
        program = " ".join(self.checks.program)
        (place / "bin/arc-enroll").write_text(
            f'#!/bin/sh\ncase $* in *--without-binary* | validate*) ;; *) set -- "$@" {program} ;; esac\n'
            f'exec {self.checks.agent} "$@"\n'
        )
        (place / "bin/arc-enroll").chmod(0o755)
        shutil.copy(EXAMPLES / "config.yaml", place)
        (place / "mine.yaml").write_text("#cloud-config\nruncmd: ['true']\n")
        environment = {"PATH": f"{place}/bin:/usr/bin:/bin"}
        for line in sorted({line for (_, line), how in COMMANDS.items() if how == HERE}):
            (place / "user-data.b64").unlink(missing_ok=True)
            done = subprocess.run(["sh", "-ec", line], cwd=place, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
            if "user-data.b64" in line:
                size = (place / "user-data.b64").stat().st_size
                assert 1000 < size <= (40_000 if "--fetch-url" in line or "--without-binary" in line else 1_000_000), f"{line}: {size}"

    def always(self):
        return {"every command line is tried": self.complete}

    def of_the_agent(self):
        return {"command lines of the documents": self.run_here}
