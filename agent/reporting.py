"""What `moorage-agent status` says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import VERSION
from agent.files import lock
from agent.identity import load
from agent.journal import FILE, Journal
from agent.running import LOCK


def state_of(folder: Path) -> dict[str, Any]:
    """Failure NOT_PAIRED where there is no pairing. Only what may be shown: no secret is read."""
    identity = load(folder)
    held = lock(folder / LOCK)
    if held is not None:
        held.close()
    found: dict[str, Any] = {
        "paired": True, "running": held is None, "version": VERSION, "server": identity.server,
        "agent_id": identity.agent_id, "tenant_id": identity.tenant_id, "name": identity.name,
        "key_id": identity.key_id, "public_key": identity.public_key, "key_store": identity.key_store,
        "state_dir": str(folder),
    }  # fmt: skip
    if identity.token_expires_at is not None:
        until = datetime.fromtimestamp(identity.token_expires_at, UTC).isoformat(timespec="milliseconds")
        found["token_expires_at"] = until.replace("+00:00", "Z")
    if (folder / FILE).exists():
        journal = Journal(folder / FILE)
        counts = journal.counts()
        journal.close()
        found |= {"commands_kept": counts.rows, "commands_at_work": counts.begun, "outcomes_untold": counts.untold}
    return found


def in_words(state: dict[str, Any]) -> str:
    return "\n".join(f"{name.replace('_', ' '):<18}{value}" for name, value in state.items())
