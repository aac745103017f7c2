#!/usr/bin/python
"""Keeps the host's .env: secrets are made there, or put there, and are never read back."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.env_writer import HEADER, parse, quote, rewrite, write

DOCUMENTATION = """
module: env_file
short_description: Ensure that secrets exist in a file of NAME='value' lines
description: >-
  A secret that is there is never changed, unless O(value) is given. Values are never returned, nor shown in a diff.
options:
  path: {type: path, required: true, description: The file; kept 0600 and owned by root}
  secrets:
    type: list
    elements: dict
    default: []
    description: >-
      Each {name, generate}. generate is the number of random bytes (written as hex); without it the secret must have
      been put there before, or the task fails and says how.
  name: {type: str, description: Put this one secret there}
  value: {type: str, description: Its value, one line}
"""

def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "secrets": {"type": "list", "elements": "dict", "default": [], "no_log": False},
            "name": {"type": "str"},
            "value": {"type": "str", "no_log": True},
        },
        required_together=[("name", "value")],
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    text = path.read_text() if path.exists() else HEADER
    have = parse(text)
    changes: dict[str, str] = {}
    absent = []
    for secret in module.params["secrets"]:
        if have.get(secret["name"], "").strip("'\""):
            continue
        if secret.get("generate"):
            changes[secret["name"]] = quote(secrets.token_hex(int(secret["generate"])))
        else:
            absent.append(secret["name"])
    name, value = module.params["name"], module.params["value"]
    if name is not None:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            module.fail_json(
                msg=f"{name!r} is not a name for a secret: capitals, digits and _, beginning with a capital."
            )
        if "\n" in value or not value:
            module.fail_json(msg=f"The value of {name} must be one line that is not empty. Nothing was changed.")
        if have.get(name) != quote(value):
            changes[name] = quote(value)
    if absent:
        module.fail_json(
            msg=f"{', '.join(absent)} must be in {path} on the host and cannot be made up. Put each there with "
            "`ansible-playbook playbooks/set_secret.yml -e name=NAME`. Nothing was changed."
        )
    mode_off = path.exists() and path.stat().st_mode & 0o777 != 0o600
    if changes and not module.check_mode:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, rewrite(text, changes))
    elif mode_off and not module.check_mode:
        path.chmod(0o600)
    module.exit_json(changed=bool(changes) or mode_off, written=sorted(changes))


if __name__ == "__main__":
    main()
