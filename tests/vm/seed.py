"""What makes a copy of the image a certain VM: its disk and its NoCloud seed."""

import pathlib
import shutil
import tempfile

import machine
from tools import Failure, run

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

NETWORK = f"""\
version: 2
ethernets:
  csn0:
    match: {{macaddress: "{machine.MAC}"}}
    set-name: csn0
    dhcp4: true
"""


def debugfs(disk, *requests, write=False):
    """Ask or change an ext4 image that nothing has mounted."""
    options = ["-w"] if write else []
    return run("debugfs", *options, "-f", "-", disk, input="\n".join(requests) + "\n")


def fetch(disk, path, target):
    """Copy a file out of the image; says whether it was there."""
    target = pathlib.Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    debugfs(disk, f'dump "{path}" "{target}"')
    return target.is_file()


def fetch_folder(disk, path, into):
    """Copy a folder out of the image, in place of what an earlier boot had in it."""
    into = pathlib.Path(into)
    into.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(into / pathlib.PurePath(path).name, ignore_errors=True)
    debugfs(disk, f'rdump "{path}" "{into}"')


def trust(disk, authority):
    """Put a certificate authority into the trust store of the image, as
    update-ca-certificates would: the bundle is the file that curl and apt read."""
    with tempfile.TemporaryDirectory(prefix="vm-trust-") as work:
        joined, check = pathlib.Path(work) / "joined", pathlib.Path(work) / "check"
        if not fetch(disk, BUNDLE, joined) or "BEGIN CERTIFICATE" not in joined.read_text():
            raise Failure("the image has no bundle of certificates")
        with joined.open("a") as bundle:
            bundle.write(pathlib.Path(authority).read_text())
        debugfs(
            disk, f"rm {BUNDLE}", f'write "{joined}" {BUNDLE}',
            f'write "{authority}" /usr/local/share/ca-certificates/nexus.crt', write=True,
        )
        if not fetch(disk, BUNDLE, check) or check.read_bytes() != joined.read_bytes():
            raise Failure("the certificate authority did not get into the image")


def make(iso, user_data, name, boot, ask, planted):
    """The seed disk; the probe of the image's own unit travels with it, with
    the number of this boot and what it is asked beyond the usual."""
    files = {
        "user-data": user_data,
        "meta-data": f"instance-id: {name}\nlocal-hostname: {name}\n".encode(),
        "network-config": NETWORK.encode(),
        "probe.sh": (pathlib.Path(__file__).parent / "probe.sh").read_bytes(),
        "ask.sh": f"boot={boot}\nask() {{\n:\n{ask}\n}}\n".encode(),
        "planted": planted.encode(),
    }
    with tempfile.TemporaryDirectory(prefix="vm-seed-") as folder:
        for file, content in files.items():
            (pathlib.Path(folder) / file).write_bytes(content)
        run("xorriso", "-as", "mkisofs", "-quiet", "-V", "cidata", "-J", "-r", "-o", iso, folder)
