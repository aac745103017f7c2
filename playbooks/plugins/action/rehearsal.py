"""Signs the record of a rehearsed cutover, and finds one that allows a switch: both on the controller."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible ships module_utils to hosts, but does not make them importable on the controller.
sys.path.append(str(Path(__file__).parents[1] / "module_utils"))
import rehearsals

DOCUMENTATION = """
module: rehearsal
short_description: Sign a rehearsal's record, or find one that allows a switch
description: Runs on the controller, with its ssh-keygen.
options:
  do: {type: str, required: true, choices: [sign, find]}
  records: {type: path, required: true, description: Folder of the records}
  switch: {type: dict, description: "sign: the switch's line in the release log"}
  revert: {type: dict, description: "sign: the revert's line"}
  inventory: {type: str, description: "sign: the inventory's name"}
  key: {type: path, description: "sign: the key, or the public part of one that the agent has"}
  image: {type: str, description: "find: the image that switches, by digest"}
  signers: {type: path, description: "find: whose signatures count, as ssh-keygen's allowed_signers"}
  days: {type: float, description: "find: how old a record may be"}
"""


class ActionModule(ActionBase):
    """The `rehearsal` task."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """`record` that allows, or `path` of what was signed; failed, with the reason, where there is neither."""
        result = super().run(tmp, task_vars)
        args = {str(key): value for key, value in self._task.args.items()}
        do = {"sign": self._sign, "find": self._find}.get(str(args.get("do")))
        if do is None:
            raise AnsibleActionFail("rehearsal: `do` is sign or find")
        try:
            return {**result, **do(args, task_vars or {})}
        except (rehearsals.NoRecord, OSError, subprocess.SubprocessError) as error:
            return {**result, "failed": True, "msg": str(error)}

    def _sign(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        facts = {"inventory": str(args["inventory"]), "host": str(task_vars.get("inventory_hostname", ""))}
        record = rehearsals.record_of(_plain(args["switch"]), _plain(args["revert"]), facts)
        path = rehearsals.sign(record, Path(str(args["records"])), str(Path(str(args["key"])).expanduser()))
        return {"changed": True, "path": str(path), "record": record}

    def _find(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        folder, signers = Path(str(args["records"])), Path(str(args["signers"]))
        found = rehearsals.allowing(folder, signers, str(args["image"]), days=float(args["days"]))
        return {"changed": False, "record": found}


def _plain(value: Any) -> Any:
    """Data without the templar's tags, as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
