#!/usr/bin/python
"""Asks a new slot itself, before any request goes there: what is healthy to its own check may still answer wrongly."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed, run
from ansible.module_utils.http_probe import probe

DOCUMENTATION = """
module: slot_probe
short_description: Ask URLs of containers of the stack, on the host, past the proxy
description: Fails with one line for each URL whose answer stayed wrong until the time was up.
options:
  checks:
    type: list
    elements: dict
    required: true
    description: "Each {service, url, status?, contains?, json?, json_contains?, headers?}; see the action `probe`"
  project: {type: str, default: moorage, description: Compose project}
  seconds: {type: int, default: 60, description: How long a wrong answer may become right}
"""


def address(inspected: dict[str, Any]) -> str:
    """Where the host reaches a container: the host is on each of its bridges, so any network will do. Pure."""
    networks = inspected["NetworkSettings"]["Networks"]
    return next((str(at["IPAddress"]) for _, at in sorted(networks.items()) if at.get("IPAddress")), "")


def addresses(project: str, services: list[str]) -> dict[str, str]:
    """Service to its container's address; '' where it is on no network. Raises CommandFailed."""
    names = [f"{project}-{service}" for service in services]
    found = json.loads(run(["docker", "inspect", "--type", "container", *names], "/"))
    return dict(zip(services, map(address, found), strict=True))


def answers(checks: list[dict[str, Any]], at: dict[str, str], seconds: float) -> list[dict[str, Any]]:
    """What became of each check, all asked at once."""
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        return list(pool.map(lambda check: probe(check, at[check["service"]], "", seconds), checks))


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "checks": {"type": "list", "elements": "dict", "required": True},
            "project": {"type": "str", "default": "moorage"},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    checks, project = module.params["checks"], module.params["project"]
    if module.check_mode or not checks:
        module.exit_json(changed=False, results=[])
    try:
        at = addresses(project, sorted({check["service"] for check in checks}))
    except CommandFailed as error:
        module.fail_json(msg=f"The new slot could not be looked at: {error}")
    results = answers(checks, at, module.params["seconds"])
    bad = [
        f"{check['service']} to {result['url']}: {result['problem']} ({result['tries']} tries)"
        for check, result in zip(checks, results, strict=True)
        if not result["ok"]
    ]
    if bad:
        module.fail_json(msg="The new slot answers wrongly, so no request was sent to it: " + "; ".join(bad))
    module.exit_json(changed=False, results=results)


if __name__ == "__main__":
    main()
