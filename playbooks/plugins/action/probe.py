"""Probes URLs from the controller, which is outside the host: the only view that users share."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible ships module_utils to hosts, but does not make them importable on the controller.
sys.path.append(str(Path(__file__).parents[1] / "module_utils"))
from http_probe import probe

DOCUMENTATION = """
module: probe
short_description: Ask URLs and compare the answers, all at once
description: Runs on the controller. Fails with one line for each URL whose answer stayed wrong until the time was up.
options:
  checks:
    type: list
    elements: dict
    required: true
    description: "Each {url, status?, contains?, json? {path: value}, json_contains?, headers?, address?}"
  address: {type: str, default: "", description: Connect here, whatever the URL's host resolves to}
  ca: {type: str, default: "", description: PEM of a root to trust besides the system's}
  seconds: {type: int, default: 20, description: How long a wrong answer may become right}
  bearer: {type: str, default: "", description: Environment variable of the controller with a token to ask with}
"""


class ActionModule(ActionBase):
    """The `probe` task."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was asked and answered; failed where an answer stayed wrong."""
        result = super().run(tmp, task_vars)
        args = self._task.args
        checks = args.get("checks")
        if not isinstance(checks, list) or not all(isinstance(check, dict) and check.get("url") for check in checks):
            raise AnsibleActionFail("probe: `checks` must be a list of {url: …}")
        address, ca, seconds = str(args.get("address", "")), str(args.get("ca", "")), float(args.get("seconds", 20))
        if not checks:
            return {**result, "changed": False, "results": []}
        # Plain data for the threads: the templar's tagged values are not theirs to share.
        plain = [{str(key): value for key, value in check.items()} for check in checks]
        # Read here, so that no variable of a play holds it and no task's output can.
        token = os.environ.get(str(args.get("bearer") or ""), "")
        if token:
            said = {"Authorization": f"Bearer {token}"}
            plain = [{**check, "headers": {**(check.get("headers") or {}), **said}} for check in plain]
        with ThreadPoolExecutor(max_workers=len(plain)) as pool:
            results = list(pool.map(lambda check: probe(check, address, ca, seconds), plain))
        result.update(changed=False, results=results)
        bad = [f"{entry['url']}: {entry['problem']} ({entry['tries']} tries)" for entry in results if not entry["ok"]]
        if bad:
            where = f" at {address}" if address else ""
            result.update(failed=True, msg=f"Probed from outside{where}, not right: " + "; ".join(bad))
        return result
