"""Checks after a boot. Every check raises Wrong with what it observed."""

import json
import re

import leaks
import package

PROXY = "http://169.254.0.11:3128"
DIRECT = ["localhost", "127.0.0.1", "::1", "169.254.169.254"]
VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
CONNECT = "azcmagent connect"


class Wrong(Exception):
    """A check does not hold."""


def need(holds, seen):
    if not holds:
        raise Wrong(str(seen))


def events(text):
    """The agent's lines of a log. cloud-init and the programs it runs write into
    the same file; a line that has one of our keys is ours and must be whole."""
    found = []
    for line in text.splitlines():
        if '"run_id"' not in line:
            continue
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise Wrong(f"a torn line, {error}: {line[:200]}") from None
    return found


def cloud_init_is_done(vm):
    result = json.loads(vm.probe("cloud-init-result.json"))["v1"]
    need(result["errors"] == [], result["errors"])
    status = vm.probe("cloud-init-status")
    need("status: done" in status and vm.code("cloud-init-status") == 0, status)
    failed = vm.probe("failed-units")
    need(not failed.strip(), f"failed units: {failed}")


def log_tells_the_run(vm):
    lines = events(vm.probe("cloud-init-output.log"))
    need(lines, "none of the agent's lines is in /var/log/cloud-init-output.log")
    for line in lines:
        missing = {"timestamp", "level", "run_id", "event"} - set(line)
        need(not missing, f"{missing} missing in {line}")
    # The timer may have come meanwhile, and gone at once; or afterwards, and found all well.
    ends = [line for line in lines if line["event"] == "run.finished"]
    others = {line["fault"] for line in ends if line["run_id"] != lines[0]["run_id"]}
    need(others <= {"host.busy", None}, f"other runs ended with {others}")
    last = [line for line in lines if line["run_id"] == lines[0]["run_id"]][-1]
    need(last["event"] == "run.finished", f"the last line is {last}")
    need(last["outcome"] == "enrolled" and last["exit_code"] == 0, last)
    vm.facts["enroll"] = f"{last['elapsed_ms'] / 1000:.1f} s"
    vm.facts["log lines"] = len(lines)


def machine_is_connected(vm):
    shown = json.loads(vm.probe("azcmagent-show"))
    wanted = {"status": "Connected", "resourceName": vm.name, "agentVersion": package.VERSION}
    wanted.update({key: vm.target[name] for key, name in (
        ("subscriptionId", "subscription_id"), ("resourceGroup", "resource_group"), ("location", "location"))})
    for key, value in wanted.items():
        need(shown[key] == value, f"{key} is {shown[key]!r}, wanted {value!r}")
    need(vm.probe("azcmagent-proxy").strip() == PROXY, vm.probe("azcmagent-proxy"))


def azure_has_one_machine(vm):
    machines = vm.nexus.machines()
    need(list(machines) == [vm.name], f"machines: {list(machines)}")
    need(machines[vm.name].get("tags") == vm.tags, machines[vm.name].get("tags"))


def package_is_installed(vm):
    need(vm.probe("azcmagent-package") == f"install ok installed {package.VERSION}\n", vm.probe("azcmagent-package"))
    states = vm.probe("services")
    for state in ("LoadState=loaded", "ActiveState=active", "UnitFileState=enabled"):
        need(states.count(state + "\n") == len(package.UNITS), states)
    hosts = [seen["host"] for seen in vm.nexus.requests() if seen["server"] == "csn"]
    need("packages.microsoft.com" in hosts, "the proxy was not asked for packages.microsoft.com")


def environment_of(text):
    """NAME=VALUE lines, with or without quotes, as env, systemctl and
    /etc/environment write them."""
    pairs = re.findall(r'^(?:export )?(\w+)=\$?(["\']?)(.*?)\2$', text, re.MULTILINE)
    return {name: value for name, _, value in pairs}


def need_proxy(where, text):
    have = environment_of(text)
    for name in VARIABLES:
        upper, lower = have.get(name), have.get(name.lower())
        need(upper is not None and upper == lower, f"{where}: {name}={upper}, {name.lower()}={lower}")
    need(have["HTTP_PROXY"] == PROXY == have["HTTPS_PROXY"], f"{where}: {have}")
    missing = set(DIRECT) - set(have["NO_PROXY"].split(","))
    need(not missing, f"{where}: NO_PROXY={have['NO_PROXY']} lacks {missing}")


def proxy_is_set_everywhere(vm):
    need_proxy("/etc/environment", vm.file("/etc/environment"))
    need_proxy("a login (pam)", vm.probe("login-environment"))
    need_proxy("a login shell (profile.d)", vm.probe("profile-environment"))
    need_proxy("systemd", vm.probe("manager-environment"))
    need_proxy("a service started afterwards", vm.probe("unit-environment"))
    apt = vm.probe("apt-settings")
    for scheme in ("http", "https"):
        need(re.search(rf'^Acquire::{scheme}::Proxy "{PROXY}/?";', apt, re.M), f"apt has no {scheme} proxy")


def calls_of(vm):
    """How the stand-in azcmagent was called; the end of a call has its exit code."""
    lines = vm.file("/var/opt/azcmagent/nexus/calls.jsonl").splitlines()
    return [json.loads(line) for line in lines]


def connect_was_safe(vm):
    connects = [call for call in calls_of(vm) if call.get("call") == CONNECT]
    need(len(connects) == 1, f"{len(connects)} calls of {CONNECT}")
    for call in calls_of(vm):
        need(not call.get("token_in_argv") and not call.get("token_in_env"), f"a token in sight: {call}")
    config = connects[0]["config"]
    need(config and config["mode"] == "600" and config["file_system"] == "tmpfs", config)


def imds_was_asked_directly(vm):
    seen = vm.nexus.requests()
    tokens = [one for one in seen if one["server"] == "imds" and "/oauth2/token" in one["target"]]
    need(tokens, "the sidecar was not asked for a token")
    need(all(one["headers"].get("metadata") == "true" for one in tokens), tokens)
    strays = [one for one in seen if one["server"] != "imds" and "169.254.169.254" in one["host"]]
    need(not strays, f"asked through the proxy: {strays}")


def record_is_kept(vm):
    record = json.loads(vm.file("/var/lib/arc-enroll/status.json"))
    need(record["outcome"] == "enrolled" and record["exit_code"] == 0, record)


def second_run_changes_nothing(vm):
    need(vm.code("rerun") == 0, f"exit code {vm.code('rerun')}: {vm.probe('rerun')}{vm.probe('rerun.stderr')}")
    lines = events(vm.file("/var/log/cloud-init-output.log"))
    need(lines[-1]["event"] == "run.finished" and lines[-1]["outcome"] == "enrolled", lines[-1])
    need(lines[-1]["run_id"] != lines[0]["run_id"], "the second run is not in the log")
    ends = [line for line in lines if line["event"] == "run.finished" and line["outcome"] == "enrolled"]
    vm.facts["second run"] = f"{ends[1]['elapsed_ms'] / 1000:.1f} s"


def timer_looks_after_it(vm):
    timer = vm.probe("timer")
    for state in ("LoadState=loaded", "ActiveState=active", "UnitFileState=enabled"):
        need(state + "\n" in timer, timer)
    status = json.loads(vm.probe("status-json"))
    need(status["timer"]["installed"] and status["timer"]["active"], status["timer"])
    # A running timer unit has no next time.
    need(status["timer"]["next"] or status["timer"]["running"], f"{status['timer']} {timer}")
    need(all(one["state"] == "holds" for one in status["now"]["conditions"]), status["now"])
    need(vm.code("status") == 0 and "Next try:   " in vm.probe("status"), vm.probe("status"))


def unit_does_the_work(vm):
    """By the unit as it is installed, hardening included."""
    journal = vm.probe("service-journal")
    need(vm.code("service-run") == 0, f"{vm.probe('service-run.stderr')}{journal}")
    need("ENROLLED: " in journal, journal)
    result = vm.probe("service-result")
    need("Result=success\n" in result and "ExecMainStatus=0\n" in result, result)


def unit_repairs_drift(vm):
    need(vm.code("drift") == 0, f"{vm.probe('drift')}{vm.probe('drift.stderr')}")
    need(vm.code("service-repair") == 0, f"{vm.probe('service-repair.stderr')}{vm.probe('service-journal')}")
    need(vm.probe("service-state").strip() == "active", vm.probe("service-state"))
    need(vm.probe("service-proxy").strip() == PROXY, vm.probe("service-proxy"))
    need_proxy("/etc/environment after the repair", vm.file("/etc/environment"))


def first_boot_gave_up(vm):
    runs = ends_of_runs(vm)
    need(runs[0]["outcome"] == "waiting" and runs[0]["exit_code"] == 75, runs[0])
    need("the timer continues" in runs[0]["next"], runs[0])
    need(runs[0]["condition"] == "identity", runs[0])


def cloud_init_shows_the_error(vm):
    status = vm.probe("cloud-init-status")
    need("status: error" in status and vm.code("cloud-init-status") == 1, status)
    errors = json.loads(vm.probe("cloud-init-result.json"))["v1"]["errors"]
    need(any("scripts" in error for error in errors), errors)


def timer_went_on_by_itself(vm):
    need(vm.code("rerun") == 0, f"the timer did not enroll in time: {vm.probe('service-journal')}")
    runs = ends_of_runs(vm)
    faults = [run["fault"] for run in runs]
    need("access.role-missing" in faults, faults)
    need(None in faults, faults)
    vm.facts["runs until enrolled"] = faults.index(None) + 1


def ends_of_runs(vm):
    """The outcome of each run, except those that found another run active."""
    lines = events(vm.file("/var/log/cloud-init-output.log"))
    return [line for line in lines if line["event"] == "run.finished" and line["fault"] != "host.busy"]


def no_token_in_memory(vm):
    need(vm.code("tokens-planted") == 0, "the search does not find what it shall find")
    # grep's 1 says that it has read everything and found nothing.
    need(vm.code("tokens-in-tmpfs") == 1, f"{vm.probe('tokens-in-tmpfs')}{vm.probe('tokens-in-tmpfs.stderr')}")
    need(not vm.probe("tokens-in-processes").strip(), vm.probe("tokens-in-processes"))


def no_token_on_disk(vm):
    """Every byte of the disk, free blocks and journal included, and every console."""
    tokens = vm.nexus.tokens()
    need(tokens, "no token was issued")
    wanted = sorted({piece for token in tokens for piece in leaks.needles(token)})
    for path in (vm.disk, *vm.consoles):
        found = leaks.search(path, wanted)
        need(not found, f"{path.name} holds pieces of a token at {sorted(offset for offset, _ in found)[:9]}")
    vm.facts["tokens searched"] = f"{len(tokens)} ({len(wanted)} pieces)"


def planted_token_is_found(vm):
    """The search above finds a token where there is one: in the journal, in a file, on the console."""
    wanted = leaks.needles(vm.planted.strip())
    journal = sorted((vm.folder / "guest/log/journal").glob("*/system*.journal"))
    need(journal, "there is no journal on the disk")
    where = {
        "the journal": max(len(leaks.search(path, wanted)) for path in journal),
        "the disk": len(leaks.search(vm.disk, wanted)),
        "the console": len(leaks.search(vm.serial_of(vm.boot), wanted)),
    }
    missed = [place for place, found in where.items() if found < 20]
    need(not missed, f"not found in {missed}: {where}")


ENROLLED = [
    cloud_init_is_done, log_tells_the_run, machine_is_connected, azure_has_one_machine, package_is_installed,
    proxy_is_set_everywhere, connect_was_safe, imds_was_asked_directly, record_is_kept, timer_looks_after_it,
    no_token_in_memory, no_token_on_disk, planted_token_is_found,
]

# By a second run by hand, and by the unit.
LOOKED_AFTER = [second_run_changes_nothing, unit_does_the_work, unit_repairs_drift]

ENROLLED_BY_TIMER = [
    cloud_init_shows_the_error, first_boot_gave_up, timer_went_on_by_itself, azure_has_one_machine, connect_was_safe,
    record_is_kept, timer_looks_after_it, unit_does_the_work, unit_repairs_drift, no_token_in_memory,
    no_token_on_disk, planted_token_is_found,
]
