"""The stream of what becomes of commands: rows of command_events in an order that skips none.

Ids are taken when a row is written and seen when its transaction ends, so a higher id may be seen before a lower one.
The order is therefore by transaction and then by id, and rows are given out only below the oldest transaction that is
still under way: nothing can come to stand before what was given. A place in the stream is `<transaction>-<id>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import orjson
from sqlalchemy import Row

from webapp.caller import Caller
from webapp.commands.schemas import CommandView
from webapp.commands.states import ENDS, OPEN, RUNNING
from webapp.db import Database
from webapp.errors import InvalidRequest
from webapp.fields import uuid_of
from webapp.responses import rfc3339
from webapp.views import dumper

AT_ONCE = 200
EVENT = "vm-command"
_PLACE = re.compile(r"(\d{1,19})-(\d{1,19})")
LARGEST = 2**63 - 1

_NOW = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 AS xid"
# A place that is ahead of this server's transactions was given by another one, before a restore (sweeps.py renumbers
# the rows that came with it).
_AFTER = """
SELECT e.xid, e.id AS event_id, e.status AS event_status, e.progress, e.message, e.at, c.*
FROM command_events e JOIN commands c ON c.id = e.command_id
WHERE (e.xid, e.id) > (
    CASE WHEN %(xid)s >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN 0 ELSE %(xid)s END, %(id)s::bigint
) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint {further}
ORDER BY e.xid, e.id LIMIT %(limit)s
"""
_OWN = "AND (c.created_by = %(user)s OR c.agent_id IN (SELECT id FROM agents WHERE owner_user_id = %(user)s))"
_AGENT = "AND c.agent_id = %(agent)s::uuid"


@dataclass(frozen=True, order=True)
class Place:
    """How far somebody has read."""

    xid: int
    id: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises InvalidRequest."""
        found = _PLACE.fullmatch(text)
        if found is None or max(numbers := tuple(map(int, found.groups()))) > LARGEST:
            raise InvalidRequest("Last-Event-ID is none of ours: leave it out to begin with what comes next.")
        return cls(*numbers)

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"


@dataclass(frozen=True)
class Reader:
    """Whose stream it is: a tenant's, for members that of their own agents and commands."""

    database: Database
    tenant: UUID
    own_of: str | None = None
    agent: str | None = None

    @classmethod
    def of(cls, database: Database, caller: Caller, agent: str | None) -> Self:
        return cls(database, caller.tenant, caller.user_id if caller.role == "member" else None, agent)

    def now(self) -> Place:
        """The place before which nothing is given."""
        [row] = self.database.at_once(_NOW, {}, tenant=self.tenant)
        return Place(row.xid, LARGEST)

    def after(self, place: Place) -> list[Row[Any]]:
        """The next rows, AT_ONCE at most."""
        agent = None if self.agent is None else uuid_of(self.agent)
        if self.agent is not None and agent is None:
            return []
        further = " ".join([_OWN] * (self.own_of is not None) + [_AGENT] * (agent is not None))
        values: Mapping[str, Any] = {
            "xid": place.xid, "id": place.id, "limit": AT_ONCE, "user": self.own_of, "agent": str(agent),
        }  # fmt: skip
        return self.database.at_once(_AFTER.format(further=further), values, tenant=self.tenant)


def place_of(row: Any) -> Place:
    return Place(row.xid, row.event_id)


def shown(row: Any) -> dict[str, Any]:
    """The event's data: the command as it was then, with `ts`, and `progress` and `message` where there are any."""
    command = dumper(CommandView)(row)
    command["status"] = status = row.event_status
    if status not in ENDS:
        command |= {"result": None, "error_message": None, "completed_at": None}
    if status in OPEN and status != RUNNING:
        command["started_at"] = None
    further = {"progress": row.progress, "message": row.message}
    return command | {"ts": rfc3339(row.at)} | {name: value for name, value in further.items() if value is not None}


def wire(row: Any) -> str:
    """As server-sent events are written. https://html.spec.whatwg.org/multipage/server-sent-events.html"""
    return f"id: {place_of(row)}\nevent: {EVENT}\ndata: {orjson.dumps(shown(row)).decode()}\n\n"
