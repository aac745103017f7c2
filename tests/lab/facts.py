"""`generated.yml`: what a playbook must know of this one lab, written for `ansible-playbook -e @…`."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.lab.hosts import Host
from tests.lab.network import SERVICES, Plan

REPOSITORY = Path(__file__).resolve().parents[2]
INVENTORY_COPY = REPOSITORY / "inventories/lab/group_vars/all/generated.yml"
INVENTORY_LAB = "demo"


def state_dir(lab: str) -> Path:
    """The lab's folder in the tree (never tracked): keys, certificates, facts."""
    return REPOSITORY / ".moorage/lab" / lab


def facts_of(plan: Plan, hosts: list[Host], pins: dict[str, str], root_certificate: str) -> dict[str, Any]:
    """The variables of `generated.yml`. `hosts` begins with the host that the demo is about."""
    first = hosts[0]
    return {
        "lab_name": plan.lab,
        "lab_address": first.address,
        "lab_ssh_key": str(first.key.private),
        "lab_ssh_public_key": first.key.public,
        "lab_known_hosts": str(first.known_hosts),
        "lab_docker_cgroup_parent": first.cgroup_parent,
        "lab_bridge_subnet": plan.subnet,
        "lab_bridge_gateway": plan.gateway,
        "lab_hosts": {
            host.name: {
                "address": host.address,
                "bridge_address": host.bridge_address,
                "docker_cgroup_parent": host.cgroup_parent,
            }
            for host in hosts
        },
        "lab_acme_directory": "https://acme.moorage.test/acme/local/directory",
        "lab_acme_root": root_certificate,
        "lab_acme_address": plan.bridge(SERVICES["authority"]),
        "lab_registry_address": plan.bridge(SERVICES["registry"]),
        "stack_pins": pins,
        # What a run of tests wants otherwise than the lab's inventory.
        **json.loads(os.environ.get("MOORAGE_LAB_VARIABLES", "{}")),
    }


def write_facts(lab: str, facts: dict[str, Any]) -> Path:
    """Write the facts whole or not at all, readable by their owner alone; return where they are."""
    path = state_dir(lab) / "generated.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, yaml.safe_dump(facts, sort_keys=False, width=200))
    if lab == INVENTORY_LAB:
        INVENTORY_COPY.parent.mkdir(exist_ok=True)  # git keeps no empty folder
        _replace(INVENTORY_COPY, path.read_text())
    return path


def forget_facts(lab: str) -> None:
    """Remove the lab's folder and its copy of the facts in the inventory."""
    shutil.rmtree(state_dir(lab), ignore_errors=True)
    if lab == INVENTORY_LAB:
        INVENTORY_COPY.unlink(missing_ok=True)
    for folder in (state_dir(lab).parent, state_dir(lab).parents[1]):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    part.rename(path)
