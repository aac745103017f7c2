"""Waiting within a request: an agent for its next command, a stream for what happens, a caller for a result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from webapp.commands import claims, events
from webapp.commands.bus import Bus
from webapp.commands.events import Place, Reader
from webapp.commands.figures import count
from webapp.commands.lines import Line, Want
from webapp.db import Database

# How soon a wait notices that the process is told to stop.
LOOK_SECONDS = 0.5
# Between two looks for events, while there is a reader; and between two signs of life to it.
POLL_SECONDS, ALIVE_SECONDS = 0.3, 15.0
# A stream's caller is vouched for again this often: a revoked token does not read on.
VOUCH_SECONDS = 15.0
RETRY_MS = 2000


class _Slot:
    """Where the answer to one long poll is put."""

    def __init__(self) -> None:
        self.command: Any = None
        self.done = threading.Event()

    def put(self, _want: Want, command: Any) -> None:
        self.command = command
        self.done.set()


def next_command(
    bus: Bus, database: Database, tenant: UUID, agent: UUID, *, seconds: float, stopping: Callable[[], bool]
) -> Any:
    """The agent's next command, or None where none came in time. Raises what the database raises where it is down."""
    slot = _Slot()
    line = Line(tenant, agent, slot.put, revoked=slot.done.set)
    bus.join(line)
    try:
        line.ask(Want(time.monotonic() + seconds))
        # The first look is made here, and notes that the agent is there; the others are the bus's, when there is word.
        found = claims.claim(database, tenant, [agent], seen=True)
        if line.claimed(found.get(agent))[1]:
            bus.look(line)
        while not slot.done.wait(min(LOOK_SECONDS, line.left() or LOOK_SECONDS)):
            line.time_up()
            if stopping():
                break
    finally:
        bus.leave(line)
    if slot.command is not None:
        count(slot.command)
    return slot.command


def stream(
    reader: Reader, place: Place, *, vouch: Callable[[], None], stopping: Callable[[], bool]
) -> Iterator[str]:
    """Server-sent events from a place on, until the reader goes, the process stops or `vouch` raises.

    Errors of the database end it: the reader comes back with the last id that it has.
    """
    yield f"retry: {RETRY_MS}\n: from {place}\n\n"
    said = vouched = time.monotonic()
    while not stopping():
        rows = reader.after(place)
        if rows:
            place = events.place_of(rows[-1])
            yield "".join(map(events.wire, rows))
        now = time.monotonic()
        if rows:
            said = now
        elif now - said >= ALIVE_SECONDS:
            said = now
            yield ": still here\n\n"
        if now - vouched >= VOUCH_SECONDS:
            vouched = now
            vouch()
        if len(rows) < events.AT_ONCE:
            time.sleep(POLL_SECONDS)


def outcome(look: Callable[[], Any], *, seconds: float, pause: float = 0.1) -> Any:
    """What `look` gives as soon as it is not None; None where the time is up."""
    end = time.monotonic() + seconds
    while (found := look()) is None and time.monotonic() < end:
        time.sleep(pause)
    return found
