#!/usr/bin/python
"""Brings services of the stack up, and believes only what it sees running."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import (
    CommandFailed,
    containers,
    drift,
    explain,
    run,
    wait_well,
    wanted_hashes,
)

DOCUMENTATION = """
module: compose_up
short_description: Ensure that services run, as declared, and are well
description: >-
  Starts what has no container, was changed or has stopped, and nothing else; then waits until each service is
  healthy. Fails with the last log lines of those that are not. In check mode it says what would be started and why.
options:
  root: {type: path, default: /opt/moorage, description: Folder of compose.yml}
  project: {type: str, default: moorage, description: Compose project}
  services: {type: list, elements: str, required: true, description: Services that must run}
  stopped: {type: list, elements: str, default: [], description: Services to stop and remove}
  document:
    type: str
    default: ""
    description: The Compose document that is about to be written, where check mode has not written it
  wait_seconds: {type: int, default: 120, description: How long to wait until all are well}
  stop_seconds: {type: int, default: 35, description: How long a stopped service may take to finish what it does}
"""


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/moorage"},
            "project": {"type": "str", "default": "moorage"},
            "services": {"type": "list", "elements": "str", "required": True},
            "stopped": {"type": "list", "elements": "str", "default": []},
            "document": {"type": "str", "default": ""},
            "wait_seconds": {"type": "int", "default": 120},
            "stop_seconds": {"type": "int", "default": 35},
        },
        supports_check_mode=True,
    )
    args = module.params
    root, project = args["root"], args["project"]
    try:
        have = containers(root, project)
        reasons = drift(args["services"], wanted_hashes(root, args["document"]), have)
        going = [name for name in args["stopped"] if name in have]
        changes = [f"start {name}: {why}" for name, why in reasons.items()] + [f"stop {name}" for name in going]
        if module.check_mode:
            module.exit_json(changed=bool(changes), changes=changes)
        if reasons:
            run(["docker", "compose", "up", "-d", "--no-deps", "--no-build", "--quiet-pull", *reasons], root)
        ill = wait_well(root, project, args["services"], args["wait_seconds"])
        if ill:
            names = ", ".join(f"{name} ({running.state} {running.health})".strip() for name, running in ill.items())
            module.fail_json(
                msg=f"Not well, after up to {args['wait_seconds']} s or three restarts: {names}. Their last log lines:",
                changes=changes,
                services=explain(root, ill),
            )
        if going:
            run(["docker", "compose", "--profile", "*", "stop", "-t", str(args["stop_seconds"]), *going], root)
            run(["docker", "compose", "--profile", "*", "rm", "-f", *going], root)
        module.exit_json(changed=bool(changes), changes=changes)
    except CommandFailed as error:
        module.fail_json(msg=str(error))
    except FileNotFoundError as error:
        if module.check_mode:  # a bare host in check mode: Docker is not there yet, everything would be started
            module.exit_json(
                changed=True, changes=[f"start {name}: the engine is not installed" for name in args["services"]]
            )
        module.fail_json(msg=f"Docker is not installed here ({error}). Run playbooks/provision.yml first.")


if __name__ == "__main__":
    main()
