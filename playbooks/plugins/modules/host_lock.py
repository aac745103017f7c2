#!/usr/bin/python
"""Gives a host's lock back at the end of a run. It is taken by `preflight`, which looks at the host anyway."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.release_lock import leave

DOCUMENTATION = """
module: host_lock
short_description: Leave the lock that this run took
options:
  token: {type: str, required: true, description: The run's token; another run's lock is left alone}
"""


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={"token": {"type": "str", "required": True, "no_log": False}}, supports_check_mode=True
    )
    left = not module.check_mode and leave(module.params["token"])
    module.exit_json(changed=False, left=left)


if __name__ == "__main__":
    main()
