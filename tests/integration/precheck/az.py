#!/usr/bin/env -S python3 -IS
"""The Azure CLI as precheck meets it: answers from world.json beside it, with the words and exit codes of azure-cli
2.91 and the networkcloud extension. It does not heed --query, as a reply of another version might not."""

import fcntl
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
NEXUS = {"cloudservicesnetwork": "cloudServicesNetworks", "virtualmachine": "virtualMachines", "cluster": "clusters"}
WORLD = json.loads((HERE / "world.json").read_text())


def fail(code: int, words: str) -> None:
    print(f"ERROR: {words}", file=sys.stderr)
    sys.exit(code)


def option(name: str) -> str:
    arguments = sys.argv[1:]
    return arguments[arguments.index(name) + 1] if name in arguments else ""


def missing(kind: str) -> None:
    words = (
        f"(ResourceNotFound) The Resource '{kind}/{option('--name')}' under resource group "
        f"'{option('--resource-group')}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix"
    )
    fail(3, f"{words}\nCode: ResourceNotFound\nMessage: {words.split(') ', 1)[1]}")


def show(kind: str, resources: list) -> dict:
    wanted = [option("--subscription"), option("--resource-group"), option("--name")]
    for resource in resources:
        parts = resource["id"].split("/")
        if [part.lower() for part in (parts[2], parts[4], parts[-1])] == [part.lower() for part in wanted]:
            return resource
    missing(kind)


def of_nexus(words: list) -> object:
    if "networkcloud" not in WORLD["version"]["extensions"]:
        fail(
            2,
            "'networkcloud' is misspelled or not recognized by the system.\nIf the command is from an extension, "
            "please make sure the corresponding extension is installed.",
        )
    kind = NEXUS[words[1]]
    if words[2] == "show":
        return show(f"Microsoft.NetworkCloud/{kind}", WORLD[kind])
    group = f"/resourceGroups/{option('--resource-group')}/".lower()
    return [resource for resource in WORLD[kind] if group in resource["id"].lower()]


def of_roles(words: list) -> object:
    if words[1] == "definition":
        return [one for one in WORLD["definitions"] if one["name"] == option("--name")]
    scope = option("--scope").lower()
    mine = [one for one in WORLD["assignments"] if one["principalId"] == option("--assignee")]
    if "--all" in words:
        # The subscription's own listing does not have what is assigned above it.
        return [one for one in mine if one["scope"].startswith("/subscriptions/")]
    return [one for one in mine if scope.startswith(one["scope"].lower().rstrip("/")) or "managementGroups" in one["scope"]]


def answer(words: list) -> object:
    if words[0] == "version":
        return WORLD["version"]
    account = WORLD["account"]
    if words[0] == "networkcloud" and "networkcloud" not in WORLD["version"]["extensions"]:
        return of_nexus(words)
    if not account:
        fail(1, "Please run 'az login' to setup account.")
    if account["id"] != option("--subscription"):
        fail(1, f"Subscription '{option('--subscription')}' not found. Check the spelling and casing and try again.")
    if words[0] == "account":
        return account
    if words[0] == "group":
        for group in WORLD["groups"]:
            if group["name"].lower() == option("--name").lower():
                return group
        fail(3, f"(ResourceGroupNotFound) Resource group '{option('--name')}' could not be found.")
    if words[0] == "provider":
        return {"namespace": option("--namespace"), "registrationState": WORLD["providers"][option("--namespace")]}
    if words[0] == "identity":
        kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
        return WORLD["identities"] if words[1] == "list" else show(kind, WORLD["identities"])
    return of_roles(words) if words[0] == "role" else of_nexus(words)


def main() -> None:
    words = sys.argv[1:]
    with (HERE / "calls.jsonl").open("a") as calls:
        fcntl.flock(calls, fcntl.LOCK_EX)
        calls.write(json.dumps({"argv": words, "env": dict(os.environ), "stdin": sys.stdin.read()}) + "\n")
    line = " ".join(words)
    for said in WORLD.get("said", []):
        if said["to"] in line:
            print(said.get("stdout", ""), end="")
            print(said.get("stderr", ""), end="", file=sys.stderr)
            if said.get("hang"):
                sys.stdout.flush()
                os.execvp("sleep", ["sleep", "600"])
            sys.exit(said.get("code", 0))
    print(json.dumps(answer(words), indent=2))


main()
