#!/usr/bin/python
"""Fires a test alert through the real Alertmanager, and sees whether each receiver took it."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible.module_utils.alertmanager_api import CommandFailed, amtool, attempts, metrics, running
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: alert_test
short_description: Fire a test alert and report what became of it
description: >-
  The alert goes the way of every other one: routes, templates, secrets. A receiver took it when Alertmanager counts an
  attempt that did not fail. Fails where one did not, or with C(lenient) warns. Afterwards the configuration counts as
  tried.
options:
  container: {type: str, required: true, description: Alertmanager's container}
  receivers: {type: list, elements: str, required: true, description: Names of those who must take it}
  site: {type: str, required: true, description: The product's domain}
  config: {type: path, required: true, description: The configuration that is tried}
  tried: {type: path, required: true, description: Where a copy of it says that it was}
  runbook: {type: str, required: true, description: Address of the page about it}
  seconds: {type: int, default: 40, description: How long a receiver may take}
  lenient: {type: bool, default: false, description: Warn only}
"""

# A receiver that refuses for a moment is tried again by Alertmanager within this time.
AGAIN_SECONDS = 10


def outcome(before: dict[str, Any], after: dict[str, Any], receivers: list[str]) -> dict[str, str]:
    """Receiver to took, refused, or waiting. Pure.

    Args:
        before: what `attempts` read before the alert, `after` what it reads now.
    """
    out = {}
    for name in receivers:
        sent, failed = (now - then for now, then in zip(after.get(name, (0, 0)), before.get(name, (0, 0)), strict=True))
        out[name] = "took" if sent > failed else "refused" if failed else "waiting"
    return out


def fire(args: dict[str, Any]) -> dict[str, str]:
    """Send the alert, and wait until every receiver took it or the time is up. Raises CommandFailed."""
    container = args["container"]
    _known(container, args["receivers"], args["seconds"])
    before = attempts(metrics(container))
    now = datetime.now(UTC)
    amtool(
        container,
        *("alert", "add", "alertname=MoorageTest", "severity=test", f"site={args['site']}", f"run={now:%H%M%S}"),
        "--annotation=summary=a test of the way to you",
        "--annotation=description=Somebody, or a changed route, asked for it. Nothing is wrong.",
        f"--annotation=runbook_url={args['runbook']}",
        f"--end={(now + timedelta(minutes=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}",
    )
    begun = time.monotonic()
    while True:
        seen = outcome(before, attempts(metrics(container)), args["receivers"])
        passed = time.monotonic() - begun
        refused = "waiting" not in seen.values() and passed > AGAIN_SECONDS
        if set(seen.values()) == {"took"} or refused or passed > args["seconds"]:
            return seen
        time.sleep(0.5)


def _known(container: str, receivers: list[str], seconds: int) -> None:
    """Wait until Alertmanager has loaded a configuration with these receivers. Raises CommandFailed."""
    end = time.monotonic() + seconds
    while not set(receivers) <= attempts(metrics(container)).keys():
        if time.monotonic() > end:
            raise CommandFailed(f"{container} does not know {', '.join(receivers)}; has it taken its configuration?")
        time.sleep(0.5)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "container": {"type": "str", "required": True},
            "receivers": {"type": "list", "elements": "str", "required": True},
            "site": {"type": "str", "required": True},
            "config": {"type": "path", "required": True},
            "tried": {"type": "path", "required": True},
            "runbook": {"type": "str", "required": True},
            "seconds": {"type": "int", "default": 40},
            "lenient": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    args = module.params
    if module.check_mode:
        module.exit_json(changed=False, msg="No alert is fired in check mode.")
    problem, seen = "", {}
    try:
        if not running(args["container"]):
            problem = f"{args['container']} does not run"
        elif args["receivers"]:
            seen = fire(args)
            late = [f"{name} ({state})" for name, state in seen.items() if state != "took"]
            problem = f"not taken within {args['seconds']} s by {', '.join(late)}" if late else ""
    except CommandFailed as error:
        problem = str(error)
    shutil.copyfile(args["config"], args["tried"])
    took = [name for name, state in seen.items() if state == "took"]
    said = f"The test alert was taken by: {', '.join(took) or 'nobody'}."
    if problem:
        said += (
            f" The way of alerts is not open: {problem}. `make logs SERVICE=alertmanager` says why; correct "
            "monitoring_receivers or the secret (docs/how-to/monitoring.md) and run `make alert-test` again."
        )
        if not args["lenient"]:
            module.fail_json(msg=said, receivers=seen)
        module.warn(said)
    module.exit_json(changed=True, msg=said, receivers=seen)


if __name__ == "__main__":
    main()
