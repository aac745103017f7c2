"""PostgreSQL refuses to run as root, or as a number without a name. There it runs in a user namespace, as another.

No user is made and no mode is changed: outside the namespace its files are still the caller's.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from functools import cache

from webapp.local.failures import RootRefused


@cache
def unprivileged() -> list[str]:
    """What to put before PostgreSQL's commands: nothing for an ordinary user. Raises RootRefused."""
    named = {entry.pw_uid for entry in pwd.getpwall()}
    if os.geteuid() in named - {0}:
        return []
    # Any that has a name will do (initdb looks it up): it is only what PostgreSQL sees.
    seen_as = min(named - {0}, default=1)
    command = ["unshare", "--user", f"--map-user={seen_as}", f"--map-group={seen_as}"]
    reason = "there is no `unshare` (Debian: apt-get install util-linux)"
    if shutil.which("unshare"):
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return command
        reason = f"`{' '.join(command)}` says: {tried.stderr.strip()}"
    raise RootRefused(
        f"PostgreSQL refuses to run as this user, and {reason}. Run this as an ordinary user who owns the checkout: "
        "`adduser moorage && chown -R moorage . && su moorage -c 'make up'`."
    )
