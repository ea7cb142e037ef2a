"""Checks after a power cut, and after a reboot."""

import json

import checks
from checks import Wrong, need

WRITES = {"PUT", "PATCH", "POST", "DELETE"}


def asked_of_azure(vm, since=0):
    return [seen for seen in vm.nexus.requests()[since:] if seen["host"] == "management.azure.com"]


def nothing_in_azure(vm):
    need(vm.nexus.machines() == {}, vm.nexus.machines())
    need('"event":"run.finished"' not in vm.console, "the run had ended before the power was cut")


def first_boot_left_no_record(vm):
    """What the timer's runs wrote is all there is: the run that was cut has not ended."""
    cut = (vm.folder / "serial-1.log").read_text(errors="replace")
    need('"event":"run.finished"' not in cut, "the run had ended before the power was cut")
    first = [line for line in lines_after_a_cut(vm) if line["event"] == "run.started"][0]["run_id"]
    record = json.loads(vm.file("/var/lib/arc-enroll/status.json"))
    need(record["run_id"] != first, record)


def lines_after_a_cut(vm):
    """The log. Where the power was cut it may have zeros for what the disk had not got yet: it is
    cloud-init's own file, written through a pipe, and nobody waits for the disk there."""
    text = vm.file("/var/log/cloud-init-output.log").replace("\0", "")
    lines, torn = [], 0
    for line in text.splitlines():
        try:
            lines += checks.events(line)
        except Wrong:
            torn += 1
    need(torn <= 1, f"{torn} torn lines")
    need(lines, "the log is empty")
    return lines


def timer_finished_what_was_cut(vm):
    need(vm.code("rerun") == 0, f"the timer did not enrol in time: {vm.probe('service-journal')}")
    need("ENROLLED: " in vm.probe("service-journal"), vm.probe("service-journal"))
    result = json.loads(vm.probe("cloud-init-result.json"))["v1"]
    need(result["errors"] == [], result["errors"])
    runs = [line for line in lines_after_a_cut(vm) if line["event"] == "run.finished"]
    ended = [run["fault"] for run in runs if run["fault"] != "host.busy"]
    vm.facts["runs until enrolled"] = ended.index(None) + 2


def nothing_is_half_written(vm):
    need(vm.probe("unfinished") == "", vm.probe("unfinished"))
    need(vm.code("dpkg-audit") == 0 and vm.probe("dpkg-audit") == "", vm.probe("dpkg-audit"))
    for name in ("apt-check", "validate", "validate-lists"):
        need(vm.code(name) == 0, f"{name}: {vm.probe(name)}{vm.probe(name + '.stderr')}")
    said = vm.probe("units") + vm.probe("units.stderr")
    need(vm.code("units") == 0 and "arc-enroll" not in said, said)
    for path in ("agentconfig.json", "cloudconfig.json", "localconfig.json"):
        json.loads(vm.file(f"/var/opt/azcmagent/{path}"))


def dpkg_was_finished(vm):
    """By the agent's own repair of what was cut, or by the package manager on the agent's call."""
    met = {line.get("fault") for line in lines_after_a_cut(vm) if line["event"] == "condition.fails"}
    vm.facts["met"] = ", ".join(sorted(met - {"agent.absent", "connected.not-enrolled"})) or "nothing"
    connects = [call for call in checks.calls_of(vm) if call.get("call") == checks.CONNECT]
    need(len(connects) == 1, f"{len(connects)} calls of {checks.CONNECT}")


def connect_was_done_again(vm):
    puts = [seen for seen in asked_of_azure(vm) if seen["method"] == "PUT"]
    need(len(puts) == 2, f"{len(puts)} times was Azure told to make the machine")
    need(len({seen["target"] for seen in puts}) == 1, puts)


def azure_was_not_told_again(vm):
    writes = [seen["target"] for seen in asked_of_azure(vm, vm.asked_before) if seen["method"] in WRITES]
    need(not writes, f"told after the cut: {writes}")


def user_data_is_gzip(vm):
    need((vm.folder / "user-data").read_bytes()[:2] == b"\x1f\x8b", "the user-data is not compressed")


def reboot_changed_nothing(vm):
    before, after = vm.probe("tree", 1).splitlines(), vm.probe("tree").splitlines()
    need(len(before) > 200, f"only {len(before)} lines")
    differing = sorted(set(before) ^ set(after))
    need(not differing, differing)
    azure_was_not_told_again(vm)


def each_look_is_one_line(vm):
    """Checks that the timer found no fault and changed nothing, before or after the reboot."""
    need(vm.code("looks") == 0 and vm.code("another-look") == 0, "the timer did not look")
    lines = checks.events(vm.probe("cloud-init-output.log"))
    ends = [line for line in lines if line["event"] == "run.finished" and line["run_id"] != lines[0]["run_id"]]
    need(ends, "no look of the timer is in the log")
    need({end["fault"] for end in ends} <= {None, "host.busy"}, ends)
    for end in ends:
        said = [line["event"] for line in lines if line["run_id"] == end["run_id"]]
        need(end["fault"] or said == ["run.finished"], f"{said} of {end}")


def timer_repaired_drift(vm):
    checks.unit_repairs_drift(vm)
    lines = checks.events(vm.file("/var/log/cloud-init-output.log"))
    repaired = {line["fault"] for line in lines if line["event"] == "repair.finished" and line["outcome"] == "done"}
    for fault in ("agent.service-down", "agent.proxy-missing"):
        need(fault in repaired, repaired)
    need(any(fault and fault.startswith("proxy-environment.") for fault in repaired), repaired)
    azure_was_not_told_again(vm)


FINALLY = [
    checks.machine_is_connected, checks.azure_has_one_machine, checks.package_is_installed,
    checks.proxy_is_set_everywhere, checks.record_is_kept, checks.timer_looks_after_it,
    checks.no_token_in_memory, checks.no_token_on_disk, checks.planted_token_is_found,
]

RECOVERED = [first_boot_left_no_record, timer_finished_what_was_cut, nothing_is_half_written, *FINALLY]

UNCHANGED = [checks.cloud_init_is_done, reboot_changed_nothing, each_look_is_one_line, timer_repaired_drift, *FINALLY]
