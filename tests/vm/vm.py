"""One VM of a scenario: its disk, its boots, and what they leave behind."""

import base64
import json
import secrets

import checks
import machine
import seed
from tools import Failure, run

# The place in Azure that the simulated ARM knows (tests/nexus/spec.rs).
TARGET = {
    "subscription_id": "11111111-1111-4111-8111-111111111111",
    "resource_group": "contoso-nexus-rg",
    "location": "eastus",
}

# Commas, quotes, spaces and non-ASCII must arrive as they are written here.
TAGS = {"Site": "Plant 7, hall B", "Owner": "Zoë O'Hara", "Tier": "edge"}


class Vm:
    name = "contoso-vm-01"
    target = TARGET
    tags = TAGS

    def __init__(self, folder, nexus, image):
        self.folder = folder
        self.nexus = nexus
        self.image = image
        self.disk = folder / "disk.raw"
        self.seed = folder / "seed.iso"
        self.facts = {}
        self.boot = 0
        self.asked_before = 0
        self.planted = token_of_nobody()
        image.copy_to(self.disk)
        seed.trust(self.disk, nexus.authority)

    def serial_of(self, boot):
        return self.folder / f"serial-{boot}.log"

    @property
    def console(self):
        """The console output of this boot so far."""
        try:
            return self.serial_of(self.boot).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    @property
    def consoles(self):
        return [self.serial_of(boot) for boot in range(1, self.boot + 1)]

    @property
    def answers(self):
        return self.answers_of(self.boot)

    def answers_of(self, boot):
        return self.folder / "guest" / "vm-probe" / f"boot-{boot}"

    def user_data(self, program, more, fingerprint, scenario):
        """The user-data of the VM, created by the operator's command."""
        config = self.folder / "config.yaml"
        config.write_text(configuration(fingerprint, scenario.settings))
        words = ["--config", config, *scenario.options, *more]
        if scenario.include:
            own = self.folder / "own-user-data"
            own.write_text(scenario.include)
            words += ["--include", own]
        target = self.folder / "user-data"
        with target.open("wb") as file:
            run(program, "user-data", *words, into=file)
        self.facts["user-data"] = f"{target.stat().st_size} bytes"
        return target.read_bytes()

    def start(self, plan, data):
        """Boot once, until the VM switches itself off or its power is cut; returns the seconds."""
        self.boot += 1
        self.asked_before = len(self.nexus.requests())
        seed.make(self.seed, data, self.name, self.boot, plan.ask, self.planted)
        cut = plan.cut and (lambda: plan.cut(self))
        try:
            seconds = machine.boot(
                self.image, self.disk, self.seed, self.serial_of(self.boot), self.nexus.ports, plan.word, cut)
        finally:
            # A guest that did not finish has left a log, too.
            if not cut:
                for path in ("/var/lib/vm-probe", "/var/log"):
                    seed.fetch_folder(self.disk, path, self.folder / "guest")
        if not cut and not self.answers.is_dir():
            raise Failure("the guest switched itself off without an answer")
        if not cut:
            self.facts["cloud-init"] = self.probe("cloud-init-version").split()[-1]
        return seconds

    def probe(self, name, boot=None):
        """What the probe inside found, in this boot unless another one is named."""
        try:
            return (self.answers_of(boot or self.boot) / name).read_text(errors="replace")
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


def token_of_nobody():
    """A text that looks like a token and is not one."""
    parts = [base64.urlsafe_b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (500, 256)]
    return f"eyJ0eXAiOiJKV1QifQ.{parts[0]}.{parts[1]}\n"


def configuration(fingerprint, more):
    """JSON is YAML too, and this has no library to write the latter."""
    return json.dumps(
        {"azure": {**TARGET, "tags": TAGS}, "agent": {"repository_key": [fingerprint]}, **more},
        indent=2, ensure_ascii=False,
    ) + "\n"
