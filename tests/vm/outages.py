"""Checks of late or failing services, and of the user's own cloud-config."""

import checks
from checks import events, need

# The user's own message: its first part starts what installs something at the same
# time and lets go of the lock only after the agent has met it.
INCLUDE = '''\
Content-Type: multipart/mixed; boundary="own"
MIME-Version: 1.0

--own
Content-Type: text/cloud-config; charset="us-ascii"
MIME-Version: 1.0

#cloud-config
bootcmd:
- - systemd-run
  - --no-block
  - --unit=own-upgrade
  - python3
  - -c
  - |
    import fcntl, time
    lock = open("/var/lib/dpkg/lock-frontend", "w")
    fcntl.lockf(lock, fcntl.LOCK_EX)
    while "agent.package-lock" not in open("/var/log/cloud-init-output.log", errors="replace").read():
        time.sleep(1)
    time.sleep(5)
write_files:
- path: /var/lib/own-file
  permissions: 0640
  content: "12:30:45"
runcmd:
- [sh, -c, "echo ran >/var/lib/own-runcmd"]
- exit 0

--own
Content-Type: text/x-shellscript; charset="us-ascii"
MIME-Version: 1.0
Content-Disposition: attachment; filename="second.sh"

#!/bin/sh
set -e
echo ran >/var/lib/own-script
exit 0

--own--
'''


# Where the agent is hosted for VMs that fetch it: here the one place that the proxy lets out and serves files.
HOSTED = "https://packages.microsoft.com/arc-enroll"


def log(vm):
    return events(vm.probe("cloud-init-output.log"))


def need_met(vm, *faults):
    """Checks that the first run had one of these faults, and that its condition held afterwards."""
    lines = [line for line in log(vm) if line["run_id"] == log(vm)[0]["run_id"]]
    fails = [line for line in lines if line["event"] == "condition.fails"]
    met = [line for line in fails if line["fault"] in faults]
    need(met, f"none of {faults} was met, but {sorted({line['fault'] for line in fails})}")
    holds = [line for line in lines[lines.index(met[-1]):] if line["event"] == "condition.holds"]
    need(met[-1]["condition"] in [line["condition"] for line in holds], met[-1])
    return met


def need_late(requests, seconds):
    """Checks that requests were refused for this long after the first one."""
    answered = [seen for seen in requests if seen["status"] == 200]
    need(answered, "there was never an answer")
    waited = (answered[0]["at_ms"] - requests[0]["at_ms"]) / 1000
    need(waited >= seconds, f"answered after {waited} s")
    return waited


def sidecar_was_awaited(vm):
    asked = [seen for seen in vm.nexus.requests() if seen["server"] == "imds" and seen["target"] == "/healthz"]
    vm.facts["sidecar silent"] = f"{need_late(asked, 90):.0f} s"
    need_met(vm, "imds.timeout")


def proxy_was_awaited(vm):
    asked = [seen for seen in vm.nexus.requests() if seen["server"] == "csn" and seen["method"] == "CONNECT"]
    vm.facts["proxy closed"] = f"{need_late(asked, 60):.0f} s"
    need_met(vm, "proxy.broken", "proxy.refused")


def repository_was_awaited(vm):
    met = need_met(vm, "egress.refused")
    need(all("packages.microsoft.com" in line["evidence"] for line in met), met)
    asked = [seen["status"] for seen in vm.nexus.requests()
             if seen["server"] == "csn" and seen["host"] == "packages.microsoft.com"]
    need(asked.count(403) == 4 and asked[-1] == 200, asked)


def role_was_awaited(vm):
    need_met(vm, "access.role-missing")
    refused = [seen for seen in vm.nexus.requests() if seen["host"] == "management.azure.com" and seen["status"] == 403]
    need(len(refused) >= 6, f"{len(refused)} refusals")


def lock_was_awaited(vm):
    need_met(vm, "agent.package-lock")


def own_parts_ran(vm):
    need(vm.file("/var/lib/own-file") == "12:30:45", vm.file("/var/lib/own-file"))
    for name in ("runcmd", "script"):
        need(vm.file(f"/var/lib/own-{name}") == "ran\n", f"the user's {name}")


def fetch_was_refused_at_first(vm):
    first = checks.ends_of_runs(vm)[0]
    need((first["fault"], first["exit_code"]) == ("fetch.refused", 17), first)
    need("arc-enroll-fetch.timer tries again" in first["next"], first)
    checks.cloud_init_shows_the_error(vm)


def fetch_was_tried_again_by_its_timer(vm):
    need(vm.code("rerun") == 0, f"the timer did not enroll in time: {vm.probe('fetch-journal')}")
    lines = events(vm.file("/var/log/cloud-init-output.log"))
    fetched = [line for line in lines if line["event"] == "fetch.finished"]
    need(len(fetched) == 1 and fetched[0]["run_id"] != lines[0]["run_id"], fetched)
    need(not vm.probe("fetch-units").strip(), vm.probe("fetch-units"))


NETWORK = [sidecar_was_awaited, proxy_was_awaited, repository_was_awaited, role_was_awaited]
OWN_USER_DATA = [own_parts_ran, lock_was_awaited]
FETCHED_LATE = [fetch_was_refused_at_first, fetch_was_tried_again_by_its_timer]
