"""The disks that the scenarios start from, one a Debian release, made once and kept.

A scenario never boots such a disk: it boots a copy, so that "first boot" means it.
"""

import hashlib
import inspect
import os
import pathlib
import shutil
import sys
import tempfile

from tools import Failure, run

# Debian 12 has the oldest cloud-init that is supported, Debian 13 one of today.
SUITES = ("bookworm", "trixie")
SIZE = "1536M"

# What a Debian cloud image has and the agent or cloud-init may call. No sshd:
# making its keys costs seconds of emulated time and nobody logs in.
PACKAGES = [
    "systemd-sysv", "dbus", "udev", "linux-image-cloud-amd64", "cloud-init",
    "curl", "ca-certificates", "iproute2", "netbase", "openssl", "gpgv", "e2fsprogs",
]

# An initrd that holds the disk driver only: udev has less to look at.
EARLY = {
    "etc/initramfs-tools/conf.d/vm": "MODULES=list\nFSTYPE=ext4\nCOMPRESS=gzip\n",
    "usr/share/initramfs-tools/modules.d/vm": "virtio_pci\nvirtio_blk\n",
}

FILES = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 0\n",
    # The journal goes to the disk as plain text: what it held must be found by
    # the search for tokens, and a compressed record would hide it.
    "etc/systemd/journald.conf.d/vm.conf": "[Journal]\nStorage=persistent\nCompress=no\n",
    # There is no sshd and only the C locale in this image.
    "etc/cloud/cloud.cfg.d/10_vm.cfg": "ssh_genkeytypes: []\nlocale: C.UTF-8\n",
    # Inspects the machine after cloud-init has ended, at every
    # boot, and switches it off. What it does comes with the seed.
    "etc/systemd/system/vm-probe.service": """\
[Unit]
Description=Look at this machine and switch it off
After=cloud-final.service

[Service]
Type=oneshot
StandardOutput=journal+console
ExecStart=/bin/sh -c 'mount -o ro LABEL=cidata /mnt && cp /mnt/*.sh /mnt/planted /run/ && umount /mnt'
ExecStart=/bin/sh /run/probe.sh
ExecStopPost=/bin/systemctl --no-block poweroff

[Install]
WantedBy=cloud-init.target
""",
}

ENABLED = ["systemd-networkd.service", "vm-probe.service"]
# These timers would start during a run, at unpredictable times.
MASKED = [
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
    "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
]


def cache_folder():
    base = os.environ.get("ARC_ENROLL_VM_CACHE")
    if base:
        return pathlib.Path(base)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(home) / "arc-enroll-vm"


def sources(suite):
    """apt sources of this machine when it is of that release, else mmdebstrap's own choice."""
    debian = pathlib.Path("/etc/apt/sources.list.d/debian.sources")
    release = pathlib.Path("/etc/os-release")
    if release.is_file() and f"VERSION_CODENAME={suite}" in release.read_text():
        for path in (debian, pathlib.Path("/etc/apt/sources.list")):
            if path.is_file() and suite in path.read_text():
                return [path]
    return []


def recipe():
    """The key of the cache: this file is the whole recipe."""
    return hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()[:16]


class Image:
    def __init__(self, folder, suite):
        self.folder = folder
        self.suite = suite
        self.disk = folder / "disk.raw"
        self.kernel = folder / "vmlinuz"
        self.initrd = folder / "initrd"

    def complete(self):
        return all(path.is_file() for path in (self.disk, self.kernel, self.initrd))

    def copy_to(self, disk):
        run("cp", "--sparse=always", "--reflink=auto", self.disk, disk)


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def bootstrap(root, early, suite):
    """Unpack and configure the packages below `root`."""
    options = [
        'Acquire::Check-Valid-Until "false"', 'Acquire::Check-Date "false"',
        'Acquire::Languages "none"', 'APT::Install-Recommends "false"',
    ]
    leave_out = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"]
    run(
        "mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
        *[f"--aptopt={option}" for option in options],
        *[f"--dpkgopt=path-exclude={path}" for path in leave_out],
        # Before the kernel is configured, so that its initrd is made once.
        f'--essential-hook=cp -r "{early}/." "$1/"',
        suite, root, *sources(suite),
    )


def finish(root):
    """Turn the tree into a machine that has never booted."""
    write(root, FILES)
    run("systemctl", f"--root={root}", "enable", *ENABLED)
    run("systemctl", f"--root={root}", "mask", *MASKED)
    for name in ("etc/resolv.conf", "etc/hostname", "etc/apt/apt.conf.d/99mmdebstrap"):
        (root / name).unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")


def kernel_of(root):
    kernels = sorted((root / "boot").glob("vmlinuz-*"))
    if not kernels:
        raise Failure("the image has no kernel")
    release = kernels[-1].name.removeprefix("vmlinuz-")
    return kernels[-1], root / "boot" / f"initrd.img-{release}"


def build(folder, suite):
    if os.geteuid() != 0:
        raise Failure("making the image needs root once; afterwards it is kept")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        root, early, made = work / "root", work / "early", work / "made"
        made.mkdir()
        write(early, EARLY)
        bootstrap(root, early, suite)
        finish(root)
        kernel, initrd = kernel_of(root)
        shutil.copy(kernel, made / "vmlinuz")
        shutil.copy(initrd, made / "initrd")
        run(
            "mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1",
            "-d", root, made / "disk.raw", SIZE,
        )
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def get(suite, report):
    """The image of this recipe; older recipes' images are removed."""
    folder = cache_folder() / f"{recipe()}-{suite}"
    image = Image(folder, suite)
    if not image.complete():
        report(f"making the image {folder}")
        build(folder, suite)
    for other in folder.parent.iterdir():
        if not other.name.startswith((recipe(), "making-")):
            shutil.rmtree(other, ignore_errors=True)
    return image
