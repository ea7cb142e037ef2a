"""One boot of the VM under QEMU, without KVM unless asked for."""

import os
import signal
import subprocess
import time

from tools import Failure, find

# Beside other work on the same processors an emulated boot takes minutes.
BOOT_LIMIT = 900
MAC = "52:54:00:a9:fe:0f"

# `quiet` would hide the end of a kernel that did not come up.
CMDLINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off loglevel=4"


def accelerator():
    """Emulation is slower but is there on every machine, and the same on all."""
    if os.environ.get("ARC_ENROLL_VM_ACCEL") == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", "Nehalem"]


def network(sidecar_port, proxy_port):
    """The network of a Nexus VM: the sidecar and the proxy, at their true
    addresses, and nothing else (`restrict`): no name server, no way out."""
    socat = find("socat")
    forwards = [
        f"guestfwd=tcp:{address}-cmd:{socat} - TCP:127.0.0.1:{port}"
        for address, port in (("169.254.169.254:80", sidecar_port), ("169.254.0.11:3128", proxy_port))
    ]
    net = "user,id=csn,restrict=on,ipv6=off,net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,dhcpstart=169.254.0.15"
    return [
        "-netdev", ",".join([net, *forwards]),
        "-device", f"virtio-net-pci,netdev=csn,mac={MAC}",
    ]


def command(image, disk, seed, serial, ports, word):
    return [
        find("qemu-system-x86_64"), "-name", "arc-enroll-vm", "-machine", "q35",
        *accelerator(), "-smp", "2", "-m", "1024",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-rtc", "base=utc,clock=host", "-device", "virtio-rng-pci",
        "-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", f"{CMDLINE} {word}".strip(),
        "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe",
        "-drive", f"file={seed},format=raw,if=virtio,readonly=on",
        "-serial", f"file:{serial}", *network(*ports),
    ]


def boot(image, disk, seed, serial, ports, word="", cut=None):
    """Boot until the guest switches itself off, or until `cut()` is true: then
    the power is cut. What the guest has not written by then is lost, what it has
    written is in the file. Returns the seconds it took.

    `word` is added to the kernel's command line."""
    started = time.monotonic()
    # Its own process group: an interrupt at the terminal is handled here.
    qemu = subprocess.Popen(
        command(image, disk, seed, serial, ports, word),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )
    try:
        while True:
            try:
                said, _ = qemu.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                pass
            if cut and cut():
                os.killpg(qemu.pid, signal.SIGKILL)
                qemu.wait()
                return time.monotonic() - started
            if time.monotonic() - started > BOOT_LIMIT:
                raise Failure(f"the VM did not switch itself off within {BOOT_LIMIT} s")
    finally:
        end(qemu)
    if qemu.returncode != 0:
        raise Failure(f"QEMU ended with {qemu.returncode}: {said.strip()}")
    if cut:
        raise Failure("the VM switched itself off before its power was cut")
    return time.monotonic() - started


def end(process):
    """End a process started by this run and the group that it leads."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
