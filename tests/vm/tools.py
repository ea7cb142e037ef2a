"""The programs that the run needs on this machine."""

import os
import shutil
import subprocess
import sys

# Program -> Debian package that ships it.
PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "xorriso": "xorriso",
    "socat": "socat",
    "apt-ftparchive": "apt-utils",
    "dpkg-deb": "dpkg",
    "gpg": "gpg",
    "gpg-agent": "gpg-agent",
    "gpgconf": "gpgconf",
    "curl": "curl",
}

# mke2fs and debugfs live here, outside an ordinary user's PATH.
SEARCH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


class Failure(Exception):
    """Something that ends the run; the text is for the person who started it."""


def find(program):
    path = shutil.which(program, path=SEARCH)
    if path is None:
        raise Failure(f"{program} is not installed")
    return path


def run(*command, into=None, **options):
    """Run a command to its end, its standard output going into the file `into`.

    Without `into` the output, errors included, is returned."""
    command = [str(word) for word in command]
    command[0] = find(command[0])
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    done = subprocess.run(
        command, stdout=into or subprocess.PIPE, stderr=subprocess.PIPE if into else subprocess.STDOUT,
        text=True, errors="replace", check=False, **options,
    )
    said = done.stderr if into else done.stdout
    if done.returncode != 0:
        tail = "\n".join(said.splitlines()[-30:])
        raise Failure(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{tail}")
    return said


def ensure():
    """Install the missing programs, or say which packages have them."""
    missing = [name for name in PACKAGES if shutil.which(name, path=SEARCH) is None]
    if not missing:
        return
    packages = sorted({PACKAGES[name] for name in missing})
    wanted = "apt-get install --no-install-recommends " + " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Failure(f"missing: {', '.join(missing)}\nas root: {wanted}")
    print(f"vm: installing {' '.join(packages)}", file=sys.stderr, flush=True)
    quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run("apt-get", "update", env=quiet)
    run("apt-get", "install", "-y", "--no-install-recommends", *packages, env=quiet)
