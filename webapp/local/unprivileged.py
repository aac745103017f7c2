"""PostgreSQL refuses to run as root. Where we are root it runs in a user namespace, in which it looks like uid 1000.

No user is made and no mode is changed: outside the namespace its files are still the caller's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from webapp.local.failures import RootRefused

_ORDINARY = "1000"


@cache
def unprivileged() -> list[str]:
    """What to put before PostgreSQL's commands: nothing for an ordinary user. Raises RootRefused."""
    if os.geteuid() != 0:
        return []
    command = ["unshare", "--user", f"--map-user={_ORDINARY}", f"--map-group={_ORDINARY}"]
    reason = "there is no `unshare` (Debian: apt-get install util-linux)"
    if shutil.which("unshare"):
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return command
        reason = f"`{' '.join(command)}` says: {tried.stderr.strip()}"
    raise RootRefused(
        f"PostgreSQL refuses to run as root, and {reason}. Run this as an ordinary user who owns the checkout: "
        "`adduser moorage && chown -R moorage . && su moorage -c 'make up'`."
    )
