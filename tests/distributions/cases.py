"""The scenarios: the environment of a machine that enrolls, and the expected result."""

import dataclasses
import hashlib
import time

from machines import Machine
from repository import ANCIENT, NEWEST, OLDER, Nexus
from roots import Failure

PACKAGES = "packages.microsoft.com"
# The repository as Microsoft's own configuration package lists it.
LISTED = """\
[packages-microsoft-com-prod]
name=packages-microsoft-com-prod
baseurl=https://packages.microsoft.com/{place}
enabled=1
gpgcheck=1
gpgkey=https://packages.microsoft.com/keys/microsoft.asc
sslverify=1
"""


class Wrong(Exception):
    """A failed expectation."""


def check(holds, what):
    if not holds:
        raise Wrong(what)


def equal(found, expected, what):
    check(found == expected, f"{what} is {found!r}, not {expected!r}")


@dataclasses.dataclass
class Case:
    name: str
    release: str
    # Called with the stage.
    play: object
    # What packages.microsoft.com has.
    site: str = "site"
    # The failures around the machine, in the form of `nexus serve --plan`.
    plan: dict = dataclasses.field(default_factory=dict)
    arguments: dict = dataclasses.field(default_factory=dict)


class Stage:
    """A machine and the servers around it."""

    def __init__(self, machine, nexus):
        self.machine, self.nexus = machine, nexus

    def asked_by(self, program):
        """The requests of a program to packages.microsoft.com through the proxy."""
        return [one["target"] for one in self.nexus.requests("azure", program) if one["host"] == PACKAGES]


def perform(case, roots, workshop, state, program):
    root = roots.new()
    try:
        with Nexus(program, state, workshop.sites[case.site], case.plan) as nexus:
            machine = Machine(root, case.release, workshop, state.parent / "ca.pem")
            case.play(Stage(machine, nexus), **case.arguments)
    finally:
        root.remove()


# Checks that several scenarios share.

def ends_enrolled(stage, run, version=NEWEST):
    ended = f"the end, with fault {run.fault} ({run.last['message']}),"
    equal((run.code, run.last["outcome"]), (0, "enrolled"), ended)
    machine = stage.machine
    equal(machine.installed(), version, "what rpm calls installed")
    himds = machine.units().get("himdsd.service", {})
    equal((himds.get("active"), himds.get("file")), ("active", "enabled"), "himdsd")
    check("contoso-vm-01" in stage.nexus.machines(), "there is no Arc machine in Azure")


def ends_with(run, code, fault):
    equal((run.code, run.fault), (code, fault), f"the end ({run.last['message']})")


def proxy_is_used_by_hand(stage):
    """The package manager finds the proxy in its own file, without the environment of the run."""
    machine = stage.machine
    user_agent = "ZYpp" if machine.family == "zypper" else "libdnf"
    asked = len(stage.asked_by(user_agent))
    check(asked > 0, f"{machine.family} asked {PACKAGES} for nothing")
    if machine.family == "zypper":
        # Debian's zypper asks libproxy, which does not know SUSE's file: its values are taken as SUSE's login
        # scripts take them.
        script = '. /etc/sysconfig/proxy; [ "$PROXY_ENABLED" = yes ] && https_proxy=$HTTPS_PROXY "$@"'
        refresh = ("zypper", "--non-interactive", "refresh", "--force", "packages-microsoft-prod")
        machine.root.run("sh", "-c", script, "sh", *refresh)
    else:
        here = [name for name in ("dnf", "yum", "tdnf") if machine.root.file(f"/usr/bin/{name}").is_file()]
        program = here[0]
        # tdnf's own file is not one that dnf would read under that name.
        options = ["--config", "/etc/tdnf/tdnf.conf"] if program == "tdnf" else []
        machine.root.run(program, *options, "-y", "--refresh", "--disablerepo=distribution-*", "makecache")
    check(len(stage.asked_by(user_agent)) > asked, f"{machine.family} by hand did not come through the proxy")


# The scenarios themselves.

def installs(stage, agent=None, version=NEWEST, programs=()):
    machine = stage.machine
    machine.configure(agent)
    run = machine.enroll()
    ends_enrolled(stage, run, version)
    for program in programs:
        check(run.commands(program), f"{program} was not run")
    proxy_is_used_by_hand(stage)
    calls = len(stage.nexus.requests("azure"))
    again = machine.enroll()
    equal(again.code, 0, "the second run's exit code")
    for program in ("dnf", "yum", "tdnf", "zypper", "rpm"):
        equal(again.commands(program), [], f"what the second run did with {program}")
    asked = [one["target"] for one in stage.nexus.requests("azure")[calls:]]
    equal(asked, [], "what the second run asked for")


def is_refused(stage, code, fault, agent=None, evidence="", nothing_asked=False):
    """A manual fault: nothing is installed."""
    machine = stage.machine
    machine.configure(agent, wait={"endpoint": "5s"})
    run = machine.enroll()
    ends_with(run, code, fault)
    equal(machine.installed(), None, "what rpm calls installed")
    said = run.last["message"]
    check(evidence in said or evidence in run.said, f"{evidence!r} is not said: {said}")
    if nothing_asked:
        user_agent = "ZYpp" if machine.family == "zypper" else "libdnf"
        equal(stage.asked_by(user_agent), [], "what the package manager asked for")


def finds_it_listed(stage, place):
    """An existing repository is used unchanged, and no key is fetched."""
    machine = stage.machine
    folder = "zypp/repos.d" if machine.family == "zypper" else "yum.repos.d"
    machine.root.write(f"/etc/{folder}/microsoft-prod.repo", LISTED.format(place=place))
    if machine.family == "zypper":
        machine.root.write("/srv/key.asc", machine.workshop.root.text("/workshop/key.asc"))
        machine.root.run("rpm", "--import", "/srv/key.asc")
    machine.configure()
    run = machine.enroll()
    ends_enrolled(stage, run)
    ours = machine.root.text(f"/etc/{folder}/packages-microsoft-prod.repo")
    check(not ours, "the repository is listed twice")


def waits_for_the_repository(stage):
    """The repository is refused at first: the run reports it, waits, and installs when it is reachable."""
    stage.machine.configure(wait={"endpoint": "60s"})
    run = stage.machine.enroll()
    ends_enrolled(stage, run)
    check(stage.machine.has_met("agent.source-unreachable"), "nothing was said of the repository")


def waits_for_the_lock(stage, holder):
    """Another package manager runs: the run waits only until its lock is released."""
    machine = stage.machine
    slow = machine.bring(machine.workshop.slow)
    begun = machine.root.file("/run/slow-begun")
    other = machine.root.begin(*(word.replace("PACKAGE", slow) for word in holder))
    until(begun.exists, "the other package manager is at work", other)
    machine.configure()
    going = machine.begin_to_enroll()
    until(lambda: machine.has_met("agent.package-lock"), "the lock is met", going, limit=90)
    machine.root.write("/run/slow-may-end", "")
    said, _ = other.communicate(timeout=30)
    # zypper exits with 106 if other repositories could not be refreshed.
    check(other.returncode in (0, 106), f"the other one ended with {other.returncode} ({said[-500:]})")
    going.communicate(timeout=120)
    run = machine.enroll()
    ends_enrolled(stage, run)
    lines = machine.lines()
    ends = [line for line in lines if line["event"] == "run.finished"]
    equal(ends[0]["outcome"], "enrolled", "the outcome of the run that met the lock")


def until(holds, what, process, limit=40):
    deadline = time.monotonic() + limit
    while not holds():
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            said, _ = process.communicate()
            raise Failure(f"it did not come so far that {what}:\n{said[-2000:]}")
        time.sleep(0.05)


def survives_a_power_cut(stage):
    """The power fails during the package's script: the VM is enrolled after the next boot."""
    machine = stage.machine
    machine.root.write("/run/hold-post", "")
    machine.configure()
    going = machine.begin_to_enroll()
    until(lambda: machine.installed() == NEWEST, "the package is unpacked", going, limit=90)
    machine.root.cut_power()
    # As systemd does at the boot.
    machine.root.run("systemctl", "daemon-reload")
    going.communicate(timeout=20)
    equal(machine.units()["himdsd.service"]["active"], "inactive", "himdsd after the power cut")
    ends_enrolled(stage, machine.enroll())


def mends_half_a_package(stage):
    """The power fails before rpm has recorded the package: there are files, but no package."""
    machine = stage.machine
    machine.root.write("/run/hold-post", "")
    machine.configure()
    going = machine.begin_to_enroll()
    until(lambda: machine.installed() == NEWEST, "the package is unpacked", going, limit=90)
    machine.root.cut_power()
    going.communicate(timeout=20)
    machine.root.run("rpm", "-e", "--justdb", "--noscripts", "azcmagent")
    machine.root.run("systemctl", "daemon-reload")
    ends_enrolled(stage, machine.enroll())


def takes_a_file(stage):
    """`agent.install: package`, with a file that no known key has signed; nothing is fetched for it."""
    machine = stage.machine
    package = machine.workshop.foreign
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    machine.configure({"install": "package", "package": {"file": machine.bring(package), "sha256": digest}})
    run = machine.enroll()
    ends_enrolled(stage, run)
    # The network test of azcmagent's own endpoints may look at the front page.
    fetched = [target for target in stage.asked_by("") if target != "/"]
    equal(fetched, [], f"what {PACKAGES} was asked for")


def leaves_alone_what_is_there(stage):
    """azcmagent is installed: it is connected, and no package manager is run."""
    machine = stage.machine
    machine.root.run("rpm", "-i", "--force-debian", machine.bring(machine.workshop.older))
    machine.configure()
    run = machine.enroll()
    ends_enrolled(stage, run, OLDER)
    for program in ("dnf", "zypper", "rpm"):
        equal(run.commands(program), [], f"what was done with {program}")


def replaces_what_is_too_old(stage):
    machine = stage.machine
    machine.root.run("rpm", "-i", "--force-debian", machine.bring(machine.workshop.ancient))
    equal(machine.installed(), ANCIENT, "what is there before")
    machine.configure()
    ends_enrolled(stage, machine.enroll())


REFUSED_AT_FIRST = {"azure": {"routes": {"packages": [
    # The egress check and the key request pass, the package manager is refused.
    {"act": {"reply": {"status": 403, "body": "no"}}, "span": {"times": 3}},
]}}}
HOLD_BY_DNF = ["dnf", "-y", "--disablerepo=*", "install", "PACKAGE", "--nogpgcheck"]
HOLD_BY_RPM = ["rpm", "-i", "--force-debian", "PACKAGE"]
HOLD_BY_ZYPPER = ["zypper", "--non-interactive", "--no-gpg-checks", "--no-refresh", "install", "PACKAGE"]
OTHER_KEY = {"repository_key": ["0123456789ABCDEF0123456789ABCDEF01234567"]}


def case(name, release, play, site="site", plan=None, **arguments):
    return Case(name, release, play, site, plan or {}, arguments)


CASES = [
    case("rhel-9", "rhel-9", installs, programs=["dnf"]),
    case("amazon-2023", "amazon-2023", installs, programs=["dnf"]),
    case("yum-by-name", "centos-7", installs, programs=["yum"]),
    case("yum-amazon-2", "amazon-2", installs, programs=["yum"], agent={"version": "1.57"}, version=OLDER),
    case("tdnf-by-name", "azurelinux-3", installs, programs=["tdnf"]),
    case("sles-15", "sles-15", installs, programs=["zypper", "rpm"]),
    case("sles-16", "sles-16", installs, programs=["zypper", "rpm"]),
    case("dnf-version-begins", "rocky-9", installs, agent={"version": "1.57"}, version=OLDER),
    case("dnf-version-whole", "alma-8", installs, agent={"version": OLDER}, version=OLDER),
    case("zypper-version-begins", "sles-15", installs, agent={"version": "1.57"}, version=OLDER),
    case("zypper-version-whole", "sles-15", installs, agent={"version": OLDER}, version=OLDER),
    case("dnf-no-such-version", "oracle-8", is_refused, code=19, fault="agent.version-unavailable",
         agent={"version": "1.99"}, evidence="1.99"),
    case("zypper-no-such-version", "sles-15", is_refused, code=19, fault="agent.version-unavailable",
         agent={"version": "1.99"}, evidence="1.99"),
    case("zypper-no-such-build", "sles-15", is_refused, code=19, fault="agent.version-unavailable",
         agent={"version": "1.57.03160-513"}, evidence="1.57.03160-513"),
    case("dnf-wrong-key", "rhel-10", is_refused, code=19, fault="agent.repository-key", agent=OTHER_KEY,
         nothing_asked=True),
    case("zypper-wrong-key", "sles-15", is_refused, code=19, fault="agent.repository-key", agent=OTHER_KEY,
         nothing_asked=True),
    case("dnf-wrong-signature", "rhel-9", is_refused, site="foreign", code=19, fault="agent.repository-key"),
    case("zypper-wrong-signature", "sles-15", is_refused, site="foreign", code=19,
         fault="agent.repository-key"),
    case("dnf-dependency", "rhel-9", installs, site="depending"),
    case("zypper-dependency", "sles-15", installs, site="depending"),
    case("dnf-listed", "rhel-9", finds_it_listed, place="rhel/9/prod"),
    case("zypper-listed", "sles-15", finds_it_listed, place="sles/15/prod"),
    case("dnf-refused-at-first", "rhel-9", waits_for_the_repository, plan=REFUSED_AT_FIRST),
    case("zypper-refused-at-first", "sles-15", waits_for_the_repository, plan=REFUSED_AT_FIRST),
    case("dnf-lock", "rhel-9", waits_for_the_lock, holder=HOLD_BY_DNF),
    case("rpm-lock-and-dnf", "rhel-9", waits_for_the_lock, holder=HOLD_BY_RPM),
    case("zypper-lock", "sles-15", waits_for_the_lock, holder=HOLD_BY_ZYPPER),
    case("rpm-lock-and-zypper", "sles-15", waits_for_the_lock, holder=HOLD_BY_RPM),
    case("dnf-power-cut", "rhel-9", survives_a_power_cut),
    case("zypper-power-cut", "sles-15", survives_a_power_cut),
    case("dnf-half-a-package", "rhel-9", mends_half_a_package),
    case("dnf-file", "rhel-9", takes_a_file),
    case("zypper-file", "sles-15", takes_a_file),
    case("already-there", "rhel-9", leaves_alone_what_is_there),
    case("dnf-too-old", "rhel-9", replaces_what_is_too_old),
    case("zypper-too-old", "sles-15", replaces_what_is_too_old),
    case("opensuse", "opensuse", is_refused, code=19, fault="agent.distribution-unsupported",
         evidence="openSUSE Leap 15.6", nothing_asked=True),
]
