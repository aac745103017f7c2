#!/usr/bin/python
"""Brings services of the stack up, and believes only what it sees running."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import (
    CommandFailed,
    containers,
    drift,
    explain,
    run,
    stop,
    wait_well,
    wanted_hashes,
)
from ansible.module_utils.release_lock import at_work

DOCUMENTATION = """
module: compose_up
short_description: Ensure that services run, as declared, and are well
description: >-
  Starts what has no container, was changed or has stopped, and nothing else; then waits until each service is
  healthy. Fails with the last log lines of those that are not. In check mode it says what would be started and why.
  Returns how many seconds the stopped ones took to finish.
options:
  root: {type: path, default: /opt/moorage, description: Folder of compose.yml}
  project: {type: str, default: moorage, description: Compose project}
  services: {type: list, elements: str, default: [], description: Services that must run and be well}
  tolerated: {type: list, elements: str, default: [], description: Services to start that this run is about to replace}
  stopped: {type: list, elements: str, default: [], description: Services to stop and remove}
  exact: {type: bool, default: false, description: Stop and remove every other service of the project too}
  document:
    type: str
    default: ""
    description: The Compose document that is about to be written, where check mode has not written it
  wait_seconds: {type: int, default: 120, description: How long to wait until all are well}
  stop_seconds: {type: int, default: 35, description: How long a stopped service may take to finish what it does}
"""

ARGUMENTS = {
    "root": {"type": "path", "default": "/opt/moorage"},
    "project": {"type": "str", "default": "moorage"},
    "services": {"type": "list", "elements": "str", "default": []},
    "tolerated": {"type": "list", "elements": "str", "default": []},
    "stopped": {"type": "list", "elements": "str", "default": []},
    "exact": {"type": "bool", "default": False},
    "document": {"type": "str", "default": ""},
    "wait_seconds": {"type": "int", "default": 120},
    "stop_seconds": {"type": "int", "default": 35},
}


def going(have: list[str], args: dict[str, Any]) -> list[str]:
    """Services with a container that shall have none. Pure."""
    if args["exact"]:
        return [name for name in have if name not in args["services"] + args["tolerated"]]
    return [name for name in args["stopped"] if name in have]


def up(root: str, services: list[str]) -> None:
    """Start services as compose.yml declares them; images that are not here are pulled. Raises CommandFailed."""
    if services:
        run(["docker", "compose", "up", "-d", "--no-deps", "--no-build", "--quiet-pull", *services], root)


def converge(module: AnsibleModule, args: dict[str, Any]) -> None:
    """Start, wait, stop; ends the module."""
    root, project = args["root"], args["project"]
    have = containers(root, project)
    started = args["services"] + args["tolerated"]
    reasons = drift(started, wanted_hashes(root, args["document"]), have) if started else {}
    gone = going(list(have), args)
    changes = [f"start {name}: {why}" for name, why in reasons.items()] + [f"stop {name}" for name in gone]
    outcome: dict[str, Any] = {"changed": bool(changes), "changes": changes}
    if module._diff and changes:
        outcome["diff"] = {"prepared": "".join(f"{line}\n" for line in changes)}
    if module.check_mode:
        module.exit_json(**outcome)
    up(root, [name for name in reasons if name in args["services"]])
    try:
        up(root, [name for name in reasons if name in args["tolerated"]])
    except CommandFailed as error:
        module.warn(f"Not started, and this run may be about to replace it: {error}")
    ill = wait_well(root, project, args["services"], args["wait_seconds"])
    if ill:
        names = ", ".join(f"{name} ({running.state} {running.health})" for name, running in ill.items())
        module.fail_json(
            msg=f"Not well, after up to {args['wait_seconds']} s or three restarts: {names}. Their last log lines:",
            changes=changes,
            services=explain(root, ill),
        )
    said = explain(root, {name: have[name] for name in args["stopped"] if name in have})
    begun = time.monotonic()
    if gone:
        stop(root, [have[name].container for name in gone], args["stop_seconds"])
    module.exit_json(**outcome, stopped=said, seconds=round(time.monotonic() - begun, 1))


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    args = module.params
    try:
        with at_work():
            converge(module, args)
    except CommandFailed as error:
        module.fail_json(msg=str(error))
    except FileNotFoundError as error:
        if module.check_mode:  # a bare host: no engine yet, so everything would be started
            lines = [f"start {name}: the engine is not installed" for name in args["services"]]
            module.exit_json(changed=True, changes=lines)
        module.fail_json(msg=f"Docker is not installed here ({error}). Run playbooks/provision.yml first.")


if __name__ == "__main__":
    main()
