"""The infrastructure code in cloud-init/, checked without Azure. Started by `run`."""

import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
import typing
from pathlib import Path

import hcl2
import tree_sitter_bicep
import tree_sitter_hcl
from azure.mgmt.networkcloud import models
from pycep import BicepParser
from tree_sitter import Language, Parser

HERE = Path(__file__).parent
FOLDER = Path("cloud-init")
VM = "Microsoft.NetworkCloud/virtualMachines@2025-07-01-preview"
ROLES = {
    "Azure Connected Machine Resource Manager": "f5819b54-e033-4d82-ac66-4fec3cbf3f4c",
    "HybridCompute Machine ListAccessDetails Action": "e9701b4d-e6e7-4657-91cd-360a0881d224",
}
# A value that is an expression and not the text itself.
EXPRESSION = re.compile(r"^\$\{|^[a-z][A-Za-z0-9]+$")


# What every model is made from.
MODEL = models.ExtendedLocation.__mro__[1]


def text(name):
    return (FOLDER / name).read_text(encoding="ascii")


def bicep(name):
    return BicepParser().parse(text=text(name))


def unquoted(value):
    """What python-hcl2 gives, without the quotes that it keeps around texts and names, and without its own members."""
    if isinstance(value, dict):
        return {unquoted(key): unquoted(inner) for key, inner in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [unquoted(inner) for inner in value]
    return value.strip('"') if isinstance(value, str) else value


def terraform(name="main.tf"):
    return unquoted(hcl2.loads(text(name)))


def named(blocks):
    """Blocks of HCL by their last label."""
    found = {}
    for block in blocks:
        for label, body in block.items():
            found.update(named([body]) if label == "azapi_resource" else {label: body})
    return found


# The models of the API.


def members(model):
    """The members of a model by their names in JSON: the type of each, whether it is required, whether it may be set."""
    found = {}
    # In the models' own hints `_models` is the package, which has the enumerations too.
    hints = typing.get_type_hints(model, vars(models._models) | {"_models": models})
    for attribute, hint in hints.items():
        if attribute.startswith("_"):
            continue
        field = inspect.getattr_static(model, attribute, None)
        rest = getattr(field, "_rest_name_input", None) or attribute
        required = type(None) not in typing.get_args(hint)
        visibility = getattr(field, "_visibility", None) or []
        found[rest] = (hint, required, not visibility or "create" in visibility)
    return found


def kinds(hint):
    """What a type hint stands for, without Optional and Union."""
    inner = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if typing.get_origin(hint) is typing.Union:
        return [kind for one in inner for kind in kinds(one)]
    return [hint]


def compare(value, hint, place, problems):
    """Finds names that the model does not have, values that it does not list, and what it requires and is not there."""
    for kind in kinds(hint):
        if typing.get_origin(kind) is list and isinstance(value, list):
            for inner in value:
                compare(inner, typing.get_args(kind)[0], place, problems)
        elif isinstance(kind, type) and issubclass(kind, MODEL) and isinstance(value, dict):
            compare_members(value, kind, place, problems)
        elif isinstance(kind, type) and hasattr(kind, "__members__") and isinstance(value, str):
            allowed = [one.value for one in kind]
            if value not in allowed and not EXPRESSION.match(value):
                problems.append(f"{place}: {value!r} is none of {allowed}")


def compare_members(value, model, place, problems):
    known = members(model)
    for name, inner in value.items():
        if name not in known:
            problems.append(f"{place}.{name} is not known to {model.__name__}")
        elif not known[name][2]:
            problems.append(f"{place}.{name} is read only")
        else:
            compare(inner, known[name][0], f"{place}.{name}", problems)
    for name, (_, required, writable) in known.items():
        if required and writable and name not in value:
            problems.append(f"{place}.{name} is required")


def vm_of_bicep():
    config = bicep("main.bicep")["resources"]["vm"]["config"]
    return {name: config[name] for name in ("location", "extendedLocation", "properties")}, config["identity"]


def vm_of_terraform():
    block = named(terraform()["resource"])["vm"]
    body = {**block["body"], "location": block["location"]}
    body["properties"] = {**body["properties"], **block["sensitive_body"]["properties"]}
    return body, block


class Checks:
    """Each of them by its name."""

    def grammar(self):
        """Both languages by tree-sitter: no error, nothing missing."""
        for grammar, names in ((tree_sitter_bicep, ["main.bicep", "roles.bicep"]), (tree_sitter_hcl, ["main.tf", "terraform.tfvars"])):
            parser = Parser(Language(grammar.language()))
            for name in names:
                assert not parser.parse(text(name).encode()).root_node.has_error, name
                broken = text(name).replace("}", "", 1) if "}" in text(name) else text(name) + "= ="
                assert parser.parse(broken.encode()).root_node.has_error, f"the grammar takes a broken {name}"

    def real_hcl(self):
        """HashiCorp's own parser, built for the web, gives what python-hcl2 gives."""
        if "NODE_PATH" not in os.environ:
            return "NOT TRIED: there is no node with npm"
        script = "require('@cdktf/hcl2json').parse('main.tf', require('fs').readFileSync(0, 'utf8')).then(d => console.log(JSON.stringify(d)))"
        for source, good in ((text("main.tf"), True), (text("main.tf").replace("{", "", 1), False)):
            done = subprocess.run(["node", "-e", script], input=source, capture_output=True, text=True, check=False)
            assert (done.returncode == 0) == good, done.stderr[:400]
            if good:
                read = json.loads(done.stdout)
                assert set(read["variable"]) == set(named(terraform()["variable"]))
                assert set(read["resource"]["azapi_resource"]) == {"vm", "roles_before", "roles_after"}
        return None

    def vm_model(self):
        """Names, values and completeness of the VM, and that a wrong one would be found."""
        for body in (vm_of_bicep()[0], vm_of_terraform()[0]):
            problems = []
            compare_members(body, models.VirtualMachine, "vm", problems)
            assert not problems, problems
            body["properties"]["userDataContents"] = ""
            body["properties"]["bootMethod"] = "EFI"
            body["properties"]["storageProfile"]["osDisk"].pop("diskSizeGB")
            body["properties"].pop("vmImage")
            compare_members(body, models.VirtualMachine, "vm", problems)
            assert len(problems) == 4, problems
        assert f'"{VM}"' in text("main.tf") and f"'{VM}'" in text("main.bicep")

    def same_vm(self):
        """The two make the same VM."""
        first, second = (flat(one) for one in (vm_of_bicep()[0], vm_of_terraform()[0]))
        assert set(first) == set(second), set(first) ^ set(second)
        for place, value in first.items():
            if not EXPRESSION.match(value):
                assert second[place] == value, f"{place}: {value} and {second[place]}"

    def parameters(self):
        """Every parameter and variable is used, and the files name all that have no default, and no other."""
        for name in ("main.bicep", "roles.bicep"):
            for parameter in bicep(name)["parameters"]:
                assert len(re.findall(rf"\b{parameter}\b", text(name))) >= 2, f"{parameter} of {name} is not used"
        known = bicep("main.bicep")["parameters"]
        needed = {name for name, told in known.items() if told["default"] is None} - {"userData"}
        given = set(json.loads(text("main.parameters.json"))["parameters"])
        assert needed <= given <= set(known) - {"userData"}, needed ^ given
        variables = named(terraform()["variable"])
        used = set(re.findall(r"\bvar\.(\w+)", text("main.tf")))
        assert used == set(variables), used ^ set(variables)
        needed = {name for name, told in variables.items() if "default" not in told}
        assert needed == set(terraform("terraform.tfvars")), needed ^ set(terraform("terraform.tfvars"))

    def secrets(self):
        """The user-data is a secret, and is not encoded once more."""
        assert {"type": "secure"} in [{"type": one["type"]} for one in bicep("main.bicep")["parameters"]["userData"]["decorators"]]
        assert bicep("main.bicep")["parameters"]["userData"]["default"] is None
        block = vm_of_terraform()[1]
        assert "userDataContent" not in json.dumps(block["body"])
        content = block["sensitive_body"]["properties"]["userDataContent"]
        assert "sensitive(" in content and "file(" in content, content
        code = re.sub(r"(?m)(#|//).*$", "", text("main.tf") + text("main.bicep"))
        assert not re.search(r"filebase64|loadFileAsBase64|base64encode|base64\(", code)

    def roles(self):
        """Both roles, for both kinds of identity, on the group of the Arc machine."""
        parameters = bicep("roles.bicep")["parameters"]
        assert {told["default"] for told in parameters.values()} == {None, *ROLES.values()}
        modules = bicep("main.bicep")["modules"]
        assert set(modules) == {"rolesBefore", "rolesAfter"}
        for module in modules.values():
            scope = module["config"]["config"]["scope"]["function"]
            assert scope == {"type": "resource_group", "parameters": {"resource_group_name": "arcResourceGroup", "subscription_id": "arcSubscriptionId"}}
        resources = named(terraform()["resource"])
        variables = named(terraform()["variable"])
        assert variables["role_ids"]["default"] == ROLES, variables["role_ids"]["default"]
        for name, condition in (("roles_before", "? var.role_ids : {}"), ("roles_after", "? {} : var.role_ids")):
            assert condition in resources[name]["for_each"] and "local.arc_scope" in resources[name]["parent_id"]
            assert "uuidv5(" in resources[name]["name"] and resources[name]["body"]["properties"]["principalType"] == "ServicePrincipal"
        for role in ROLES:
            assert f'"{role}"' in text("create-vm.sh")

    def configuration(self):
        """The group of the Arc machine is that of the example configuration."""
        group = re.search(r"resource_group: (\S+)", text("config.yaml"))[1]
        assert json.loads(text("main.parameters.json"))["parameters"]["arcResourceGroup"]["value"] == group
        assert terraform("terraform.tfvars")["arc_resource_group"] == group
        assert f":={group}}}" in text("create-vm.sh")

    # create-vm.sh

    def run_script(self, plan, **environment):
        """Runs it with the stand-in; gives the exit code, the calls and the state afterwards."""
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "az").write_text((HERE / "az").read_text().replace("/usr/bin/env python3", sys.executable))
            (folder / "sleep").write_text("#!/bin/sh\n")
            for program in ("az", "sleep"):
                (folder / program).chmod(0o755)
            (folder / "user-data.b64").write_text("I2Nsb3VkLWNvbmZpZwo=")
            state = {"calls": [], "appears": 0, "refusals": 0, "csn": {"id": "/csn/1"}, "identity": {"principalId": "uami-object"},
                     "vm": {"identity": {"principalId": "system-object"}}, **plan}
            (folder / "state").write_text(json.dumps(state))
            environment = {"PATH": f"{place}:/usr/bin:/bin", "STATE": f"{place}/state", "VM_NAME": "vm7", "VM_RESOURCE_GROUP": "vms",
                           "ARC_RESOURCE_GROUP": "arc", "SUBSCRIPTION_ID": "sub", "CSN_NAME": "csn", **environment}
            script = Path("cloud-init/create-vm.sh").resolve()
            done = subprocess.run(["sh", script], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)
            return done, json.loads((folder / "state").read_text())

    def script(self):
        subprocess.run(["shellcheck", FOLDER / "create-vm.sh"], check=True)
        create, assign = "networkcloud virtualmachine create", "role assignment create"
        identity = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uami"
        for plan, more, order, principal in (
            ({"appears": 3}, {}, [create, assign, assign], "system-object"),
            ({"refusals": 2}, {}, [create, *[assign] * 4], "system-object"),
            ({}, {"UAMI_ID": identity}, [assign, assign, create], "uami-object"),
        ):
            done, state = self.run_script(plan, **more)
            assert done.returncode == 0, done.stderr
            calls = state["calls"]
            assert [name for name, _ in calls if name in (create, assign)] == order, calls
            assert calls[-1][0] == "networkcloud virtualmachine wait"
            for _, options in [call for call in calls if call[0] == assign]:
                assert options["--assignee-object-id"] == [principal] and options["--scope"] == ["/subscriptions/sub/resourceGroups/arc"]
            assert {options["--role"][0] for name, options in calls if name == assign} == set(ROLES)
            made = next(options for name, options in calls if name == create)
            assert made["--user-data-content"] == ["@user-data.b64"] and made["--csn"] == ["attached-network-id=/csn/1"]
            assert ("--mi-user-assigned" in made, "--mi-system-assigned" in made) == (bool(more), not more)
            problems = []
            compare(json.loads(made["--network-attachments"][0]), list[models.NetworkAttachment], "network-attachments", problems)
            assert not problems, problems

    def script_endpoints(self):
        """What the list of endpoints has is kept; what it has already is not added."""
        there = [{"category": "mine", "endpoints": [{"domainName": "a.example", "port": 443}]}]
        added = {"category": "azure-arc", "endpoints": [{"domainName": "packages.microsoft.com", "port": 443}]}
        for before, after in ((None, [added]), ([], [added]), (there, [*there, added]), ([added], [added])):
            done, state = self.run_script({"csn": {"id": "/csn/1", "additionalEgressEndpoints": before}})
            assert done.returncode == 0 and state["csn"]["additionalEgressEndpoints"] == after, f"{before}: {state['csn']}{done.stderr}"
            problems = []
            compare(after, list[models.EgressEndpoint], "endpoints", problems)
            assert not problems, problems
        done, state = self.run_script({}, EGRESS_HOSTS="a.example b.example")
        assert [one["endpoints"][0]["domainName"] for one in state["csn"]["additionalEgressEndpoints"]] == ["a.example", "b.example"]

    def script_fails(self):
        done, state = self.run_script({"vm": {"identity": None}})
        assert done.returncode == 1 and "no system-assigned identity" in done.stderr, done.stderr
        assert not [name for name, _ in state["calls"] if name == "role assignment create"]
        done, _ = self.run_script({"refusals": 9})
        assert done.returncode == 1
        done, state = self.run_script({}, USER_DATA_FILE="elsewhere.b64")
        assert done.returncode == 1 and "there is no elsewhere.b64" in done.stderr and not state["calls"]


def flat(value, place=""):
    """Every value that is no object, by its place."""
    if isinstance(value, dict):
        return {key: one for name, inner in value.items() for key, one in flat(inner, f"{place}.{name}").items()}
    if isinstance(value, list):
        return {key: one for index, inner in enumerate(value) for key, one in flat(inner, f"{place}[{index}]").items()}
    return {place: str(value)}


def main():
    failed = 0
    for name, check in inspect.getmembers(Checks(), inspect.ismethod):
        if name == "run_script":
            continue
        try:
            note = check()
        except Exception as problem:  # Whatever a check fails with counts as its failure.
            failed += 1
            where = traceback.extract_tb(problem.__traceback__)[-1].line
            print(f"FAILED  {name}: {problem or where}", flush=True)
        else:
            print(f"{'note' if note else 'ok':<7} {name}{': ' + note if note else ''}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
