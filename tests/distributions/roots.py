"""Throw-away machines of other distributions: overlays of this root with processes of their own."""

import os
import shutil
import subprocess
from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root",
}

# Debian's own; rpmbuild, rpmsign and gpg are for the workshop that makes the repositories.
TOOLS = ("dnf", "zypper", "rpm", "createrepo-c", "gpg", "gpg-agent", "ca-certificates")

# What makes this machine a Debian one, or an enrolled one, must not be seen from there.
HIDDEN = (
    "etc/apt", "usr/bin/apt-get", "usr/bin/apt", "usr/bin/dpkg", "var/lib/dpkg/lock", "etc/debian_version",
    "etc/arc-enroll", "var/lib/arc-enroll", "var/opt/azcmagent", "opt/azcmagent", "usr/bin/azcmagent",
    "usr/local/bin/arc-enroll", "etc/environment", "var/log/cloud-init-output.log",
)


class Failure(Exception):
    """An error that ends the scenario."""


class Root:
    """A directory tree that is the root of its programs."""

    def __init__(self, place, layers):
        self.upper = place / "upper"
        self.path = place / "root"
        self.keeper = None
        for folder in (self.upper, place / "work", self.path):
            folder.mkdir(parents=True)
        options = f"lowerdir={':'.join(map(str, layers))},upperdir={self.upper},workdir={place}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.path], check=True)
        self.mount_memory()

    def mount_memory(self):
        """Mounts the file systems that are empty at boot, and the devices that programs need."""
        for name in ("run", "tmp", "dev"):
            mode = "mode=1777" if name == "tmp" else "mode=755"
            subprocess.run(["mount", "-t", "tmpfs", "-o", mode, "tmpfs", self.path / name], check=True)
        for name in ("null", "zero", "full", "random", "urandom"):
            (self.path / "dev" / name).touch()
            subprocess.run(["mount", "--bind", f"/dev/{name}", self.path / "dev" / name], check=True)
        for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            (self.path / "dev" / name).symlink_to(f"/proc/self/fd{target}")

    def start(self):
        """The first process, below which all others of this machine live."""
        self.keeper = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "sh", "-c",
             'mount -t proc proc "$0/proc" && exec chroot "$0" sh -c "echo up && exec sleep infinity"',
             self.path],
            env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        if self.keeper.stdout.readline() != "up\n":
            raise Failure("the machine does not start")
        children = Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children").read_text().split()
        self.first = children[0]

    def cut_power(self):
        """Kills every process and discards the file systems in memory."""
        self.stop()
        for name in ("run", "tmp"):
            subprocess.run(["umount", self.path / name], check=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", self.path / name], check=True)
        self.start()

    def stop(self):
        if self.keeper is not None:
            self.keeper.kill()
            self.keeper.wait()
            self.keeper.stdout.close()
            self.keeper = None

    def remove(self):
        self.stop()
        subprocess.run(["umount", "--recursive", "--lazy", self.path], check=True)
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def command(self, words):
        place = ["nsenter", f"--target={self.first}", "--mount", "--pid", "--uts", "--root", "--wd"]
        return [*place, *map(str, words)]

    def run(self, *words, environment=None, limit=120, check=True):
        """Runs a command on the machine; returns its exit code and output."""
        done = subprocess.run(
            self.command(words), env={**ENVIRONMENT, **(environment or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=limit,
            check=False,
        )
        if check and done.returncode != 0:
            raise Failure(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.returncode, done.stdout

    def begin(self, *words):
        """Starts a command on the machine without waiting for it."""
        return subprocess.Popen(
            self.command(words), env=ENVIRONMENT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )

    def file(self, name):
        return self.path / name.lstrip("/")

    def write(self, name, text, mode=0o644):
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def text(self, name):
        path = self.file(name)
        return path.read_text(errors="replace") if path.is_file() else ""

    def hide(self, *names):
        for name in names:
            path = self.file(name)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


class Roots:
    """Makes roots below one directory in memory, all from the same layers."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.count = 0
        self.layers = ["/"]

    def new(self):
        self.count += 1
        return Root(self.directory / str(self.count), self.layers)

    def add_layer(self, root):
        """What was written to this root is below every later one."""
        root.stop()
        subprocess.run(["umount", "--recursive", "--lazy", root.path], check=True)
        self.layers.insert(0, root.upper)

    def install_tools(self, kept):
        """The layer that has the package managers: unpacked from the file `kept` where there is one already,
        otherwise installed, which needs the network, and left there for the next run."""
        root = self.new()
        if kept and Path(kept).exists():
            root.stop()
            subprocess.run(["umount", "--recursive", "--lazy", root.path], check=True)
            subprocess.run(["tar", "--xattrs", "-xf", kept, "-C", root.upper], check=True)
            self.layers.insert(0, root.upper)
            return
        for name in ("resolv.conf", "hosts"):
            # In containers these are mounts, which an overlay does not show.
            root.hide(f"/etc/{name}")
            shutil.copyfile(f"/etc/{name}", root.file(f"/etc/{name}"))
        root.start()
        # Services that a package starts would run outside of this network and memory.
        root.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        root.run("apt-get", "update", "-q", environment=quiet, limit=300)
        root.run("apt-get", "install", "-qy", "--no-install-recommends", *TOOLS, environment=quiet, limit=600)
        root.hide("/etc/resolv.conf", "/var/cache/apt/archives")
        self.add_layer(root)
        if kept:
            subprocess.run(["tar", "--xattrs", "-cf", kept, "-C", root.upper, "."], check=True)
