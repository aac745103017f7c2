"""Every domain once, through the gate and the services that requests use, as a tenant that nobody is."""

from __future__ import annotations

from uuid import UUID

from webapp.caller import Caller
from webapp.db import Database
from webapp.failures import Failure
from webapp.records import service as records
from webapp.records.service import BOTS, COLLECTIONS, Backend, Desk

_ASKED = {"page": 1, "limit": 50, "sort": "created_at", "order": "desc"}


class RehearsalFailed(Failure):
    """A domain does not do in the next store what it does."""

    code = "REHEARSAL_FAILED"


def rehearse(database: Database, backend: Backend, tenant: UUID) -> str:
    """Create, read, list, change and delete in every collection, move a bot, write settings, sum up; what was done.

    `database` logs in as the application: row level security binds it as it binds requests. Nothing stays.

    Raises RehearsalFailed, and whatever a domain raises.
    """
    for collection in COLLECTIONS:
        with database.transaction(tenant) as session:
            _one(Desk.of(backend, session, Caller("user", tenant, "rehearsal", role="admin")), collection)
    with database.transaction(tenant) as session:
        _settings(Desk.of(backend, session, Caller("user", tenant, "rehearsal", role="admin")))
    return f"{len(COLLECTIONS)} collections and the settings, each written and read"


def clear(database: Database, backend: Backend, tenant: UUID) -> None:
    """Take away what a rehearsal that was killed has left, in either store: a proof would find it on one side only."""
    for name in backend.stores:
        with database.transaction(tenant) as session:
            store = backend.store(name, session, tenant)
            for collection in COLLECTIONS:
                for record in store.page(collection, _ASKED).items:
                    store.delete(collection, record.id)
            if store.tree():
                store.put((), {})


def _one(desk: Desk, collection: str) -> None:
    body = {"name": "rehearsal", "amount": 1, "currency": "EUR", "tags": []}
    made = records.create(desk, collection, body)
    changed = records.change(desk, collection, made.id, {"name": "rehearsed"})
    _same(collection, records.record_of(desk, collection, made.id).body, {**body, "name": "rehearsed"})
    _same(collection, changed.body, {**body, "name": "rehearsed"})
    listed = records.records(desk, collection, _ASKED).items
    _same(collection, [one["id"] for one in listed], [made.id])
    if collection == BOTS:
        state = records.lifecycle_of(desk, made.id)["state"]
        to = records.follows(state)[0]
        _same(collection, records.move(desk, made.id, to)["state"], to)
    if collection.startswith("finance/"):
        _same(collection, [day["count"] for day in records.daily_stats(desk, {})], [1])
    records.delete(desk, collection, made.id)
    _same(collection, records.records(desk, collection, _ASKED).total, 0)


def _settings(desk: Desk) -> None:
    records.put_settings(desk, ("rehearsal", "at"), 1)
    _same("settings", records.settings_at(desk, ()), {"rehearsal": {"at": 1}})
    records.put_settings(desk, (), {})


def _same(collection: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise RehearsalFailed(f"{collection}: {found!r} came back where {wanted!r} was written. Nothing was switched.")
