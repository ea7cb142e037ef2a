"""Throw-away roots: overlays of this machine's root, in memory."""

import os
import shutil
import subprocess
import time
from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "TERM": "dumb",
}

# What these tests look for must not come from the machine they run on.
OURS = (
    "etc/arc-enroll",
    "usr/local/bin/arc-enroll",
    "usr/bin/arc-enroll",
    "var/lib/arc-enroll",
    "var/lib/cloud",
    "var/lib/rpm",
    "etc/cloud/cloud-init.disabled",
    "usr/sbin/policy-rc.d",
)


# The target of a boot: what systemd itself needs, and timers.
TARGET = "[Unit]\nDescription=Enough to run units\nRequires=timers.target\nAfter=timers.target\n"

# Mounts what systemd wants to find, and becomes it.
BOOT = """\
root=$1
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mount -t cgroup2 none "$root/sys/fs/cgroup"
exec chroot "$root" env -i container=test /lib/systemd/systemd --system --log-target=null --show-status=0
"""


class Roots:
    """Makes roots below one directory, all from the same layers."""

    def __init__(self, directory, tools):
        self.directory = Path(directory)
        self.count = 0
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
        self.layers = ["/"]
        self.layers.insert(0, self.with_tools(tools))

    def mounted(self):
        """A new root over the layers, and the directory that takes what is written to it."""
        self.count += 1
        place = self.directory / str(self.count)
        for name in ("upper", "work", "root"):
            (place / name).mkdir(parents=True)
        options = f"lowerdir={':'.join(self.layers)},upperdir={place}/upper,workdir={place}/work"
        root = place / "root"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
        for name in ("run", "tmp", "dev"):
            mode = "1777" if name == "tmp" else "755"
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", root / name], check=True)
        for name in ("null", "zero", "full", "random", "urandom"):
            (root / "dev" / name).touch()
            subprocess.run(["mount", "--bind", f"/dev/{name}", root / "dev" / name], check=True)
        for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            (root / "dev" / name).symlink_to(f"/proc/self/fd{target}")
        # Terminals of its own, for the shells.
        (root / "dev/pts").mkdir()
        subprocess.run(
            ["mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", root / "dev/pts"],
            check=True,
        )
        (root / "dev/ptmx").symlink_to("pts/ptmx")
        return root, place / "upper"

    def with_tools(self, tools):
        """A layer with the packages that the tests need, and man pages, which containers may leave out."""
        root, upper = self.mounted()
        for name in ("resolv.conf", "hosts"):
            # In containers these are mounts, which an overlay does not show.
            shutil.copyfile(f"/etc/{name}", root / "etc" / name)
        for exclusion in (root / "etc/dpkg/dpkg.cfg.d").glob("*"):
            if "path-exclude" in exclusion.read_text():
                exclusion.unlink()
        script = f"apt-get update -q && apt-get install -qy --no-install-recommends {' '.join(tools)}"
        done = Root(root).run(["sh", "-c", script], network=True, timeout=600)
        if done.returncode != 0:
            raise SystemExit(f"the tools cannot be installed:\n{done.stdout[-2000:]}")
        return str(upper)

    def new(self):
        """A root without anything of ours."""
        root, _ = self.mounted()
        for name in OURS:
            path = root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        return Root(root)


class Root:
    """One root, and what can be done in it."""

    def __init__(self, path):
        self.base = path

    def command(self, words, network=False):
        """The command line that runs these words in the root, and ends whatever they leave behind."""
        spaces = ["--mount", "--pid", "--uts", "--fork", "--kill-child"] + ([] if network else ["--net"])
        return [
            "unshare",
            *spaces,
            "sh",
            "-c",
            'root="$1"; shift; mount -t proc proc "$root/proc" && exec chroot "$root" "$@"',
            "sh",
            str(self.base),
            *words,
        ]

    def run(self, words, network=False, timeout=120):
        """Runs a command; its output and errors are returned as one text."""
        return subprocess.run(
            self.command(words, network),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
            text=True,
            errors="replace",
        )

    def done(self, *words):
        """Runs a command that has to succeed; what it printed."""
        finished = self.run(list(words))
        assert (
            finished.returncode == 0
        ), f"{' '.join(words)}: exit {finished.returncode}: {finished.stdout[-1500:]}"
        return finished.stdout

    def path(self, name):
        return self.base / name.lstrip("/")

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def text(self, name):
        return self.path(name).read_text(encoding="utf-8")

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def take(self, file, name=None):
        """Copies a file of this machine into the root."""
        target = self.path(name or f"/root/{Path(file).name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        return "/" + str(target.relative_to(self.base))

    def mode(self, name):
        status = self.path(name).lstat()
        return f"{status.st_mode & 0o7777:04o} {status.st_uid}:{status.st_gid}"

    def boot(self):
        """Boots systemd in the root, without network."""
        self.write("/etc/fstab", "")
        self.path("/etc/systemd/system/default.target").unlink(missing_ok=True)
        self.write("/etc/systemd/system/default.target", TARGET)
        return Booted(self.base)


class Booted(Root):
    """A root in which systemd runs: commands go into its namespaces."""

    def __init__(self, base):
        super().__init__(base)
        spaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child"]
        self.unshare = subprocess.Popen(
            ["unshare", *spaces, "sh", "-euc", BOOT, "sh", str(base)], stdin=subprocess.DEVNULL
        )
        children = Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")
        deadline = time.monotonic() + 60
        self.first = None
        while time.monotonic() < deadline and self.unshare.poll() is None:
            self.first = children.read_text().strip() or None
            if self.first and "running" in self.run(["systemctl", "is-system-running"]).stdout:
                return
            time.sleep(0.1)
        raise AssertionError("systemd does not come up in a root")

    def command(self, words, network=False):
        return [
            "nsenter",
            "--target",
            self.first,
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--net",
            "--root",
            "--wd",
            *words,
        ]

    def end(self):
        self.unshare.kill()
        self.unshare.wait()
