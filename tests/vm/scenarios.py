"""The scenarios: what the VM is given, how often it boots, what must hold."""

import dataclasses
import pathlib
import re
import typing

import checks
import lasting
import outages
from doubles import Nexus
from tools import Failure
from vm import Vm


@dataclasses.dataclass
class Boot:
    # What must hold after it.
    checks: list
    # Shell that the probe runs once cloud-init has ended; probe.sh has its functions.
    ask: str = ""
    # True when the power is to be cut; without it the probe switches the VM off.
    cut: typing.Callable | None = None
    # A word for the kernel's command line: where the stand-ins stand still (package.py).
    word: str = ""


@dataclasses.dataclass
class Scenario:
    name: str
    about: str
    boots: list
    # What goes wrong around the VM, as `nexus serve --plan` reads it.
    plan: dict = dataclasses.field(default_factory=dict)
    # More of the configuration.
    settings: dict = dataclasses.field(default_factory=dict)
    # More options of `arc-enroll user-data`, and a text to include.
    options: tuple = ()
    include: str = ""
    suite: str = "bookworm"
    # Whether it is one of those for which continuous integration has the time.
    ci: bool = False


SECOND_RUN = "answer rerun arc-enroll enroll"

# What the timer does, by its own unit and within that unit's limits.
UNIT = """\
answer service-run systemctl start arc-enroll.service
answer service-result systemctl show -p Result,ExecMainStatus arc-enroll.service
answer drift drift
answer service-repair systemctl start arc-enroll.service
answer service-state systemctl is-active himdsd.service
answer service-proxy azcmagent config get proxy.url
"""

WAIT_FOR_THE_TIMER = "answer rerun by_itself enrolled\n"

# After a power cut: does the timer finish, and are there half-written files?
AFTER_A_CUT = WAIT_FOR_THE_TIMER + """\
answer unfinished unfinished
answer dpkg-audit dpkg --audit
answer apt-check apt-get check
answer units systemd-analyze verify arc-enroll.service arc-enroll.timer himdsd.service
answer validate arc-enroll validate
answer validate-lists apt-get indextargets
"""

REBOOTED = """\
answer looks another_look
answer tree tree
answer another-look another_look
answer drift drift
answer service-repair by_itself without_drift
answer service-state systemctl is-active himdsd.service
answer service-proxy azcmagent config get proxy.url
"""

OFTEN = {"repair": {"every": "20s"}}

# The sidecar has no token while the first boot lasts, and the role comes later still: the timer installs
# azcmagent within the limits of its unit, and connects in a later run.
LATE_ROLE = {
    "imds": {"token": [{"act": {"reply": {"status": 503, "body": "no token yet"}}, "span": {"for": 8000}}]},
    "azure": {"access": {"denials": 6}},
}

# Times count from the first connection, so that a slow VM sees every phase.
LATE_NETWORK = {
    "imds": {"healthz": [{"act": "hang", "span": {"for": 90_000}}]},
    "csn": {
        "connect": [{"act": "close", "span": {"for": 60_000}}],
        "hosts": {"packages.microsoft.com": [
            {"act": {"reply": {"status": 403, "headers": {"X-Squid-Error": "ERR_ACCESS_DENIED 0"}}},
             "span": {"times": 4}},
        ]},
    },
    "azure": {"access": {"denials": 6}},
}

# For longer than the first boot tries: the user-data does not carry the agent, and its host is not let out yet.
FETCH_REFUSED = {"csn": {"hosts": {"packages.microsoft.com": [
    {"act": {"reply": {"status": 403, "headers": {"X-Squid-Error": "ERR_ACCESS_DENIED 0"}}}, "span": {"for": 100_000}},
]}}}

FETCHED_LATE = WAIT_FOR_THE_TIMER + """\
answer fetch-journal journalctl -o cat -u arc-enroll-fetch.service
answer fetch-units sh -c 'find /etc/systemd/system -name "arc-enroll-fetch*"; systemctl list-timers --no-legend "arc-enroll-fetch*"'
"""

# The answer to the request that makes the machine does not come: Azure has it by then, the VM does not know.
NO_ANSWER = {"azure": {"routes": {"machine.put": [{"act": {"late": 1_200_000}, "span": {"times": 1}}]}}}


def put_was_sent(vm):
    return any(seen["method"] == "PUT" and "/machines/" in seen["target"] for seen in vm.nexus.requests())


def console_says(text):
    return lambda vm: text in vm.console


SCENARIOS = [
    Scenario("first-boot", "a new VM enrols itself from its user-data", ci=True, boots=[
        Boot(checks.ENROLLED + checks.LOOKED_AFTER, SECOND_RUN + "\n" + UNIT),
    ]),
    Scenario(
        "late-role", "the first boot gives up, cloud-init says so, and the timer enrols the VM", ci=True,
        boots=[Boot(checks.ENROLLED_BY_TIMER, WAIT_FOR_THE_TIMER + UNIT)],
        plan=LATE_ROLE, settings={"wait": {"token": "3s", "access": "3s"}, "repair": {"every": "10s"}},
    ),
    Scenario(
        "cut-in-install", "the power is cut while dpkg configures azcmagent", ci=True, settings=OFTEN,
        boots=[
            Boot([lasting.nothing_in_azure], cut=console_says("vm: stalled in postinst"), word="vm.stall=postinst"),
            Boot(lasting.RECOVERED + [lasting.dpkg_was_finished], AFTER_A_CUT),
        ],
    ),
    Scenario(
        "late-network", "sidecar silent for 90 s, proxy closed for 60 s, repository and role refused at first",
        boots=[Boot(checks.ENROLLED + outages.NETWORK)], plan=LATE_NETWORK,
    ),
    Scenario(
        "own-user-data", "a multi-part message: the user's cloud-config, which holds apt's lock, and a script",
        boots=[Boot(checks.ENROLLED + outages.OWN_USER_DATA)], include=outages.INCLUDE,
    ),
    Scenario(
        "fetched-late", "by --fetch-url: the proxy refuses its host until the first boot has given up",
        settings={**OFTEN, "wait": {"boot": "90s"}}, plan=FETCH_REFUSED, options=("--fetch-url", outages.HOSTED),
        # The probe's own unit was there before the proxy settings, so that it cannot tell of them.
        boots=[Boot(
            outages.FETCHED_LATE + [one for one in lasting.FINALLY if one is not checks.proxy_is_set_everywhere],
            FETCHED_LATE,
        )],
    ),
    Scenario(
        "cut-in-connect", "the power is cut when Azure has the machine and azcmagent does not know", settings=OFTEN,
        plan=NO_ANSWER,
        boots=[
            Boot([checks.azure_has_one_machine], cut=put_was_sent),
            Boot(lasting.RECOVERED + [lasting.connect_was_done_again], AFTER_A_CUT),
        ],
    ),
    Scenario(
        "cut-before-record", "the power is cut after azcmagent connect, before the run has ended", settings=OFTEN,
        boots=[
            Boot([checks.azure_has_one_machine], cut=console_says("vm: stalled in show"), word="vm.stall=show"),
            Boot(lasting.RECOVERED + [checks.connect_was_safe, lasting.azure_was_not_told_again], AFTER_A_CUT),
        ],
    ),
    Scenario(
        "reboot", "by gzip user-data; a reboot changes nothing, drift is repaired by the timer",
        settings=OFTEN, options=("--gzip",),
        boots=[
            Boot(checks.ENROLLED + [lasting.user_data_is_gzip], "answer looks another_look\nanswer tree tree\n"),
            Boot(lasting.UNCHANGED, REBOOTED),
        ],
    ),
    Scenario(
        "debian-13", "a cloud-init of today", suite="trixie",
        boots=[Boot(checks.ENROLLED + checks.LOOKED_AFTER, SECOND_RUN + "\n" + UNIT)],
    ),
]


def perform(scenario, folder, shared, report):
    """Boot and check; returns the VM and the list of what does not hold."""
    folder.mkdir(parents=True)
    wrong = []
    with Nexus(shared.nexus, folder, shared.site, scenario.plan) as nexus:
        vm = Vm(folder, nexus, shared.images[scenario.suite])
        data = vm.user_data(shared.program, shared.options, shared.fingerprint, scenario)
        for boot in scenario.boots:
            seconds = vm.start(boot, data)
            ended = "was cut" if boot.cut else "took"
            report(f"boot {vm.boot} of {scenario.name} {ended} {'after ' if boot.cut else ''}{seconds:.0f} s")
            wrong += examine(vm, boot.checks, report)
    return vm, wrong


def examine(vm, checklist, report):
    wrong = []
    for check in checklist:
        name = check.__name__.replace("_", " ")
        try:
            check(vm)
            report(f"  ok     {name}")
        except (checks.Wrong, KeyError, IndexError, ValueError, OSError) as error:
            seen = str(error) if isinstance(error, checks.Wrong) else repr(error)
            report(f"  WRONG  {name}: {seen[:500]}")
            wrong.append(name)
    return wrong


def chosen(names, ci):
    """The scenarios of these names; without names all of them, or those marked for `ci`."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise Failure(f"there is no scenario {name}; there are: {', '.join(known)}")
    return [known[name] for name in names] or [scenario for scenario in SCENARIOS if scenario.ci or not ci]


def tail(path, lines=40):
    path = pathlib.Path(path)
    if not path.is_file():
        return ""
    # Colours, cursor movements and empty lines only hide the text.
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", path.read_text(errors="replace"))
    said = [line for line in plain.splitlines() if line.strip()]
    return f"--- the end of {path}\n" + "\n".join(said[-lines:])
