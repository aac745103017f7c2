#!/usr/bin/python
"""Silences alerts for as long as something is under way that may cause them, and never for long."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.alertmanager_api import CommandFailed, amtool, running
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: alert_silence
short_description: Silence alerts, or end a silence
description: >-
  Begins a silence that ends by itself after C(minutes), whatever becomes of the run, and returns its id; with C(id) it
  ends that one. What goes wrong is a warning: alerts are no reason to stop a deploy.
options:
  container: {type: str, required: true, description: Alertmanager's container}
  matcher: {type: str, default: "", description: "Which alerts, in Alertmanager's words"}
  comment: {type: str, default: "", description: Why}
  author: {type: str, default: "", description: On whose behalf}
  minutes: {type: int, default: 15, description: When it ends at the latest}
  id: {type: str, default: "", description: The silence to end}
"""


def silenced(args: dict[str, Any]) -> dict[str, Any]:
    """Begin or end one; the module's result. Raises CommandFailed."""
    container = args["container"]
    if not running(container):
        return {"changed": False, "msg": f"{container} does not run: there is nothing to silence."}
    if args["id"]:
        amtool(container, "silence", "expire", args["id"])
        return {"changed": True, "msg": "Alerts are told again."}
    words = ["silence", "add", f"--duration={args['minutes']}m", f"--comment={args['comment']}"]
    said = amtool(container, *words, f"--author={args['author'] or 'moorage'}", args["matcher"])
    return {"changed": True, "id": said.strip(), "msg": f"Silent for {args['minutes']} minutes at most."}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "container": {"type": "str", "required": True},
            "matcher": {"type": "str", "default": ""},
            "comment": {"type": "str", "default": ""},
            "author": {"type": "str", "default": ""},
            "minutes": {"type": "int", "default": 15},
            "id": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, msg="Nothing is silenced in check mode.")
    try:
        module.exit_json(**silenced(module.params))
    except CommandFailed as error:
        what = "could not be ended; it ends by itself" if module.params["id"] else "could not be begun"
        module.warn(f"A silence of alerts {what}: {error}")
        module.exit_json(changed=False, msg=str(error))


if __name__ == "__main__":
    main()
