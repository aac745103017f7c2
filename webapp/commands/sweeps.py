"""What time does to commands: expiry, the time-out of acknowledgements, and the end of old events. For the worker."""

from __future__ import annotations

from uuid import UUID

from webapp.commands.claims import WORD
from webapp.commands.states import MOST_HANDED_OUT
from webapp.db import Database
from webapp.wakeups import CHANNEL

# A reader that was away longer begins with what comes next.
EVENTS_KEPT_HOURS = 24

# SKIP LOCKED: what an agent is just saying something of is looked at in the next round.
_SWEEP = """
WITH late AS (
    SELECT id FROM commands WHERE status IN ('queued', 'dispatched', 'running') AND expires_at <= now()
    FOR UPDATE SKIP LOCKED
), expired AS (
    UPDATE commands c SET status = 'expired', completed_at = now(),
        error_message = 'It was not done before its time was up (' || c.status || ' at expires_at).'
    FROM late WHERE c.id = late.id RETURNING c.*
), silent AS (
    SELECT id FROM commands WHERE status = 'dispatched' AND expires_at > now()
        AND dispatched_at <= now() - make_interval(secs => %(ack)s)
    FOR UPDATE SKIP LOCKED
), again AS (
    UPDATE commands c SET status = 'queued', dispatched_at = NULL
    FROM silent WHERE c.id = silent.id AND c.handed_out < %(most)s RETURNING c.*
), failed AS (
    UPDATE commands c SET status = 'failed', completed_at = now(),
        error_message = 'It was handed to the agent ' || %(most)s || ' times and never acknowledged.'
    FROM silent WHERE c.id = silent.id AND c.handed_out >= %(most)s RETURNING c.*
), swept AS (
    SELECT * FROM expired UNION ALL SELECT * FROM again UNION ALL SELECT * FROM failed
), told AS (
    INSERT INTO command_events (tenant_id, command_id, status) SELECT tenant_id, id, status FROM swept
)
SELECT count(*) AS swept,
    count(pg_notify(%(channel)s, %(word)s || agent_id::text)) FILTER (WHERE status = 'queued') AS requeued
FROM swept
"""
# Rows that came with a restore have the numbers of another server's transactions: they stand before all of this one's.
_RENUMBER = """
UPDATE command_events SET xid = 0 WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
"""
_FORGET = "DELETE FROM command_events WHERE at < now() - make_interval(hours => %(hours)s)"


def sweep(database: Database, tenant: UUID, *, ack_seconds: int) -> int:
    """One round for a tenant; how many commands it changed. Queued ones are told to whichever process has the agent."""
    values = {"ack": ack_seconds, "most": MOST_HANDED_OUT, "channel": CHANNEL, "word": WORD}
    [row] = database.at_once(_RENUMBER + _SWEEP, values, tenant=tenant)
    return int(row.swept)


def forget_events(database: Database, tenant: UUID) -> None:
    """Delete a tenant's events that are older than they are kept."""
    database.at_once(_FORGET, {"hours": EVENTS_KEPT_HOURS}, tenant=tenant)
