"""Runs the scenarios; see `run`."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import cases
from repository import Workshop
from roots import Failure, Roots

ADDRESSES = ("169.254.169.254/32", "169.254.0.11/32")


def report(text):
    print(f"distributions: {text}", flush=True)


def make_workshop(roots):
    workshop = Workshop(roots.new(), os.environ["NEXUS"])
    newest_and_older = [workshop.newest, workshop.older]
    workshop.repository("medium", [workshop.extra])
    workshop.sites = {
        "site": workshop.site("site", newest_and_older),
        "depending": workshop.site("depending", [workshop.depending]),
        "foreign": workshop.site("foreign", [workshop.foreign], home="/workshop/other-key"),
    }
    return workshop


def prepare(directory):
    """Installs the tools with the network of this machine, then continues in a network with only the two servers."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    roots = Roots(directory)
    started = time.monotonic()
    roots.install_tools(os.environ.get("TOOLS"))
    report(f"tools ready after {time.monotonic() - started:.0f} s")
    layers = ":".join(map(str, roots.layers))
    os.environ["LAYERS"] = f"{roots.count} {layers}"
    return subprocess.run(
        ["unshare", "--net", sys.executable, sys.argv[0], "--in", directory, *sys.argv[1:]], check=False,
    ).returncode


def play_all(directory, names):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
    count, layers = os.environ["LAYERS"].split(" ")
    roots = Roots(directory)
    roots.count, roots.layers = int(count), layers.split(":")
    started = time.monotonic()
    workshop = make_workshop(roots)
    report(f"packages ready after {time.monotonic() - started:.0f} s")
    failed = 0
    for case in cases.CASES:
        if names and case.name not in names:
            continue
        began = time.monotonic()
        try:
            cases.perform(case, roots, workshop, Path(directory) / "nexus" / case.name, os.environ["NEXUS"])
            verdict = "ok"
        except (cases.Wrong, Failure, subprocess.TimeoutExpired, OSError) as error:
            failed += 1
            verdict = f"FAILED: {error}"
            if os.environ.get("DISTRIBUTIONS_TRACE"):
                traceback.print_exc()
        print(f"{case.name:<26}{case.release:<14}{time.monotonic() - began:>6.1f}  {verdict}", flush=True)
    workshop.root.remove()
    report("all of them are as they should be" if not failed else f"{failed} FAILED")
    return 1 if failed else 0


def main():
    words = sys.argv[1:]
    if words == ["--list"]:
        for case in cases.CASES:
            print(f"{case.name:<26}{case.release}")
        return 0
    if words[:1] == ["--in"]:
        return play_all(words[1], words[2:])
    known = {case.name for case in cases.CASES}
    unknown = [name for name in words if name not in known]
    if unknown:
        print(f"there is no scenario {', '.join(unknown)}; see --list", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="distributions-") as directory:
        try:
            return prepare(directory)
        finally:
            subprocess.run(["umount", "--recursive", "--lazy", directory], check=False)


if __name__ == "__main__":
    # As an interrupt: machines and servers are ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"distributions: {failure}")
