#!/usr/bin/python
"""Reads back what runs, and only then writes that it was released. The seal comes last."""

from __future__ import annotations

import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.access_log import count
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed, containers
from ansible.module_utils.release_lock import at_work, note
from ansible.module_utils.release_store import append, images_of, records, seal

DOCUMENTATION = """
module: release_seal
short_description: Record a release in release.json, releases/ and releases.jsonl
description: >-
  With verdict success it first reads back every container that should run, and fails where one has another image or is
  not well. A failed release is a line in releases.jsonl only; release.json then still names what serves.
options:
  root: {type: path, default: /opt/moorage, description: Folder of the stack}
  project: {type: str, default: moorage, description: Compose project}
  release: {type: dict, required: true, description: State to record as the present one}
  expected: {type: dict, default: {}, description: Compose service to the image reference it must run}
  well: {type: list, elements: str, default: [], description: Further services that must be well}
  entry: {type: dict, required: true, description: "The line for releases.jsonl: who, from, to, units, verdict"}
  since: {type: float, required: true, description: When the run began on this host (seconds since 1970)}
  log: {type: path, required: true, description: Folder of the proxy's access log}
  token: {type: str, required: true, description: "This run's, whose lock no longer says that a release is under way"}
"""


def differences(expected: dict[str, str], running: dict[str, Any], well: list[str]) -> list[str]:
    """Services that do not run the image they should, or are not well. Pure."""
    out = []
    for service, image in expected.items():
        seen = running[service].image if service in running else "nothing"
        if seen != image:
            out.append(f"{service} runs {seen}, not {image}")
    for service in [*expected, *well]:
        if service not in running:
            out += [] if service in expected else [f"{service} has no container"]
        elif not running[service].well:
            out.append(f"{service} is {running[service].state} {running[service].health}".rstrip())
    return out


def requests_since(folder: Path, since: float) -> dict[str, Any]:
    """What the proxy answered and failed meanwhile; says so where it has written no log yet."""
    try:
        return dict(count(folder, since))
    except (OSError, ValueError, EOFError, zlib.error) as error:  # a statistic is no reason to undo a release
        return {"unknown": str(error)}


def record(module: AnsibleModule, root: Path) -> dict[str, Any]:
    """Write what is true, and return it; ends the module where a success is none."""
    args = module.params
    entry = {
        **args["entry"],
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(time.time() - args["since"], 1),
        "requests": requests_since(Path(args["log"]), args["since"]),
    }
    if entry["verdict"] != "success":
        append(root, entry)
        note(args["token"], None)
        return {"entry": entry}
    try:
        running = containers(str(root), args["project"])
    except CommandFailed as error:
        module.fail_json(msg=f"What runs could not be read back: {error}")
    # A rollback starts nothing that has no slots, so it does not answer for what was never deployed.
    well = [name for name in args["well"] if name in running or entry["kind"] == "deploy"]
    wrong = differences(args["expected"], running, well)
    if wrong:
        module.fail_json(msg="Not released: " + "; ".join(wrong))
    stay = seal(root, args["release"], entry)
    note(args["token"], None)
    known = records(root)
    images = sorted(set().union(*(images_of(known[number]) for number in stay if number in known)))
    return {"entry": entry, "kept": stay, "images": images}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/moorage"},
            "project": {"type": "str", "default": "moorage"},
            "release": {"type": "dict", "required": True},
            "expected": {"type": "dict", "default": {}},
            "well": {"type": "list", "elements": "str", "default": []},
            "entry": {"type": "dict", "required": True},
            "since": {"type": "float", "required": True},
            "log": {"type": "path", "required": True},
            "token": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    args = module.params
    if module.check_mode:
        module.exit_json(changed=True, entry=args["entry"])
    with at_work():
        module.exit_json(changed=True, **record(module, Path(args["root"])))


if __name__ == "__main__":
    main()
