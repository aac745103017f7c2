"""What happens to commands on an agent's behalf: each a statement that is a transaction, one round trip.

Every change is told in command_events by the same statement. A change that may not happen (states.py) changes
nothing, and the command comes back as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row

from webapp.commands.states import BY_AGENT, Change, sources
from webapp.db import Database
from webapp.fields import uuid_of
from webapp.redaction import redact, redact_text
from webapp.wakeups import CHANNEL

WORD = "commands:"

# At most one command for each agent. SKIP LOCKED: of two processes that ask at once, one gets it and neither waits.
_CLAIM = """
WITH due AS (
    SELECT c.id FROM agents a CROSS JOIN LATERAL (
        SELECT q.id FROM commands q
        WHERE q.agent_id = a.id AND q.status = 'queued' AND q.expires_at > now()
        ORDER BY q.seq LIMIT 1 FOR UPDATE SKIP LOCKED
    ) c WHERE a.id = ANY(%(agents)s::uuid[]) AND a.status = 'active'
), taken AS (
    UPDATE commands c SET status = 'dispatched', handed_out = handed_out + 1, dispatched_at = now()
    FROM due WHERE c.id = due.id AND c.status = 'queued' RETURNING c.*
), told AS (
    INSERT INTO command_events (tenant_id, command_id, status) SELECT tenant_id, id, status FROM taken
)
SELECT * FROM taken
"""
_SEEN = "UPDATE agents SET last_seen_at = now() WHERE id = ANY(%(agents)s::uuid[]) AND status = 'active';"

# A claimed command that reached nobody: its agent went away in between. It counts as handed out.
_HAND_BACK = """
WITH back AS (
    UPDATE commands SET status = 'queued', dispatched_at = NULL
    WHERE id = ANY(%(ids)s::uuid[]) AND status = 'dispatched' AND handed_out <= %(most)s RETURNING *
), told AS (
    INSERT INTO command_events (tenant_id, command_id, status) SELECT tenant_id, id, status FROM back
)
SELECT pg_notify(%(channel)s, %(word)s || agent_id::text) FROM (SELECT DISTINCT agent_id FROM back) b
"""

# A revoked agent changes nothing, in whatever state its socket still is.
_CHANGE = """
WITH changed AS (
    UPDATE commands SET {sets}
    WHERE id = %(id)s::uuid AND agent_id = %(agent)s::uuid
    AND status = ANY(%(sources)s::text[]) AND (status <> 'queued' OR handed_out > 0) {further}
    AND EXISTS (SELECT 1 FROM agents a WHERE a.id = %(agent)s::uuid AND a.status = 'active')
    RETURNING *
), told AS (
    INSERT INTO command_events (tenant_id, command_id, status, progress, message)
    SELECT tenant_id, id, status, %(progress)s::smallint, %(message)s::text FROM changed
)
SELECT true AS changed, c.* FROM changed c
UNION ALL
SELECT false, c.* FROM commands c WHERE c.id = %(id)s::uuid AND c.agent_id = %(agent)s::uuid
    AND NOT EXISTS (SELECT 1 FROM changed)
"""
# What is past its time and not begun is not begun any more, whether or not the sweep has been there.
_IN_TIME = "AND (status = 'running' OR expires_at > now())"
_BEGIN = _CHANGE.format(
    sets="status = 'running', started_at = coalesce(started_at, now())", further=_IN_TIME
)
_SETTLE = _CHANGE.format(
    sets="status = %(status)s, result = %(result)s::jsonb, error_message = %(error)s, completed_at = now(),"
    " started_at = coalesce(started_at, now())",
    further="",
)

_REVOKED = "SELECT id FROM agents WHERE id = ANY(%(agents)s::uuid[]) AND status <> 'active'"


@dataclass(frozen=True)
class Told:
    """What came of an agent's word: the command as it is now, and whether it was this that changed it."""

    command: Any
    changed: bool


def claim(database: Database, tenant: UUID, agents: Iterable[UUID], *, seen: bool = False) -> dict[UUID, Row[Any]]:
    """The next command for each of a tenant's agents that has one. `seen`: the agents are there, and it is noted."""
    statement = (_SEEN if seen else "") + _CLAIM
    rows = database.at_once(statement, {"agents": [str(agent) for agent in agents]}, tenant=tenant)
    return {UUID(str(row.agent_id)): row for row in rows}


def hand_back(database: Database, tenant: UUID, commands: Iterable[UUID], most: int) -> None:
    """Queue claimed commands again that could not be delivered; those handed out more than `most` times wait for the
    sweep, which gives them up."""
    values = {"ids": [str(one) for one in commands], "most": most, "channel": CHANNEL, "word": WORD}
    database.at_once(_HAND_BACK, values, tenant=tenant)


@dataclass(frozen=True)
class AgentsWord:
    """What one agent says of the commands that it was given. Raises what Database.at_once raises."""

    database: Database
    tenant: UUID
    agent: UUID

    def begin(
        self,
        command: str,
        change: Change = Change.ACKNOWLEDGE,
        *,
        progress: int | None = None,
        words: str | None = None,
    ) -> Told | None:
        """It has begun, or tells how far it is (`progress` in percent); None where it has no such command."""
        told = None if words is None else redact_text(words)
        return self._change(_BEGIN, command, change, progress=progress, message=told)

    def settle(self, command: str, change: Change, *, result: Any, error: str | None) -> Told | None:
        """It brings the end; None where it has no such command.

        What it brings is redacted: whatever ran on that machine may have said anything, and it cannot be refused.
        """
        said = None if result is None else orjson.dumps(redact(result)).decode()
        words = None if error is None else redact_text(error)
        return self._change(_SETTLE, command, change, status=change.status, result=said, error=words)

    def _change(self, statement: str, command: str, change: Change, **values: Any) -> Told | None:
        assert change in BY_AGENT  # noqa: S101 - a fault of ours
        known = uuid_of(command)
        if known is None:
            return None
        mine = {"id": str(known), "agent": str(self.agent), "sources": list(sources(change))}
        given = {"progress": None, "message": None, **values, **mine}
        rows = self.database.at_once(statement, given, tenant=self.tenant)
        return Told(rows[0], rows[0].changed) if rows else None


def revoked_among(database: Database, tenant: UUID, agents: Iterable[UUID]) -> set[UUID]:
    """Those of a tenant's agents that are not active any more."""
    rows = database.at_once(_REVOKED, {"agents": [str(agent) for agent in agents]}, tenant=tenant)
    return {UUID(str(row.id)) for row in rows}
