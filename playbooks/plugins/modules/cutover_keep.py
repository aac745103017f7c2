#!/usr/bin/python
"""Keeps what a step of a cutover said, and notes it where releases are noted."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils import atomic
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.release_store import append

DOCUMENTATION = """
module: cutover_keep
short_description: Keep a step's output, its status and its line, the latter last
description: >-
  Returns the line (`entry`), the folder's files, and `switched`, the line of the switch that this cutover has made, if
  it has.
options:
  root: {type: path, default: /opt/moorage, description: Folder of the stack}
  folder: {type: path, required: true, description: "The step's own folder, beside those of other steps"}
  output: {type: list, elements: str, default: [], description: What it printed}
  status: {type: dict, default: {}, description: What the control plane says of the cutover after it}
  entry: {type: dict, required: true, description: "Its line: step, verdict, by, image, state, leader"}
  since: {type: float, required: true, description: When the run began on this host (seconds since 1970)}
  note: {type: bool, default: true, description: Whether it is a line in releases.jsonl}
"""
LINE = "step.json"


def switched(steps: Path, begun_at: Any) -> dict[str, Any]:
    """The line of the switch that succeeded in the cutover that began then; the last one, empty where there is none."""
    for path in sorted(steps.glob(f"*-switch/{LINE}"), reverse=True):
        try:
            line: dict[str, Any] = json.loads(path.read_text())
        except ValueError:
            continue  # half a line is none
        if line.get("verdict") == "success" and begun_at and line.get("begun_at") == begun_at:
            return line
    return {}


def keep(args: dict[str, Any]) -> dict[str, Any]:
    """Write the files, then the line, and return what the module returns."""
    folder = Path(args["folder"])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    entry = {
        **args["entry"],
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(time.time() - args["since"], 1),
    }
    atomic.write(folder / "output.txt", "".join(f"{line}\n" for line in args["output"]), 0o600)
    atomic.write(folder / "status.json", json.dumps(args["status"], indent=2) + "\n", 0o600)
    atomic.write(folder / LINE, json.dumps(entry, indent=2, sort_keys=True) + "\n", 0o600)
    if args["note"]:
        append(Path(args["root"]), entry)
    files = sorted(str(path) for path in folder.iterdir() if path.is_file())
    return {"entry": entry, "files": files, "switched": switched(folder.parent, entry.get("begun_at"))}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/moorage"},
            "folder": {"type": "path", "required": True},
            "output": {"type": "list", "elements": "str", "default": []},
            "status": {"type": "dict", "default": {}},
            "entry": {"type": "dict", "required": True},
            "since": {"type": "float", "required": True},
            "note": {"type": "bool", "default": True},
        },
        supports_check_mode=False,
    )
    try:
        module.exit_json(changed=True, **keep(module.params))
    except OSError as error:
        module.fail_json(msg=f"What the step said, above, could not be kept: {error}. What it says was done was done.")


if __name__ == "__main__":
    main()
