"""A tenant's records: kept as they are given, whichever store they are in.."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from webapp.errors import InvalidRequest
from webapp.fields import PlaintextSecretRefused, refuse_plaintext
from webapp.listing import Page
from webapp.records import canonical as forms
from webapp.records import exactness, finance, kinds, lifecycle, paths, steering, times, tree
from webapp.records.backends import Backend, Desk
from webapp.records.kinds import BOTS, COLLECTIONS, SETTINGS
from webapp.records.lifecycle import may_follow as follows
from webapp.records.paths import KeyUnfit, refuse_key
from webapp.records.record import OWN, Record
from webapp.records.refusals import RecordExists, RecordNotFound, TransitionRefused, WritesFrozen
from webapp.records.repository import Repository
from webapp.records.times import DAY_MILLIS
from webapp.records.tree import SettingsPathBlocked, Tree, merged
from webapp.settings_records import RTDB, SUPABASE
from webapp.vaulting import service as vaulting

__all__ = [
    "BOTS", "COLLECTIONS", "RTDB", "SETTINGS", "SUPABASE", "Backend", "Desk", "RecordExists", "RecordNotFound",
    "Repository", "SettingsPathBlocked", "TransitionRefused", "WritesFrozen", "change", "create", "daily_stats",
    "delete", "exactness", "follows", "forms", "kinds", "lifecycle_of", "move", "patch_settings", "paths",
    "put_settings", "record_of", "records", "settings_at", "steering", "times",
]  # fmt: skip

# Of daily stats: what is shown where nobody says from when, and the most that is.
USUAL_DAYS, MOST_DAYS = 30, 366
_EPOCH = date(1970, 1, 1)


def create(desk: Desk, collection: str, given: Mapping[str, Any]) -> Record:
    """A new record, under the id that was given or one of ours. Raises RecordNotFound for a collection that there is
    not, InvalidRequest, PlaintextSecretRefused, RecordExists."""
    _known(collection)
    record_id = given.get("id") or str(uuid4())
    try:
        refuse_key(record_id)
    except KeyUnfit as unfit:
        raise InvalidRequest(details={"id": [str(unfit).capitalize()]}) from None
    now = _now()
    record = Record(record_id, _body(desk, collection, given), now, now)
    desk.writing().create(collection, record)
    return record


def record_of(desk: Desk, collection: str, record_id: str) -> Record:
    """Raises RecordNotFound."""
    return _there(desk.repository.get(_known(collection), record_id))


def records(desk: Desk, collection: str, asked: Mapping[str, Any]) -> Page:
    """One page, as clients see it. Raises RecordNotFound for a collection that there is not."""
    found = desk.repository.page(_known(collection), asked)
    return replace(found, items=[record.shown() for record in found.items])


def change(desk: Desk, collection: str, record_id: str, given: Mapping[str, Any]) -> Record:
    """The record with the given fields in place of the ones before; null removes one. Raises RecordNotFound,
    InvalidRequest, PlaintextSecretRefused."""
    _known(collection)
    if given.get("id", record_id) != record_id:
        raise InvalidRequest(details={"id": ["A record keeps its id."]})
    kept = {lifecycle.FIELD} if collection == BOTS else set()
    changes = _body(desk, collection, {name: value for name, value in given.items() if name not in kept})

    def edit(record: Record) -> Record:
        # As it came it may be sent back with the rest.
        if any(given.get(name, record.body.get(name)) != record.body.get(name) for name in kept):
            raise _lifecycle_is_moved()
        return replace(record, body=merged(record.body, changes), updated_at=_now())

    return _there(desk.writing().change(collection, record_id, edit))


def delete(desk: Desk, collection: str, record_id: str) -> dict[str, Any]:
    """`{id, deleted}`. Raises RecordNotFound."""
    if not desk.writing().delete(_known(collection), record_id):
        raise RecordNotFound
    return {"id": record_id, "deleted": True}


def lifecycle_of(desk: Desk, bot_id: str) -> dict[str, Any]:
    """A bot's `{state, since, history}`. Raises RecordNotFound."""
    bot = record_of(desk, BOTS, bot_id)
    return lifecycle.lifecycle_of(bot.body, bot.created_at)


def move(desk: Desk, bot_id: str, to: str, reason: str | None = None) -> dict[str, Any]:
    """The bot's lifecycle after it has moved to another state. Raises RecordNotFound, TransitionRefused."""
    by = desk.caller.user_id

    def edit(bot: Record) -> Record:
        before = lifecycle.lifecycle_of(bot.body, bot.created_at)
        allowed = lifecycle.may_follow(before["state"])
        if to not in allowed:
            raise TransitionRefused(details={"state": before["state"], "allowed": list(allowed)})
        now = _now()
        after = lifecycle.moved(before, to, at=now, by=by, reason=reason)
        return replace(bot, body={**bot.body, lifecycle.FIELD: after}, updated_at=now)

    bot = _there(desk.writing().change(BOTS, bot_id, edit))
    return lifecycle.lifecycle_of(bot.body, bot.created_at)


def daily_stats(desk: Desk, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Money that came and went, by day (UTC) and currency, of days in which something happened. `asked`: `from` and
    `to`, both days included. Raises InvalidRequest."""
    first, last = _span(asked.get("from"), asked.get("to"))
    days = (last - first).days + 1
    if not 1 <= days <= MOST_DAYS:
        raise InvalidRequest(details={"to": [f"Must be from 0 to {MOST_DAYS - 1} days after `from`."]})
    start = (first - _EPOCH).days
    found = desk.repository.totals(start * DAY_MILLIS, (start + days) * DAY_MILLIS)
    return [
        {
            "date": (_EPOCH + timedelta(total.day)).isoformat(), "currency": total.currency, "count": total.count,
            "income": finance.number(total.income), "expense": finance.number(total.expense),
            "net": finance.number(total.income - total.expense),
        }
        for total in found
    ]  # fmt: skip


def settings_at(desk: Desk, parts: tuple[str, ...]) -> Any:
    """What the settings have at a path. Raises RecordNotFound."""
    return tree.at(desk.repository.tree(), parts)


def put_settings(desk: Desk, parts: tuple[str, ...], value: Any) -> Any:
    """What is at the path now: the value; null takes away what was there. Raises InvalidRequest,
    PlaintextSecretRefused, SettingsPathBlocked."""
    if not parts and not isinstance(value, Mapping):
        raise InvalidRequest("The settings as a whole are an object.", details={"body": ["Must be an object."]})
    _refuse_secrets(parts, value)
    desk.writing().put(parts, value)
    return value


def patch_settings(desk: Desk, parts: tuple[str, ...], changes: Mapping[str, Any]) -> Any:
    """The object at the path afterwards: each given field in place of the one before, null removes one. Raises as
    put_settings does."""
    _refuse_secrets(parts, changes)
    grown: Tree = desk.writing().patch(parts, changes)
    return tree.at(grown, parts)


def _refuse_secrets(parts: tuple[str, ...], value: Any) -> None:
    # No allow-list here: settings of tenants hold no secret. A path's last part is what its value is called.
    where = ".".join((SETTINGS, *parts[:-1]))
    refuse_plaintext({parts[-1]: value} if parts else value, path=where)


def _body(desk: Desk, collection: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a client's fields: all but the store's own. Raises InvalidRequest, PlaintextSecretRefused."""
    if collection == BOTS and lifecycle.FIELD in given:
        raise _lifecycle_is_moved()
    body = {name: value for name, value in given.items() if name not in OWN}
    path = ".".join(("records", *collection.split("/")))
    try:
        refuse_plaintext(body, path=path)
    except PlaintextSecretRefused:
        # Asked for only now: hardly any record has such a field.
        refuse_plaintext(body, path=path, allowed=vaulting.allowed_paths(desk.session))
    return body


def _lifecycle_is_moved() -> InvalidRequest:
    return InvalidRequest(details={lifecycle.FIELD: ["Is written by …/lifecycle/transition alone."]})


def _known(collection: str) -> str:
    if collection not in COLLECTIONS:
        raise RecordNotFound
    return collection


def _there(record: Record | None) -> Record:
    if record is None:
        raise RecordNotFound
    return record


def _span(first: date | None, last: date | None) -> tuple[date, date]:
    """Both, where only one or none is said; not beyond the days that Python knows."""
    if last is None and first is not None:
        return first, first + timedelta(min(USUAL_DAYS - 1, (date.max - first).days))
    last = last or datetime.now(UTC).date()
    return first or last - timedelta(min(USUAL_DAYS - 1, (last - date.min).days)), last


def _now() -> int:
    return time.time_ns() // 1_000_000
