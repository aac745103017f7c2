"""The agent itself: what it is, and whether the secrets that are bound for it open. Needs nothing configured."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from typing import Any

from agent import VERSION
from agent.failures import Failure
from agent.vault import Opened

NAME = "agent"
STATUS, CHECK_SECRETS = "status", "check-secrets"
ACTIONS = frozenset({STATUS, CHECK_SECRETS})
STARTED = time.monotonic()


def run(action: str, opened: Sequence[Opened]) -> dict[str, Any]:
    """The action's result; of a secret never more than its id, field and version. Failure UNKNOWN_COMMAND."""
    if action == STATUS:
        return {
            "version": VERSION,
            "system": platform.system(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "uptime_seconds": round(time.monotonic() - STARTED),
        }
    if action == CHECK_SECRETS:
        return {"opened": [{"id": o.secret_id, "field_name": o.field_name, "version": o.version} for o in opened]}
    raise Failure("UNKNOWN_COMMAND", f"this agent knows of itself only: {', '.join(sorted(ACTIONS))}")
