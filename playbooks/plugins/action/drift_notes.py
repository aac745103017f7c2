"""Reads what the callback of the same name noted of this host so far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

NOTES = "drift-notes.jsonl"


class ActionModule(ActionBase):
    """The `drift_notes` task."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """`notes`: one for each task, `{task, said}`."""
        result = super().run(tmp, task_vars)
        path = Path(constants.DEFAULT_LOCAL_TMP) / NOTES
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        mine = [line for line in lines if line["host"] == (task_vars or {})["inventory_hostname"]]
        return {**result, "changed": False, "notes": [{"task": one["task"], "said": one["said"]} for one in mine]}
