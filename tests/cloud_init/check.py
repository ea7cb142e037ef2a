"""Every example, and every form of `arc-enroll user-data`, booted with cloud-init. Started by `run`."""

import base64
import gzip
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from commands import CommandChecks
from fetch import FetchChecks
from machine import Machines
from unpack import UnpackChecks

EXAMPLES = Path("cloud-init")
BINARY = "/usr/local/bin/arc-enroll"
CONFIGURATION = "/etc/arc-enroll/config.yaml"

# The placeholders of the examples, and their replacements.
VALUES = {
    "00000000-0000-0000-0000-000000000000": "11111111-2222-3333-4444-555555555555",
    "my-resource-group": "edge-rg",
}

CONFIGURED = """\
# kept as it stands
azure:
  subscription_id: 11111111-2222-3333-4444-555555555555
  resource_group: edge-rg
  location: eastus
  tags: {owner: "Team 4, edge"}
wait:
  boot: 20s
"""

# A cloud-config with what is easily lost: values that YAML 1.1 and 1.2 read differently, text beyond ASCII,
# merging instructions, a file that cannot be written, commands that end the script.
THEIRS = """\
#cloud-config
# Ein Kommentar mit ümlaut
merge_how: dict(replace)+list()+str()
x-values: [0644, "0644", yes, "yes", on, off, 12:30:45, "12:30:45", 1_000, 0o17, 0x1F, 1e3, ~, 2001-01-01, "="]
x-anchor: &anchor {a: 1}
x-alias: {<<: *anchor, b: 2}
write_files:
- path: /root/theirs
  permissions: 0640
  content: |
    grüße {{ name }}
- path: /root/binary
  content: !!binary aGVsbG8A/w==
- path: /root/stops-here
  owner: no-such-user:root
runcmd:
- echo "theirs, 1"
- [sh, -c, 'echo "theirs, $1"', sh, "2"]
- set -e
- exit 3
"""

SAME_VALUES = """\
import pprint
from cloudinit import util
theirs = util.load_yaml(open("/theirs").read())
merged = util.load_yaml(open("/var/lib/cloud/instance/cloud-config.txt").read())
theirs.pop("merge_how")
merged["write_files"] = merged["write_files"][3:]
for key in sorted(set(theirs) | set(merged)):
    sent, arrived = (pprint.pformat(side.get(key)) for side in (theirs, merged))
    if sent != arrived:
        print(key, sent, "arrived as", arrived)
"""


def stand_in(exit_code):
    """A program in place of the agent. The bytes after its `exit` show whether it arrives unchanged."""
    script = f'#!/bin/sh\necho "$*" >> /root/started\necho "stand-in ran"\nexit {exit_code}\n'
    return script.encode() + bytes(range(256)) * 40


class Checks:
    """Runs the checks one after the other and counts."""

    def __init__(self, machines, scratch, agent, vm_agent):
        self.machines, self.scratch, self.agent = machines, Path(scratch), agent
        # Given to the agent where it carries none.
        self.program = ["--agent", vm_agent] if vm_agent else []
        self.vm_agent = vm_agent or (agent and str(Path(agent).parent / "vm/arc-enroll"))
        self.passed = self.failed = 0

    def run(self, name, check):
        if not all(word in name for word in sys.argv[1:]):
            return
        try:
            check()
        except Exception as problem:  # Whatever a check fails with counts as its failure.
            self.failed += 1
            where = traceback.extract_tb(problem.__traceback__)[-1].line
            print(f"FAILED  {name}: {problem or where}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {name}", flush=True)

    # What is asked of each machine.

    def assert_installed(self, machine, binary):
        assert machine.read(BINARY) == binary, f"{BINARY} is not the binary that was sent"
        assert machine.mode(BINARY) == "0755 0:0", f"{BINARY} is {machine.mode(BINARY)}"
        assert machine.mode(CONFIGURATION) == "0600 0:0", f"{CONFIGURATION} is {machine.mode(CONFIGURATION)}"

    def assert_valid(self, text):
        """cloud-init's own check of a cloud-config."""
        machine = self.tool()
        machine.path("/checked").write_bytes(text)
        done = machine.run(["cloud-init", "schema", "--config-file", "/checked"], text=True)
        assert done.returncode == 0, f"cloud-init schema: {done.stdout}{done.stderr}"

    def tool(self):
        """One machine for what needs cloud-init but no boot."""
        if not hasattr(self, "_tool"):
            self._tool = self.machines.boot(b"#cloud-config\n{}\n")
        return self._tool

    # The examples.

    def assembled(self, name, binary, changes=()):
        """An example with its placeholders replaced, after running the command that it names."""
        text = (EXAMPLES / name).read_text(encoding="ascii")
        for placeholder, value in [*VALUES.items(), *changes]:
            assert placeholder in text, f"{name} has no {placeholder}"
            text = text.replace(placeholder, value)
        directory = Path(tempfile.mkdtemp(dir=self.scratch))
        (directory / name).write_text(text, encoding="ascii")
        (directory / "arc-enroll").write_bytes(binary)
        commands = re.findall(r"^[# ]*(\{ .* > user-data)$", text, re.MULTILINE)
        if commands:
            subprocess.run(["sh", "-ec", commands[0]], cwd=directory, check=True)
        else:
            (directory / "user-data").write_text(text)
        command = re.search(r"base64 < \S+ \| tr -d '\\n' > user-data\.b64", text)
        assert command, f"{name} does not say how to make user-data.b64"
        subprocess.run(["sh", "-ec", command[0].replace(name, "user-data")], cwd=directory, check=True)
        return base64.b64decode((directory / "user-data.b64").read_bytes(), validate=True)

    def assert_configured(self, machine):
        text = machine.text(CONFIGURATION)
        assert "subscription_id: 11111111-2222-3333-4444-555555555555 " in text, text
        assert text.startswith("azure:\n  subscription_id:") and text.endswith("\nidentity: system\n"), text
        if self.agent:
            self.assert_agent_accepts(text)

    def assert_agent_accepts(self, text):
        file = self.scratch / "validated.yaml"
        file.write_text(text)
        done = subprocess.run([self.agent, "validate", "--config", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"validate: {done.stdout}{done.stderr}"

    def example(self, name, exit_code, script, changes=(), files=()):
        """Boots an example whose stand-in exits so; `script` is the one cloud-init has to name if it fails."""
        binary = stand_in(exit_code)
        machine = self.machines.boot(self.assembled(name, binary, changes), files)
        self.assert_installed(machine, binary)
        self.assert_configured(machine)
        assert machine.text("/root/started") == "enroll\n", f"started: {machine.text('/root/started')!r}"
        output = machine.text("/var/log/cloud-init-output.log")
        assert "stand-in ran" in output, output
        word, errors = machine.status()
        if exit_code == 0:
            assert word == "status: done" and not errors, f"{word}: {errors}"
        else:
            assert word == "status: error" and f"1 failures ({script})" in errors, f"{word}: {errors}"
        return machine

    def cloud_config(self):
        self.assert_valid((EXAMPLES / "cloud-config.yaml").read_bytes())
        self.assert_valid(self.assembled("cloud-config.yaml", stand_in(0)))
        self.example("cloud-config.yaml", 0, "runcmd")

    def cloud_config_fails(self):
        self.example("cloud-config.yaml", 17, "runcmd")

    def script(self):
        self.example("script.sh", 0, "part-001")

    def script_fails(self):
        self.example("script.sh", 17, "part-001")

    def multi_part(self):
        text = (EXAMPLES / "multi-part.txt").read_bytes()
        configs = [part.split(b"\n--==part==")[0] for part in text.split(b"\n\n#cloud-config\n")[1:]]
        assert len(configs) == 2, f"{len(configs)} cloud-configs"
        for config in configs:
            self.assert_valid(b"#cloud-config\n" + config)
        for exit_code in (0, 17):
            machine = self.example("multi-part.txt", exit_code, "zz-arc-enroll")
            assert machine.text("/etc/motd") == "An example.\n", "the user's own file is not there"
            assert "your own command ran" in machine.text("/var/log/cloud-init-output.log")

    def configuration(self):
        text = (EXAMPLES / "config.yaml").read_text(encoding="ascii")
        self.assert_agent_accepts(text)

    # What the agent writes.

    def user_data(self, *options, include=None, configuration=CONFIGURED):
        """Runs `arc-enroll user-data`; gives its exit code, standard output and standard error."""
        directory = Path(tempfile.mkdtemp(dir=self.scratch))
        (directory / "config.yaml").write_text(configuration)
        needed = not {"--agent", "--without-binary", "--fetch-sha256"} & set(options)
        program = self.program if needed else []
        command = [self.agent, "user-data", "--config", directory / "config.yaml", *program, *options]
        if include is not None:
            (directory / "include").write_text(include)
            command += ["--include", directory / "include"]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr.decode()

    def written(self, *options, **texts):
        code, user_data, error = self.user_data(*options, **texts)
        assert code == 0, f"user-data exits with {code}: {error}"
        return user_data

    def enrolled(self, user_data, script, files=(), configuration=CONFIGURED):
        """Boots the user-data of the agent. Without a network the agent starts, reports that and fails."""
        machine = self.machines.boot(user_data, files)
        self.assert_installed(machine, Path(self.vm_agent).read_bytes())
        assert machine.text(CONFIGURATION) == configuration, machine.text(CONFIGURATION)
        output = machine.text("/var/log/cloud-init-output.log")
        assert '"event":"run.finished"' in output, f"no run.finished in: {output[-1000:]}"
        word, errors = machine.status()
        assert word == "status: error" and script in errors, f"{word}: {errors}"
        return machine

    def agent_text(self):
        user_data = self.written()
        self.assert_valid(user_data)
        assert self.written() == user_data, "the same input gives other user-data"
        assert base64.b64decode(self.written("--base64"), validate=True) == user_data
        self.enrolled(user_data, "1 failures (runcmd) in 1")

    def agent_gzip(self):
        configuration = CONFIGURED + "# für alle\t\n\n"
        user_data = self.written("--gzip", configuration=configuration)
        plain = gzip.decompress(user_data)
        assert plain == self.written(configuration=configuration)
        assert base64.b64decode(self.written("--gzip", "--base64", configuration=configuration), validate=True) == user_data
        self.assert_valid(plain)
        self.enrolled(user_data, "1 failures (runcmd) in 1", configuration=configuration)

    def agent_with_cloud_config(self):
        for options in ((), ("--gzip",)):
            user_data = self.written(*options, include=THEIRS)
            machine = self.enrolled(user_data, "2 failures (runcmd,zz-arc-enroll) in 2", [("theirs", THEIRS.encode())])
            same = machine.run(["/usr/bin/python3", "-c", SAME_VALUES], text=True)
            assert same.returncode == 0 and not same.stdout, f"{same.stdout}{same.stderr}"
            assert machine.text("/root/theirs") == "grüße {{ name }}\n", machine.text("/root/theirs")
            assert machine.mode("/root/theirs") == "0640 0:0", machine.mode("/root/theirs")
            assert machine.read("/root/binary") == b"hello\0\xff"
            output = machine.text("/var/log/cloud-init-output.log")
            order = [output.find(text) for text in ("theirs, 1", "theirs, 2", '"event":"run.finished"')]
            assert -1 not in order and order == sorted(order), f"{order}: {output}"

    def agent_with_script(self):
        script = "#!/bin/sh\n# für alle\necho their script\nexit 4\n"
        machine = self.enrolled(self.written(include=script), "2 failures (part-001,zz-arc-enroll) in 2")
        assert "their script" in machine.text("/var/log/cloud-init-output.log")

    def agent_with_template(self):
        template = (
            "## template: jinja\n#cloud-config\nwrite_files:\n- path: /root/theirs\n"
            "  content: '{{ v1.instance_id }}'\nruncmd: ['true']\n"
        )
        machine = self.enrolled(self.written(include=template), "1 failures (zz-arc-enroll) in 2")
        assert machine.text("/root/theirs") == "test", machine.text("/root/theirs")

    def agent_with_message(self):
        """A multi-part message made by cloud-init's own tool."""
        machine = self.tool()
        machine.path("/theirs.yaml").write_text("#cloud-config\nwrite_files: [{path: /root/theirs, content: a}]\n")
        machine.path("/theirs.sh").write_text("#!/bin/sh\necho their script\n")
        made = machine.run(
            ["cloud-init", "devel", "make-mime", "-a", "/theirs.yaml:cloud-config", "-a", "/theirs.sh:x-shellscript"], text=True
        )
        assert made.returncode == 0, made.stderr
        machine = self.enrolled(self.written(include=made.stdout), "1 failures (zz-arc-enroll) in 2")
        assert machine.text("/root/theirs") == "a"
        assert "their script" in machine.text("/var/log/cloud-init-output.log")

    def agent_refuses(self):
        wrong = {
            "runcmd: [date]\n": "#cloud-config",
            "#cloud-config\na: [\n": "YAML",
            "#cloud-config\nwrite_files:\n": "write_files",
            f"#cloud-config\nwrite_files: [{{path: {CONFIGURATION}}}]\n": CONFIGURATION,
        }
        for include, word in wrong.items():
            code, output, error = self.user_data(include=include)
            assert code == 2 and not output and word in error, f"{include!r}: {code}, {error}"
        code, output, error = self.user_data(configuration="azure: {}\n")
        assert code == 2 and not output and "subscription_id" in error, f"{code}, {error}"

    def all(self):
        commands = CommandChecks(self)
        examples = {
            "cloud-config.yaml enrolls": self.cloud_config,
            "cloud-config.yaml reports a failed enrollment": self.cloud_config_fails,
            "script.sh enrolls": self.script,
            "script.sh reports a failed enrollment": self.script_fails,
            "multi-part.txt joins both sides": self.multi_part,
        }
        agent = {
            "config.yaml is valid": self.configuration,
            "user-data boots": self.agent_text,
            "user-data --gzip boots": self.agent_gzip,
            "user-data --include cloud-config loses nothing": self.agent_with_cloud_config,
            "user-data --include script": self.agent_with_script,
            "user-data --include jinja template": self.agent_with_template,
            "user-data --include multi-part message": self.agent_with_message,
            "user-data refuses what would be lost": self.agent_refuses,
            **commands.of_the_agent(),
        }
        for name, check in [*examples.items(), *commands.always().items()]:
            self.run(name, check)
        if not self.agent:
            print("note: AGENT is not set; what `arc-enroll user-data` writes was not checked")
            return
        for name, check in [*agent.items(), *FetchChecks(self).all().items(), *UnpackChecks(self).all().items()]:
            self.run(name, check)


def main():
    agent, vm_agent = (os.environ.get(name) and str(Path(os.environ[name]).resolve(strict=True)) for name in ("AGENT", "VM_AGENT"))
    with tempfile.TemporaryDirectory() as memory, tempfile.TemporaryDirectory() as scratch:
        checks = Checks(Machines(memory), scratch, agent, vm_agent)
        try:
            checks.all()
        finally:
            subprocess.run(["umount", "--recursive", memory], check=False)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
