"""The life of a command: which change may happen when. Pure; the statements of claims.py are made of it.

    queued → dispatched → running → succeeded | failed | expired | cancelled

No step back, but for one that was handed out and not acknowledged: that is queued again, twice at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# Dispatched but not acknowledged goes back to the queue this often; then the command has failed.
MOST_REQUEUES = 2
MOST_HANDED_OUT = 1 + MOST_REQUEUES

QUEUED, DISPATCHED, RUNNING = "queued", "dispatched", "running"
SUCCEEDED, FAILED, EXPIRED, CANCELLED = "succeeded", "failed", "expired", "cancelled"
OPEN = (QUEUED, DISPATCHED, RUNNING)
ENDS = (SUCCEEDED, FAILED, EXPIRED, CANCELLED)
STATUSES = OPEN + ENDS


class Change(Enum):
    """What can befall a command. The value is the status that it has then."""

    CLAIM = ("claim", DISPATCHED)
    ACKNOWLEDGE = ("acknowledge", RUNNING)
    PROGRESS = ("progress", RUNNING)
    SUCCEED = ("succeed", SUCCEEDED)
    FAIL = ("fail", FAILED)
    AGENT_EXPIRE = ("the agent found it expired", EXPIRED)
    AGENT_CANCEL = ("the agent cancelled it", CANCELLED)
    REQUEUE = ("requeue", QUEUED)
    GIVE_UP = ("give up", FAILED)
    EXPIRE = ("expire", EXPIRED)
    CANCEL = ("cancel", CANCELLED)

    @property
    def status(self) -> str:
        return self.value[1]


# What an agent says of a command that it has been handed. It may say so late: when the command is queued again because
# its acknowledgement got lost, what the agent says is true all the same, and spares a second handing out.
BY_AGENT = frozenset(
    {
        Change.ACKNOWLEDGE, Change.PROGRESS, Change.SUCCEED, Change.FAIL, Change.AGENT_EXPIRE, Change.AGENT_CANCEL,
    }
)  # fmt: skip
RESULTS = {
    SUCCEEDED: Change.SUCCEED,
    FAILED: Change.FAIL,
    EXPIRED: Change.AGENT_EXPIRE,
    CANCELLED: Change.AGENT_CANCEL,
}


@dataclass(frozen=True)
class Life:
    """As much of a command as its changes depend on. `handed_out`: how often it was given to an agent."""

    status: str = QUEUED
    handed_out: int = 0

    @property
    def ended(self) -> bool:
        return self.status in ENDS


def sources(change: Change) -> tuple[str, ...]:
    """The statuses in which a change may happen at all."""
    match change:
        case Change.CLAIM:
            return (QUEUED,)
        case Change.ACKNOWLEDGE:
            return (QUEUED, DISPATCHED)
        case Change.REQUEUE | Change.GIVE_UP:
            return (DISPATCHED,)
    return OPEN


def after(life: Life, change: Change) -> Life | None:
    """The command after a change; None where that change does not happen, and nothing changes."""
    if life.status not in sources(change):
        return None
    if change in BY_AGENT and not life.handed_out:
        return None  # the agent cannot know of it
    if change is Change.REQUEUE and life.handed_out >= MOST_HANDED_OUT:
        return None
    if change is Change.GIVE_UP and life.handed_out < MOST_HANDED_OUT:
        return None
    return Life(change.status, life.handed_out + (change is Change.CLAIM))
