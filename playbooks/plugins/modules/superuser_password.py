#!/usr/bin/python
"""Makes the database's superuser answer to the password in .env: a restored server has that of its own time."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils import superuser
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed
from ansible.module_utils.env_reader import unquote
from ansible.module_utils.env_writer import parse

DOCUMENTATION = """
module: superuser_password
short_description: Set the password of PostgreSQL's superuser to the one in .env
description: Goes by the server's own socket. The value is never returned, nor does a log of the server have it.
options:
  root: {type: path, default: /opt/moorage, description: Folder of .env}
  container: {type: str, default: moorage-postgres, description: "PostgreSQL's"}
"""
NAME = "POSTGRES_PASSWORD"


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/moorage"},
            "container": {"type": "str", "default": "moorage-postgres"},
        },
        supports_check_mode=True,
    )
    root = Path(module.params["root"])
    try:
        password = unquote(parse((root / ".env").read_text())[NAME])
        if not module.check_mode:
            superuser.tell(root, module.params["container"], password)
    except (CommandFailed, OSError, KeyError) as error:
        module.fail_json(msg=f"The superuser has no password from {root}/.env: {type(error).__name__}: {error}")
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
