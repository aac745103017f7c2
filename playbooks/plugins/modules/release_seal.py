#!/usr/bin/python
"""Reads back what runs, and only then writes that it was released. The seal comes last."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed, containers

DOCUMENTATION = """
module: release_seal
short_description: Record a release in release.json and releases.jsonl
description: >-
  With verdict success it first reads back the image of every container that should run, and fails where one differs.
  A failed release is a line in releases.jsonl only; release.json then still names what serves.
options:
  root: {type: path, default: /opt/moorage, description: Folder of the stack}
  project: {type: str, default: moorage, description: Compose project}
  release: {type: dict, required: true, description: State to record as the present one}
  expected: {type: dict, default: {}, description: Compose service to the image reference it must run}
  entry: {type: dict, required: true, description: "The line for releases.jsonl: who, when, plan, verdict"}
"""


def differences(expected: dict[str, str], running: dict[str, Any]) -> list[str]:
    """Services that do not run the image they should. Pure."""
    out = []
    for service, image in expected.items():
        seen = running[service].image if service in running else "nothing"
        if seen != image:
            out.append(f"{service} runs {seen}, not {image}")
    return out


def replace(path: Path, text: str) -> None:
    """Write a file atomically, 0644."""
    handle, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(staged).chmod(0o644)
    Path(staged).replace(path)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/moorage"},
            "project": {"type": "str", "default": "moorage"},
            "release": {"type": "dict", "required": True},
            "expected": {"type": "dict", "default": {}},
            "entry": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    args = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    root = Path(args["root"])
    succeeded = args["entry"].get("verdict") == "success"
    try:
        wrong = differences(args["expected"], containers(str(root), args["project"])) if succeeded else []
    except CommandFailed as error:
        module.fail_json(msg=f"What runs could not be read back: {error}")
    if wrong:
        module.fail_json(msg="Not released: " + "; ".join(wrong))
    with (root / "releases.jsonl").open("a") as log:
        log.write(json.dumps(args["entry"], sort_keys=True) + "\n")
        log.flush()
        os.fsync(log.fileno())
    if succeeded:
        replace(root / "release.json", json.dumps(args["release"], indent=2, sort_keys=True) + "\n")
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
