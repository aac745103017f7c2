"""Says where in an inventory variables stand, so that a person is told which line to change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.action import ActionBase

DOCUMENTATION = """
module: inventory_lines
short_description: Find the lines of an inventory that set variables
description: Runs on the controller. Returns `places`, variable to {where, value}, the first of each.
options:
  folder: {type: path, required: true, description: Folder of the inventory}
  names: {type: list, elements: str, required: true, description: Variables}
"""


def places(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Variable to ``where`` (`file:line`) and ``value``, None where it is on further lines; of those that are set."""
    wanted = re.compile(rf"({'|'.join(map(re.escape, names))})\s*:")
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(path for kind in ("group_vars", "host_vars") for path in (folder / kind).rglob("*.y*ml")):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := wanted.match(line):
                found.setdefault(match[1], {"where": f"{path}:{number}", "value": _value(line)})
    return found


def _value(line: str) -> Any:
    try:
        (value,) = yaml.safe_load(line).values()
    except yaml.YAMLError:
        return None
    return value


class ActionModule(ActionBase):
    """The `inventory_lines` task."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """`places`."""
        result = super().run(tmp, task_vars)
        folder, here = Path(str(self._task.args["folder"])), Path.cwd()
        found = places(folder, map(str, self._task.args["names"]))
        told = {name: {**one, "where": one["where"].removeprefix(f"{here}/")} for name, one in found.items()}
        return {**result, "changed": False, "places": told}
