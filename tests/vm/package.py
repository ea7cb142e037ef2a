"""The stand-in azcmagent as a real .deb, in a signed apt repository laid out as
packages.microsoft.com lays out its own. The key is made for one run."""

import gzip
import pathlib
import shutil
import tempfile

from tools import Failure, run

# What the stand-in calls itself (tests/nexus/spec.rs).
VERSION = "1.58.03228.700"
# Where packages.microsoft.com keeps them for each Debian, and under which key's name.
RELEASES = {
    "bookworm": ("debian/12/prod", "keys/microsoft.asc"),
    "trixie": ("debian/13/prod", "keys/microsoft-2025.asc"),
}
UNITS = {
    "himdsd.service": ("Azure Connected Machine Agent Service", "himds", "/opt/azcmagent/bin/himds"),
    "arcproxyd.service": ("Azure Arc Proxy", "arcproxy", "/opt/azcmagent/bin/arcproxy"),
    "gcad.service": ("GC Arc Service", "root", "/opt/GC_Service/GC/gc_arc_service"),
    "extd.service": ("Extension Service", "root", "/opt/GC_Ext/GC/gc_ext_service"),
}

UNIT = """\
[Unit]
Description={description}
After=network-online.target

[Service]
Type=simple
User={user}
ExecStart={program}
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""

# The daemons of the real package do their work over the network; here it is
# enough that they run until they are stopped.
DAEMON = "#!/bin/sh\nexec sleep infinity\n"

CONTROL = f"""\
Package: azcmagent
Version: {VERSION}
Architecture: amd64
Maintainer: nobody <nobody@localhost>
Depends: systemd, openssl
Section: admin
Priority: optional
Description: Stand-in for the Azure Connected Machine agent, for tests
"""

# Blocks at the point named on the kernel's command line, and reports it on the
# console, where the power is cut. Not without that word, nor in the next boot.
STALL = """\
stall() {
    case " $(cat /proc/cmdline) " in *" vm.stall=$1 "*) ;; *) return 0 ;; esac
    echo "vm: stalled in $1" >/dev/console
    sleep 1200
}
"""

AZCMAGENT = f"""\
#!/bin/sh
{STALL}
# The machine is connected, and this is the first question after it. What azcmagent has
# written about it is on the disk: where it is not, a cut is one in the middle of connect.
if [ "$1" = show ] && [ -e /var/opt/azcmagent/cloudconfig.json ]; then
    case " $(cat /proc/cmdline) " in *" vm.stall=show "*) sync ;; esac
    stall show
fi
exec /opt/azcmagent/bin/azcmagent "$@"
"""

POSTINST = f"""\
#!/bin/sh
set -e
{STALL}
[ "$1" = configure ] || exit 0
stall postinst
for user in himds arcproxy; do
    getent group "$user" >/dev/null || groupadd --system "$user"
    getent passwd "$user" >/dev/null ||
        useradd --system --gid "$user" --home-dir /var/opt/azcmagent --no-create-home \\
            --shell /bin/false "$user"
done
for folder in certs tokens socks log; do
    install -d -o himds -g himds -m 0755 "/var/opt/azcmagent/$folder"
done
install -d /var/lib/GuestConfig/arc_policy_logs /var/lib/GuestConfig/ext_mgr_logs
# As the true package does: token libraries are sent to the agent from now on.
install -d /lib/systemd/system.conf.d
cat >/lib/systemd/system.conf.d/azcmagent.conf <<'END'
[Manager]
DefaultEnvironment="IDENTITY_ENDPOINT=http://localhost:40342/metadata/identity/oauth2/token" "IMDS_ENDPOINT=http://localhost:40342"
END
systemctl daemon-reload
systemctl enable --now himdsd.service arcproxyd.service gcad.service extd.service
"""

PRERM = """\
#!/bin/sh
set -e
systemctl disable --now himdsd.service arcproxyd.service gcad.service extd.service || true
"""


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def make_deb(azcmagent, work, target):
    """`azcmagent` is the program that plays the command line tool."""
    tree = work / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    write(tree / "DEBIAN/control", CONTROL)
    write(tree / "DEBIAN/postinst", POSTINST, 0o755)
    write(tree / "DEBIAN/prerm", PRERM, 0o755)
    program = tree / "opt/azcmagent/bin/azcmagent"
    program.parent.mkdir(parents=True)
    shutil.copy(azcmagent, program)
    program.chmod(0o755)
    # The real one is a link. This one can stand still after connect.
    write(tree / "usr/bin/azcmagent", AZCMAGENT, 0o755)
    for name, (description, user, daemon) in UNITS.items():
        unit = UNIT.format(description=description, user=user, program=daemon)
        write(tree / "usr/lib/systemd/system" / name, unit)
        write(tree / daemon.lstrip("/"), DAEMON, 0o755)
    target.parent.mkdir(parents=True, exist_ok=True)
    # gzip: the guest is emulated, and unpacks it in half the time of xz.
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, target)


class Key:
    """A signing key that lives as long as the run."""

    def __init__(self):
        # A short path: the agent's socket lies in it, and sockets have a limit.
        self.home = tempfile.mkdtemp(prefix="vm-gpg-")
        self.gpg("--quick-generate-key", "Test repository <nobody@localhost>", "rsa2048", "sign", "never")
        listing = self.gpg("--with-colons", "--fingerprint")
        prints = [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")]
        if len(prints) != 1 or len(prints[0]) != 40:
            raise Failure("the signing key has no usable fingerprint")
        self.fingerprint = prints[0]

    def gpg(self, *arguments):
        return run(
            "gpg", "--homedir", self.home, "--batch", "--yes", "--quiet",
            "--no-permission-warning", "--pinentry-mode", "loopback", "--passphrase", "", *arguments,
        )

    def close(self):
        """gpg leaves an agent running; it goes with its folder."""
        run("gpgconf", "--homedir", self.home, "--kill", "gpg-agent")
        shutil.rmtree(self.home, ignore_errors=True)


def index(top, suite, key):
    """Packages, Release and its two signatures, below the distribution's folder."""
    binary = top / f"dists/{suite}/main/binary-amd64"
    binary.mkdir(parents=True)
    packages = run("apt-ftparchive", "packages", "pool", cwd=top).encode()
    (binary / "Packages").write_bytes(packages)
    (binary / "Packages.gz").write_bytes(gzip.compress(packages))
    name = f"microsoft-debian-{suite}-prod {suite}"
    about = {
        "Origin": name, "Label": name, "Suite": suite, "Codename": suite,
        "Architectures": "amd64", "Components": "main",
    }
    options = [word for name, value in about.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    release = top / f"dists/{suite}/Release"
    text = run("apt-ftparchive", *options, "release", f"dists/{suite}", cwd=top)
    release.write_text(text)
    key.gpg("--armor", "--detach-sign", "--output", str(release) + ".gpg", str(release))
    key.gpg("--clearsign", "--output", str(release.with_name("InRelease")), str(release))


def make_site(azcmagent, work):
    """Everything that packages.microsoft.com serves here; returns the folder
    and the fingerprint of the key that signed it."""
    work = pathlib.Path(work)
    site = work / "packages"
    shutil.rmtree(site, ignore_errors=True)
    file = f"pool/main/a/azcmagent/azcmagent_{VERSION}_amd64.deb"
    key = Key()
    try:
        made = None
        for suite, (folder, key_file) in RELEASES.items():
            deb = site / folder / file
            if made is None:
                make_deb(azcmagent, work, deb)
                made = deb
            else:
                deb.parent.mkdir(parents=True)
                deb.hardlink_to(made)
            index(site / folder, suite, key)
            published = site / key_file
            published.parent.mkdir(exist_ok=True)
            key.gpg("--armor", "--output", str(published), "--export", key.fingerprint)
        return site, key.fingerprint
    finally:
        key.close()
