"""The scenarios: what the VM is given, how often it boots, what must hold."""

import dataclasses
import json
import pathlib
import re

import checks
import machine
import seed
from doubles import Nexus
from tools import Failure, run

AGENT = "/usr/local/bin/arc-enroll"

# The place in Azure that the simulated ARM knows (tests/nexus/spec.rs).
TARGET = {
    "subscription_id": "11111111-1111-4111-8111-111111111111",
    "resource_group": "contoso-nexus-rg",
    "location": "eastus",
}

# Commas, quotes, spaces and non-ASCII must arrive as they are written here.
TAGS = {"Site": "Plant 7, hall B", "Owner": "Zoë O'Hara", "Tier": "edge"}


@dataclasses.dataclass
class Scenario:
    name: str
    about: str
    # What must hold after each boot; there is one boot for each list.
    boots: list
    # What goes wrong around the VM, as `nexus serve --plan` reads it.
    plan: dict = dataclasses.field(default_factory=dict)
    # What the probe runs by hand once cloud-init has ended.
    rerun: str = f"exec {AGENT} enroll\n"
    # More of the configuration.
    settings: dict = dataclasses.field(default_factory=dict)


# The sidecar has no token while the first boot lasts, and the role comes later still: the timer installs
# azcmagent within the limits of its unit, and connects in a later run.
LATE = {
    "imds": {"token": [{"act": {"reply": {"status": 503, "body": "no token yet"}}, "span": {"for": 8000}}]},
    "azure": {"access": {"denials": 6}},
}

WAIT_FOR_THE_TIMER = """\
for _ in $(seq 150); do
    grep -q '"outcome": "enrolled"' /var/lib/arc-enroll/status.json && exit 0
    sleep 2
done
exit 1
"""

SCENARIOS = [
    Scenario("first-boot", "a new VM enrols itself from its user-data", [checks.ENROLLED]),
    Scenario(
        "late-role", "the first boot gives up, and the timer enrols the VM", [checks.ENROLLED_BY_TIMER],
        plan=LATE, rerun=WAIT_FOR_THE_TIMER,
        settings={"wait": {"token": "3s", "access": "3s"}, "repair": {"every": "10s"}},
    ),
]


class Vm:
    """One VM of a scenario: its files, and what they hold after a boot."""

    name = "contoso-vm-01"
    target = TARGET
    tags = TAGS

    def __init__(self, folder, nexus):
        self.folder = folder
        self.nexus = nexus
        self.disk = folder / "disk.raw"
        self.seed = folder / "seed.iso"
        self.facts = {}
        self.boot = 0

    @property
    def serial(self):
        return self.folder / f"serial-{self.boot}.log"

    @property
    def answers(self):
        return self.folder / "guest" / "vm-probe" / f"boot-{self.boot}"

    def start(self, image):
        """Boot once, until it switches itself off; returns the seconds."""
        self.boot += 1
        try:
            seconds = machine.boot(image, self.disk, self.seed, self.serial, self.nexus.ports)
        finally:
            # A guest that did not come to its end has left a log all the same.
            for path in ("/var/lib/vm-probe", "/var/log"):
                seed.fetch_folder(self.disk, path, self.folder / "guest")
        if not self.answers.is_dir():
            raise Failure("the guest switched itself off without an answer")
        return seconds

    def probe(self, name):
        """What the probe inside found."""
        try:
            return (self.answers / name).read_text(errors="replace")
        except FileNotFoundError:
            raise checks.Wrong(f"the probe left no {name}") from None

    def code(self, name):
        return int(self.probe(f"{name}.code"))

    def file(self, path):
        """A file of the disk as it is now."""
        target = self.folder / "guest" / path.lstrip("/")
        if not seed.fetch(self.disk, path, target):
            raise checks.Wrong(f"{path} is not there")
        return target.read_text(errors="replace")


def configuration(fingerprint, more):
    """JSON is YAML too, and this has no library to write the latter."""
    return json.dumps(
        {"azure": {**TARGET, "tags": TAGS}, "agent": {"repository_key": [fingerprint]}, **more},
        indent=2, ensure_ascii=False,
    ) + "\n"


def user_data(agent, folder, fingerprint, more):
    """What an operator would give to the VM, by the command he would use."""
    config = folder / "config.yaml"
    config.write_text(configuration(fingerprint, more))
    target = folder / "user-data"
    with target.open("wb") as file:
        run(agent, "user-data", "--config", config, into=file)
    return target.read_bytes()


def perform(scenario, folder, shared, report):
    """Boot and check; returns the VM and the list of what does not hold."""
    folder.mkdir(parents=True)
    wrong = []
    with Nexus(shared.nexus, folder, shared.site, scenario.plan) as nexus:
        vm = Vm(folder, nexus)
        shared.image.copy_to(vm.disk)
        seed.trust(vm.disk, nexus.authority)
        data = user_data(shared.agent, folder, shared.fingerprint, scenario.settings)
        vm.facts["user-data"] = f"{len(data)} bytes"
        seed.make(vm.seed, data, vm.name, scenario.rerun)
        for checklist in scenario.boots:
            seconds = vm.start(shared.image)
            report(f"boot {vm.boot} of {scenario.name} took {seconds:.0f} s")
            wrong += examine(vm, checklist, report)
    return vm, wrong


def examine(vm, checklist, report):
    wrong = []
    for check in checklist:
        name = check.__name__.replace("_", " ")
        try:
            check(vm)
            report(f"  ok     {name}")
        except (checks.Wrong, KeyError, ValueError, OSError) as error:
            seen = str(error) if isinstance(error, checks.Wrong) else repr(error)
            report(f"  WRONG  {name}: {seen[:500]}")
            wrong.append(name)
    return wrong


def named(names):
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise Failure(f"there is no scenario {name}; there are: {', '.join(known)}")
    return [known[name] for name in names] or SCENARIOS


def tail(path, lines=40):
    path = pathlib.Path(path)
    if not path.is_file():
        return ""
    # Colours, cursor movements and empty lines only hide what was said.
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", path.read_text(errors="replace"))
    said = [line for line in plain.splitlines() if line.strip()]
    return f"--- the end of {path}\n" + "\n".join(said[-lines:])
