"""The servers around the VM: IMDS sidecar, CSN proxy and Azure, all of them the
simulated Nexus of tests/nexus, run on this machine."""

import json
import os
import pathlib
import socket
import subprocess
import time

import machine
from tools import Failure

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = "x86_64-unknown-linux-gnu"


def build():
    """Builds `nexus` so that it also runs in the guest, whatever C library that
    has, and as small as a fast build gets: the guest installs it as azcmagent."""
    flags = dict(
        os.environ, RUSTFLAGS="-C target-feature=+crt-static",
        CARGO_PROFILE_DEV_DEBUG="0", CARGO_PROFILE_DEV_STRIP="symbols",
    )
    # With a target of its own the flags do not reach build scripts and macros.
    command = ["cargo", "build", "--locked", "--quiet", "--example", "nexus", "--target", TARGET]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=flags, stdin=subprocess.DEVNULL, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if done.returncode != 0:
        raise Failure("the simulated Nexus does not build:\n" + done.stdout[-4000:])
    folder = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
    return REPOSITORY / folder / TARGET / "debug/examples/nexus"


def free_ports(count):
    """Unused ports; opened at the same time, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [made.getsockname()[1] for made in sockets]
    for made in sockets:
        made.close()
    return ports


class Nexus:
    """`nexus serve` as long as the `with` block lasts."""

    def __init__(self, program, work, packages, plan):
        self.state = work / "nexus"
        self.state.mkdir(parents=True, exist_ok=True)
        self.log = self.state / "output.log"
        self.authority = self.state / "ca.pem"
        self.ports = free_ports(2)
        self.command = [
            str(program), "serve", "--sidecar", f"127.0.0.1:{self.ports[0]}",
            "--proxy", f"127.0.0.1:{self.ports[1]}", "--packages", str(packages),
            "--state", str(self.state), "--ca-out", str(self.authority),
        ]
        if plan:
            (self.state / "plan.json").write_text(json.dumps(plan))
            self.command += ["--plan", str(self.state / "plan.json")]
        self.process = None

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        deadline = time.monotonic() + 20
        while "CSN proxy at" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                machine.end(self.process)
                raise Failure("the simulated Nexus did not start:\n" + self.log.read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        machine.end(self.process)

    def tokens(self):
        """Every token that the sidecar gave out."""
        return (self.state / "tokens.txt").read_text().split()

    def machines(self):
        """What ARM holds in the end: Arc machines by name."""
        return json.loads((self.state / "machines.json").read_text())

    def requests(self):
        """All requests so far; the last line may be in the middle of being written."""
        file = self.state / "requests.jsonl"
        text = file.read_text() if file.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]
