"""A bot's lifecycle: which state follows which, and what is kept of each change. Pure: facts in, facts out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELD, FIRST = "lifecycle", "new"
AFTER: Mapping[str, tuple[str, ...]] = {
    "new": ("starting", "archived"),
    "starting": ("running", "stopping", "failed"),
    "running": ("paused", "stopping", "failed"),
    "paused": ("running", "stopping", "failed"),
    "stopping": ("stopped", "failed"),
    "stopped": ("starting", "archived"),
    "failed": ("starting", "stopped", "archived"),
    "archived": (),
}
STATES = tuple(AFTER)
# The newest; a record is read and written whole.
LONGEST_HISTORY = 100


def lifecycle_of(body: Mapping[str, Any], created_at: int | None) -> dict[str, Any]:
    """`{state, since, history}` as far as it is known; a bot that never changed is `new` since it was made."""
    kept = body.get(FIELD)
    if not isinstance(kept, Mapping) or not isinstance(kept.get("state"), str):
        known: dict[str, Any] = {"state": FIRST, "since": created_at}
        return {name: value for name, value in known.items() if value is not None} | {"history": []}
    history = [entry for entry in _listed(kept.get("history")) if isinstance(entry, Mapping)]
    since = {"since": kept["since"]} if _is_millis(kept.get("since")) else {}
    return {"state": kept["state"], **since, "history": [dict(entry) for entry in history]}


def may_follow(state: str) -> tuple[str, ...]:
    """The states that may come after one. Of a state that this table does not know (a migrated one) every one may."""
    return AFTER.get(state, STATES)


def moved(lifecycle: Mapping[str, Any], to: str, *, at: int, by: str, reason: str | None = None) -> dict[str, Any]:
    """The lifecycle after a change that is allowed. `at`: milliseconds since the epoch."""
    entry = {"from": lifecycle["state"], "to": to, "at": at, "by": by, **({"reason": reason} if reason else {})}
    return {"state": to, "since": at, "history": [*lifecycle["history"], entry][-LONGEST_HISTORY:]}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_millis(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
