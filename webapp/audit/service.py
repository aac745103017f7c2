"""Recording what happened, and the list of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson
from marshmallow import fields, validate
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import logs
from webapp.audit.models import AuditEvent
from webapp.caller import Caller
from webapp.fields import Moment
from webapp.listing import Page, page_of, page_query
from webapp.redaction import redact, redact_text

Result = Literal["allowed", "denied", "error"]
# The query of a list of events, here and in rooms that list their own.
EVENTS = page_query(
    "id",
    "at",
    "event",
    event=fields.String(validate=validate.Length(max=100)),
    actor=fields.String(validate=validate.Length(max=200)),
    subject=fields.String(validate=validate.Length(max=200)),
    result=fields.String(validate=validate.OneOf(("allowed", "denied", "error"))),
    since=Moment(),
    until=Moment(),
)

_COLUMNS = (
    "tenant_id", "event", "result", "reason", "actor", "actor_kind", "subject", "address", "request_id", "details",
)  # fmt: skip
# Takes `values`: by itself, or as a part of a hot path's statement that does more.
INSERT = f"""
INSERT INTO audit_events ({", ".join(_COLUMNS)}) VALUES ({", ".join(f"%(audit_{name})s" for name in _COLUMNS)})
"""  # noqa: S608 - the columns above

SORTABLE = {"id": AuditEvent.id, "at": AuditEvent.at, "event": AuditEvent.event}


@dataclass(frozen=True)
class Actor:
    """Who did it: a user, a key, an agent, the command line (`cli`) or the product itself (`system`)."""

    tenant: UUID
    id: str
    kind: str
    address: str = ""

    @classmethod
    def of(cls, caller: Caller) -> Actor:
        name = caller.user_id if caller.kind == "user" else str(caller.id)
        return cls(caller.tenant, name, caller.kind, caller.address)


def row(
    actor: Actor,
    event: str,
    result: Result = "allowed",
    *,
    reason: str | None = None,
    subject: object = None,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The columns of an event, redacted."""
    return {
        "tenant_id": actor.tenant,
        "event": event,
        "result": result,
        "reason": None if reason is None else redact_text(reason),
        "actor": redact_text(actor.id),
        "actor_kind": actor.kind,
        "subject": None if subject is None else redact_text(str(subject)),
        "address": actor.address or None,
        "request_id": logs.request_id.get(),
        "details": redact(dict(details or {})),
    }


def values(row: Mapping[str, Any]) -> dict[str, Any]:
    """A `row` as INSERT names and takes it."""
    plain = {**row, "tenant_id": str(row["tenant_id"]), "details": orjson.dumps(row["details"]).decode()}
    return {f"audit_{name}": value for name, value in plain.items()}


def record(
    session: Session,
    by: Actor | Caller,
    event: str,
    result: Result = "allowed",
    *,
    reason: str | None = None,
    subject: object = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add one event to the tenant's log, in the session's transaction.

    `event` is `noun_verb` in the past or with its outcome (`role_changed`, `resolve_denied`); `subject` is the id of
    what it happened to; `details` hold nothing secret (they are redacted all the same).
    """
    actor = by if isinstance(by, Actor) else Actor.of(by)
    added = row(actor, event, result, reason=reason, subject=subject, details=details)
    session.connection().exec_driver_sql(INSERT, values(added))


def record_once(
    session: Session, caller: Caller, event: str, *, subject: str, details: Mapping[str, Any]
) -> dict[str, Any]:
    """Add an event that there is one of for a subject (ONCE); the details of the one that counts, new or known."""
    added = insert(AuditEvent).values(row(Actor.of(caller), event, subject=subject, details=details))
    session.execute(added.on_conflict_do_nothing())
    query = select(AuditEvent.details).where(AuditEvent.event == event, AuditEvent.subject == subject)
    known: dict[str, Any] = session.execute(query).scalar_one()
    return known


def events(session: Session, asked: Mapping[str, Any], *, only: Sequence[str] = ()) -> Page:
    """The tenant's events. `asked` is a loaded query of EVENTS; `only` narrows it to some kinds of events."""
    query = select(AuditEvent)
    if only:
        query = query.where(AuditEvent.event.in_(only))
    for name in ("event", "actor", "subject", "result"):
        if asked.get(name):
            query = query.where(getattr(AuditEvent, name) == asked[name])
    if asked.get("since"):
        query = query.where(AuditEvent.at >= asked["since"])
    if asked.get("until"):
        query = query.where(AuditEvent.at < asked["until"])
    searched = (AuditEvent.event, AuditEvent.actor, AuditEvent.subject)
    return page_of(session, query, asked, sortable=SORTABLE, searched=searched, tie=AuditEvent.id)
