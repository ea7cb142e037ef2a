"""The script that unpacks the program on the VM, run on machines with xz, with Python, with both and with neither."""

import base64
import gzip
import hashlib
import re
import subprocess
from pathlib import Path

from fetch import BINARY, assert_timer_is_set_up, lines_of

SCRIPT = "/usr/local/sbin/arc-enroll-unpack"
PACKED = "/usr/local/lib/arc-enroll.xz"
UNIT = "/etc/systemd/system/arc-enroll-unpack"
NEWEST = "testing"
LZMA = ["usr/lib/python3*/lzma.py", "usr/lib/python3*/lib-dynload/_lzma*"]
XZ = ["usr/bin/xz*", "bin/xz*"]
TOOLS = {"only xz": LZMA, "only Python": XZ, "both": [], "neither": [*LZMA, *XZ]}

# In place of the agent: static, so that it runs in the root of any distribution.
STAND_IN = r"""
#include <stdio.h>
#include <string.h>
int main(int count, char **words) {
    if (count < 2 || !strcmp(words[1], "--version")) return 0;
    FILE *file = fopen("/root/started", "a");
    fprintf(file, "%s\n", words[1]);
    fclose(file);
    puts("stand-in ran");
    return EXIT_CODE;
}
"""


class UnpackChecks:
    """Checks of user-data that carries the program."""

    def __init__(self, checks):
        self.checks, self.machines, self.scratch = checks, checks.machines, checks.scratch

    def program(self, exit_code=0):
        """The file of a stand-in that exits so."""
        path = self.scratch / f"stand-in-{exit_code}"
        if not path.exists():
            command = ["cc", "-Os", "-s", "-static", f"-DEXIT_CODE={exit_code}", "-x", "c", "-", "-o", path]
            subprocess.run(command, input=STAND_IN, text=True, check=True)
        return path

    def made(self, program, *options, include=None):
        return self.checks.written("--agent", program, *options, include=include)

    def parts(self, program):
        """The script and the packed program, out of the text of the user-data."""
        text = self.made(program).decode()
        script, packed = (
            base64.b64decode(re.search(rf"- path: {path}\n.*?  content: (\S+)\n", text, re.DOTALL)[1]) for path in (SCRIPT, PACKED)
        )
        return gzip.decompress(script).decode(), packed

    def machine(self, script, packed, hidden=(), files=()):
        files = [(SCRIPT.lstrip("/"), script.encode()), *files]
        machine = self.machines.fresh(files if packed is None else [*files, (PACKED.lstrip("/"), packed)])
        self.hide(machine, hidden)
        return machine

    @staticmethod
    def hide(machine, patterns):
        for pattern in patterns:
            for path in machine.root.glob(pattern):
                path.unlink()

    def assert_unpacked(self, machine, program, times=1):
        assert machine.read(BINARY) == program.read_bytes() and machine.mode(BINARY) == "0755 0:0"
        assert machine.text("/root/started") == "enroll\n" * times, machine.text("/root/started")
        assert machine.read(PACKED) is None, "the packed program is still there"
        left = [path.name for path in machine.path("/usr/local/bin").glob("arc-enroll*")]
        assert left == ["arc-enroll"], left

    def assert_failed(self, machine, output, words):
        last = lines_of(output)[-1]
        ended = (last["event"], last["condition"], last["fault"], last["exit_code"], last["outcome"])
        assert ended == ("run.finished", "host", "binary.unpack", 3, "failed"), output
        shown = f"{last['message']} {last['next']}"
        for word in [*words, f"sudo sh {SCRIPT}"]:
            assert word in shown, f"{word!r} is not in {output}"
        assert machine.read("/root/started") is None, "it was started"
        left = [path.name for path in machine.path("/usr/local/bin").glob("arc-enroll.unpacked*")]
        assert not left, left

    # Whole boots.

    def boots(self, machines):
        program = self.program()
        user_data = self.made(program)
        for name, hidden in TOOLS.items():
            machine = machines.boot(user_data, prepare=lambda machine, hidden=hidden: self.hide(machine, hidden))
            output = machine.text("/var/log/cloud-init-output.log")
            try:
                if name == "neither":
                    self.assert_failed(machine, output, ["neither xz nor a Python with the module lzma", "Install xz"])
                    assert machine.status()[0] == "status: error", machine.status()
                    assert machine.mode(PACKED) == "0600 0:0" and machine.mode(SCRIPT) == "0700 0:0"
                else:
                    self.assert_unpacked(machine, program)
                    assert machine.status()[0] == "status: done" and not lines_of(output), f"{machine.status()}: {output}"
            except AssertionError as problem:
                raise AssertionError(f"{name}: {problem}: {output}") from problem

    def boots_here(self):
        self.boots(self.machines)

    def boots_newest(self):
        machines = self.machines.release(NEWEST, "cloud-init", "xz-utils")
        self.boots(machines)
        user_data = self.made(self.program(17), "--gzip", include="#cloud-config\nwrite_files: [{path: /root/theirs, content: a}]\n")
        machine = machines.boot(user_data)
        word, errors = machine.status()
        assert word == "status: error" and "zz-arc-enroll" in errors, f"{word}: {errors}"
        assert machine.text("/root/theirs") == "a"
        self.assert_unpacked(machine, self.program(17))

    def exit_code(self):
        for include, where in ((None, "runcmd"), ("#!/bin/sh\nexit 0\n", "zz-arc-enroll")):
            machine = self.machines.boot(self.made(self.program(17), include=include))
            word, errors = machine.status()
            assert word == "status: error" and f"1 failures ({where})" in errors, f"{word}: {errors}"
            self.assert_unpacked(machine, self.program(17))

    # The script alone.

    def again(self):
        """A second run starts the program and writes nothing; another program that was put there stays."""
        program = self.program()
        script, packed = self.parts(program)
        machine = self.machine(script, packed, files=[(f"{BINARY.lstrip('/')}.unpacked.7", b"half"), (BINARY.lstrip("/"), b"old")])
        assert machine.run(["sh", SCRIPT]).returncode == 0
        self.assert_unpacked(machine, program)
        before = machine.path(BINARY).stat()
        machine.path(PACKED).write_bytes(packed)
        for times in (2, 3):
            done = machine.run(["sh", SCRIPT], text=True)
            assert (done.returncode, done.stdout) == (0, "stand-in ran\n"), done
            self.assert_unpacked(machine, program, times)
            after = machine.path(BINARY).stat()
            assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns), "it was written again"
        other = self.program(17)
        machine.path(BINARY).write_bytes(other.read_bytes())
        assert machine.run(["sh", SCRIPT]).returncode == 17
        self.assert_unpacked(machine, other, 4)

    def faults(self):
        program = self.program()
        script, packed = self.parts(program)
        right = hashlib.sha256(program.read_bytes()).hexdigest()
        wrong = script.replace(right, "0" * 64)
        flipped = packed[:2000] + bytes([packed[2000] ^ 1]) + packed[2001:]
        memory = "mount -t tmpfs -o {} tmpfs /usr/local/bin\n"
        neither = ["neither xz nor a Python", "xz-utils on Debian and Ubuntu"]
        for name, script_, packed_, hidden, before, words in (
            ("neither", script, packed, TOOLS["neither"], "", neither),
            ("another digest", wrong, packed, (), "", ["xz gives SHA-256 " + right, "python3 gives SHA-256 " + right, "0" * 64]),
            ("damaged", script, flipped, (), "", ["does not hold the program", "corrupt"]),
            ("damaged, only Python", script, flipped, XZ, "", ["does not hold the program", "Corrupt"]),
            ("cut short", script, packed[:5000], (), "", ["does not hold the program", "Unexpected end"]),
            ("empty", script, b"", (), "", ["does not hold the program"]),
            ("not written", script, None, (), "", ["cloud-init single --name write_files --frequency always"]),
            ("no space", script, packed, (), memory.format("size=64k"), ["cannot be written", "KiB; df: tmpfs", "Make room"]),
            ("read-only", script, packed, (), memory.format("ro"), ["cannot be written", "Read-only", "mount it writable"]),
            ("noexec", script, packed, (), memory.format("noexec"), ["mounted noexec"]),
        ):
            machine = self.machine(script_, packed_, hidden)
            done = machine.run(["sh", "-c", f"{before}sh {SCRIPT}"], text=True)
            try:
                assert done.returncode == 3 and len(lines_of(done.stdout)) == 1, f"{done.returncode}"
                self.assert_failed(machine, done.stdout, words)
            except AssertionError as problem:
                raise AssertionError(f"{name}: {problem}: {done.stdout}{done.stderr}") from problem

    def interpreters(self):
        """cloud-init's own interpreter is found by its shebang, in each of its forms, and none is needed but it."""
        program = self.program()
        script, packed = self.parts(program)
        for shebang in ("#!/opt/python/bin/python3", "#! /opt/python/bin/python3 -s", "#!/usr/bin/env /opt/python/bin/python3"):
            files = [("usr/local/bin/cloud-init", f"{shebang}\nprint()\n".encode())]
            machine = self.machine(script, packed, XZ, files)
            machine.path("/opt/python/bin").mkdir(parents=True)
            for name in ("python3", "platform-python", "python"):
                for path in (machine.path(f"/usr/bin/{name}"), machine.path(f"/usr/libexec/{name}")):
                    path.unlink(missing_ok=True)
            versions = sorted(machine.path("/usr/bin").glob("python3.*[0-9]"))
            machine.path("/opt/python/bin/python3").symlink_to(f"/usr/bin/{versions[0].name}")
            machine.path("/usr/bin/sha256sum").unlink()
            done = machine.run(["sh", SCRIPT], text=True)
            assert done.returncode == 0, f"{shebang}: {done.stdout}{done.stderr}"
            self.assert_unpacked(machine, program)

    def busybox(self):
        """With the shell and the tools of busybox, whose xz lacks the filter for x86 code: Python is asked then."""
        program = self.program()
        script, packed = self.parts(program)
        run = "mkdir /bb && /bin/busybox --install -s /bb && PATH=/bb exec /bin/busybox sh " + SCRIPT
        machine = self.machine(script, packed)
        done = machine.run(["sh", "-c", run], text=True)
        self.assert_failed(machine, done.stdout, ["xz gives SHA-256", "corrupted data"])
        machine = self.machine(script, packed)
        done = machine.run(["sh", "-c", run.replace("&& PATH", "&& ln -s /usr/bin/python3 /bb && PATH")], text=True)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        self.assert_unpacked(machine, program)

    def releases(self):
        """The oldest and the newest supported release of Debian, with the shell and the tools that they have."""
        program = self.program()
        script, packed = self.parts(program)
        for suite, packages in (("bullseye", ["xz-utils"]), ("trixie", ["python3"])):
            machine = self.machines.release(suite, *packages).fresh([(SCRIPT.lstrip("/"), script.encode()), (PACKED.lstrip("/"), packed)])
            done = machine.run(["sh", SCRIPT], text=True)
            assert done.returncode == 0, f"{suite}: {done.stdout}{done.stderr}"
            self.assert_unpacked(machine, program)

    def timer(self):
        """With systemd, a timer retries after a failure, and is removed after a success."""
        program = self.program()
        script, packed = self.parts(program)
        systemctl = b'#!/bin/sh\necho "$*" >> /systemctl\n'
        machine = self.machine(script, packed, TOOLS["neither"], [("usr/local/sbin/systemctl", systemctl)])
        machine.path("/run/systemd/system").mkdir(parents=True)
        for _ in range(2):
            failed = machine.run(["sh", SCRIPT], text=True)
            self.assert_failed(machine, failed.stdout, ["arc-enroll-unpack.timer tries again"])
        begun = assert_timer_is_set_up(machine, "arc-enroll-unpack")
        command = re.search(r"^ExecStart=(.*)$", machine.text(f"{UNIT}.service"), re.MULTILINE)[1]
        # What the message says is done.
        machine.path("/usr/bin/xz").write_bytes(Path("/usr/bin/xz").read_bytes())
        machine.path("/usr/bin/xz").chmod(0o755)
        done = machine.run(["sh", "-c", command], text=True)
        assert (done.returncode, done.stdout) == (0, ""), f"{done.stdout}{done.stderr}"
        assert machine.text("/var/log/cloud-init-output.log") == "stand-in ran\n"
        ended = "--quiet disable --now arc-enroll-unpack.timer\ndaemon-reload\n"
        assert machine.text("/systemctl") == begun + ended, machine.text("/systemctl")
        assert machine.read(f"{UNIT}.timer") is None and machine.read(f"{UNIT}.service") is None
        self.assert_unpacked(machine, program)

    def conflicts(self):
        for path in (BINARY, SCRIPT, PACKED):
            include = f"#cloud-config\nwrite_files: [{{path: {path}}}]\n"
            code, output, error = self.checks.user_data("--agent", self.program(), include=include)
            assert code == 2 and not output and path in error, f"{path}: {code}, {error}"

    def lint(self):
        filled = self.scratch / "unpack.sh"
        filled.write_text(self.parts(self.program())[0])
        done = subprocess.run(["shellcheck", "--shell=sh", filled], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    def all(self):
        return {
            "unpack script boots with xz, Python, both and neither": self.boots_here,
            "unpack script boots with the newest cloud-init": self.boots_newest,
            "unpack script: the program's exit code": self.exit_code,
            "unpack script: again": self.again,
            "unpack script: every fault": self.faults,
            "unpack script: interpreters": self.interpreters,
            "unpack script: busybox": self.busybox,
            "unpack script: other releases": self.releases,
            "unpack script: a timer after a failure": self.timer,
            "unpack script: files of both sides": self.conflicts,
            "unpack script passes shellcheck": self.lint,
        }
