#!/usr/bin/python
"""Looks at what no role declares: images, ports, users, failed units, packages' own files. Changes nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils import drift
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import PROJECT_LABEL, SERVICE_LABEL
from ansible.module_utils.release_lock import LOCK

DOCUMENTATION = """
module: drift_look
short_description: What of a host is not as declared, beyond what roles would change
description: Returns C(items), a line each, and C(busy), whose run is at work where one has the host's lock.
options:
  images: {type: dict, default: {}, description: Service to the image, by digest, that it must run}
  project: {type: str, default: moorage, description: Compose project of the stack}
  containers: {type: list, elements: str, default: [], description: Containers that are not of the stack, and known}
  ports: {type: list, elements: str, default: [], description: "Ports that may answer the world, such as 443/udp"}
  users: {type: list, elements: str, default: [], description: Users who may log in and become root}
  packages: {type: bool, default: true, description: Compare the files of installed packages with their digests}
"""

ARGUMENTS = {
    "images": {"type": "dict", "default": {}},
    "project": {"type": "str", "default": "moorage"},
    "containers": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "str", "default": []},
    "users": {"type": "list", "elements": "str", "default": []},
    "packages": {"type": "bool", "default": True},
}
_CONTAINER = f'{{{{.Names}}}} {{{{.Label "{PROJECT_LABEL}"}}}}'


def said(*command: str) -> str:
    """Standard output; what fails says nothing, as `docker image inspect` of an image that is gone."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def engine(args: dict[str, Any]) -> list[str]:
    """What the engine runs that it should not."""
    if not Path("/var/run/docker.sock").exists():
        return ["engine: is not running"]
    known = json.loads(said("docker", "image", "inspect", *sorted(set(args["images"].values()))) or "[]")
    ids = {reference: one["Id"] for one in known for reference in one["RepoDigests"]}
    wanted = {service: _by_digest(reference) for service, reference in args["images"].items()}
    names = said("docker", "ps", "-q", "--filter", f"label={PROJECT_LABEL}={args['project']}").split()
    running = {
        one["Config"]["Labels"][SERVICE_LABEL]: one["Image"]
        for one in json.loads(said("docker", "inspect", *names) if names else "[]")
        if one["Config"]["Labels"].get("com.docker.compose.oneoff") != "True"
    }
    everything = said("docker", "ps", "--format", _CONTAINER).splitlines()
    strangers = drift.strangers(everything, args["project"], args["containers"])
    return drift.images(wanted, ids, running) + strangers


def _by_digest(reference: str) -> str:
    """As the engine lists it: without a tag, and without the default registry's name."""
    name, _, digest = reference.partition("@")
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}@{digest}".removeprefix("docker.io/").removeprefix("library/")


def look(args: dict[str, Any]) -> list[str]:
    """Every item."""
    items = engine(args)
    items += drift.ports(said("ss", "-Hltnup"), args["ports"])
    files = [Path(name).read_text() for name in ("/etc/passwd", "/etc/shadow", "/etc/group")]
    items += drift.users(*files, args["users"])
    folder = Path("/etc/sudoers.d")
    items += drift.sudoers((path.name for path in folder.iterdir()) if folder.is_dir() else (), args["users"])
    items += drift.units(said("systemctl", "list-units", "--failed", "--plain", "--no-legend"))
    return items + (drift.packages(said("dpkg", "--verify")) if args["packages"] else [])


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    items = look(module.params)
    busy = json.loads(LOCK.read_text() or "{}") if LOCK.exists() else {}
    module.exit_json(changed=False, items=items, busy=f"{busy.get('what')}, by {busy.get('by')}" if busy else "")


if __name__ == "__main__":
    main()
