"""A throw-away machine that boots user-data: cloud-init's four stages in an overlay of this root."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

# Only what the user-data of these tests asks for: growing disks or making host keys is not the point.
SETTINGS = """\
datasource_list: [NoCloud, None]
cloud_init_modules: [bootcmd, write-files]
cloud_config_modules: [runcmd]
cloud_final_modules: [write-files-deferred, scripts-user, final-message]
"""

STAGES = """\
cloud-init init --local
cloud-init init
cloud-init modules --mode=config
cloud-init modules --mode=final
exit 0
"""

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

# What these tests look for must not come from the machine they run on.
OURS = ("etc/arc-enroll", "usr/local/bin/arc-enroll", "usr/bin/arc-enroll", "usr/local/sbin/arc-enroll-fetch",
        "usr/local/sbin/arc-enroll-unpack", "usr/local/lib/arc-enroll.xz", "var/lib/arc-enroll", "var/lib/cloud", "etc/cloud/cloud-init.disabled")


# Added to this machine for the tests, where it is missing.
TOOLS = {"cloud-init": "/usr/bin/cloud-init", "busybox": "/bin/busybox"}


class Machines:
    """Makes machines below one directory in memory, all from the same layers."""

    def __init__(self, directory, layers=("/",)):
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.count = 0
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
        self.layers = list(layers)
        missing = [package for package, path in TOOLS.items() if not Path(path).exists()]
        if missing and self.layers == ["/"]:
            self.layers.insert(0, self.with_tools(missing))

    @functools.cache
    def release(self, suite, *packages):
        """Machines of another release of Debian, with these packages besides the essential ones."""
        place = self.directory / suite
        (place / "keyring").mkdir(parents=True)
        # The keyring of this machine may be older than the keys of that release.
        get = ["mmdebstrap", "--quiet", "--mode=root", "--aptopt=Acquire::Check-Valid-Until \"false\""]
        self.install([*get, "--variant=extract", "--include=debian-archive-keyring", "stable", place / "keyring"])
        keys = place / "keyring/usr/share/keyrings/debian-archive-keyring.gpg"
        keys = keys if keys.exists() else keys.with_suffix(".pgp")
        include = [f"--include={package}" for package in packages]
        self.install([*get, "--variant=essential", f"--keyring={keys}", *include, suite, place / "tree"])
        return Machines(place / "machines", [str(place / "tree")])

    @staticmethod
    def install(command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout[-1000:]}{done.stderr[-1000:]}")

    def root(self):
        """A new root over the layers: its path, and the directory that takes what is written to it."""
        self.count += 1
        place = self.directory / str(self.count)
        for name in ("upper", "work", "root"):
            (place / name).mkdir(parents=True)
        options = f"lowerdir={':'.join(self.layers)},upperdir={place}/upper,workdir={place}/work"
        root = place / "root"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
        for name in ("run", "tmp", "dev"):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777" if name == "tmp" else "mode=755", "tmpfs", root / name], check=True)
        for name in ("null", "zero", "full", "random", "urandom"):
            (root / "dev" / name).touch()
            subprocess.run(["mount", "--bind", f"/dev/{name}", root / "dev" / name], check=True)
        for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            (root / "dev" / name).symlink_to(f"/proc/self/fd{target}")
        return root, place / "upper"

    def with_tools(self, packages):
        """A layer that holds these packages."""
        root, upper = self.root()
        for name in ("resolv.conf", "hosts"):
            # In containers these are mounts, which an overlay does not show.
            shutil.copyfile(f"/etc/{name}", root / "etc" / name)
        install = "apt-get update -q && apt-get install -qy --no-install-recommends " + " ".join(packages)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
             f'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "{install}"', root],
            env=environment, capture_output=True, text=True, check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"{packages} cannot be installed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return str(upper)

    def boot(self, user_data, files=(), before="", prepare=None):
        """Boots a machine with this user-data; `files` are there beforehand, and the shell runs `before` first.
        `prepare` may change the machine before that."""
        machine = self.fresh(files)
        if prepare:
            prepare(machine)
        root = machine.root
        seed = root / "var/lib/cloud/seed/nocloud-net"
        seed.mkdir(parents=True)
        (seed / "user-data").write_bytes(user_data)
        (seed / "meta-data").write_text("instance-id: test\n")
        (root / "etc/cloud/cloud.cfg.d/99_test.cfg").write_text(SETTINGS)
        (root / "stages").write_text(before + STAGES)
        machine.run(["/bin/sh", "/stages"])
        return machine

    def fresh(self, files=()):
        """A machine that is not booted, with these files."""
        root, _ = self.root()
        for name in OURS:
            path = root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for log in (root / "var/log").glob("cloud-init*.log"):
            log.unlink()
        for name, content in files:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if content.startswith(b"#!") else 0o644)
        return Machine(root)


class Machine:
    """A machine after its first boot."""

    def __init__(self, root):
        self.root = root

    def run(self, command, **options):
        """Runs a command on the machine, without network, and ends whatever it leaves behind."""
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--net", "--uts", "--fork", "--kill-child", "sh", "-c",
             'root="$1"; shift; mount -t proc proc "$root/proc" && exec chroot "$root" "$@"', "sh", self.root, *command],
            env=ENVIRONMENT, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL, **options,
        )

    def path(self, name):
        return self.root / name.lstrip("/")

    def read(self, name):
        path = self.path(name)
        return path.read_bytes() if path.exists() else None

    def text(self, name):
        return (self.read(name) or b"").decode(errors="replace")

    def mode(self, name):
        status = self.path(name).stat()
        return f"{status.st_mode & 0o7777:04o} {status.st_uid}:{status.st_gid}"

    def status(self):
        """What cloud-init says of the boot, and each error by its module."""
        word = self.run(["cloud-init", "status"], text=True).stdout.strip()
        result = json.loads(self.text("/run/cloud-init/result.json") or "{}")
        return word, "\n".join(result.get("v1", {}).get("errors", ["no result"]))
