"""Domain records: open, the tenant's, and none of the routes' business where they are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from webapp.caller import anyone, managers, members
from webapp.collaborators import collaborators
from webapp.errors import InvalidRequest
from webapp.fields import AnyValue, Gone, PlaintextSecretRefused
from webapp.listing import Page
from webapp.operation import Call, operation
from webapp.records import schemas as s
from webapp.records import service
from webapp.records.kinds import BOTS, OPERATIONS, RESOURCES, WORKSPACE
from webapp.records.service import (
    Desk,
    RecordExists,
    RecordNotFound,
    SettingsPathBlocked,
    TransitionRefused,
    WritesFrozen,
)
from webapp.records.tree import LONGEST_PATH

records = Blueprint("records", __name__, url_prefix="/api/v1")

READ, WRITE, MANAGE = anyone("records:read"), members("records:write"), managers("records:write")
SETTINGS_PATH = {"path": "Keys of the settings, with / between them."}


def desk(call: Call) -> Desk:
    return Desk.of(collaborators().records, call.session, call.caller)


def _collection(tag: str, path: str, name: str, one: str, example: dict[str, Any], **told: Any) -> None:
    """The five operations of the collections at a path. `name` makes the collection of the path's kind."""

    def listed(call: Call, **kind: str) -> Page:
        return service.records(desk(call), name.format(**kind), call.query)

    def created(call: Call, **kind: str) -> dict[str, Any]:
        return service.create(desk(call), name.format(**kind), call.body).shown()

    def found(call: Call, record_id: str, **kind: str) -> dict[str, Any]:
        return service.record_of(desk(call), name.format(**kind), record_id).shown()

    def changed(call: Call, record_id: str, **kind: str) -> dict[str, Any]:
        return service.change(desk(call), name.format(**kind), record_id, call.body).shown()

    def deleted(call: Call, record_id: str, **kind: str) -> dict[str, Any]:
        return service.delete(desk(call), name.format(**kind), record_id)

    def serve(route: Callable[..., Any], verb: str, line: str, summary: str, *raises: Any, **more: Any) -> None:
        route.__name__ = f"{tag}_{verb}"
        missing = (RecordNotFound,) if "<" in line else ()
        operation(records, line, summary=summary, tag=tag, raises=(*missing, *raises), **told, **more)(route)

    article = f"{'an' if one[0] in 'aeio' else 'a'} {one}"
    writes = (PlaintextSecretRefused, InvalidRequest, WritesFrozen)
    serve(listed, "list", f"GET {path}", f"List {one}s", allow=READ, query=s.RECORDS, answer=[s.RecordView])
    serve(created, "create", f"POST {path}", f"Create {article}", RecordExists, *writes, allow=WRITE,
          body=s.NewRecord, answer=s.RecordView, status=201, creates=True, example=example)  # fmt: skip
    serve(found, "one", f"GET {path}/<record_id>", article.capitalize(), allow=READ, answer=s.RecordView)
    serve(changed, "change", f"PATCH {path}/<record_id>", f"Change fields of {article}", *writes, allow=WRITE,
          body=s.RecordChange, answer=s.RecordView, example=example)  # fmt: skip
    serve(deleted, "delete", f"DELETE {path}/<record_id>", f"Delete {article}", WritesFrozen, allow=WRITE, answer=Gone)


def _one_of(kinds: tuple[str, ...]) -> str:
    return ", ".join(f"`{kind}`" for kind in kinds)


_collection("resources", "/resources/<resource_kind>", "resources/{resource_kind}", "resource",
            {"name": "Berlin 3", "status": "active"},
            in_path={"resource_kind": f"One of {_one_of(RESOURCES)}."})  # fmt: skip
_collection("workspace", "/workspace/<workspace_kind>", "workspace/{workspace_kind}", "workspace record",
            {"title": "Call the bank"}, in_path={"workspace_kind": f"One of {_one_of(WORKSPACE)}."})  # fmt: skip
_collection("bots", "/bots", BOTS, "bot", {"name": "Harvester"})
_collection("finance", "/finance/operations", OPERATIONS, "financial operation",
            {"type": "income", "amount": 12.5, "currency": "EUR", "date": "2026-11-20"})  # fmt: skip


@operation(records, "GET /bots/<record_id>/lifecycle", summary="A bot's lifecycle", tag="bots", allow=READ,
           answer=s.LifecycleView, raises=(RecordNotFound,))  # fmt: skip
def bots_lifecycle(call: Call, record_id: str) -> dict[str, Any]:
    return service.lifecycle_of(desk(call), record_id)


@operation(records, "POST /bots/<record_id>/lifecycle/transition", summary="Move a bot to another state", tag="bots",
           allow=WRITE, body=s.Transition, answer=s.LifecycleView, example={"to": "starting"},
           raises=(RecordNotFound, TransitionRefused, WritesFrozen))  # fmt: skip
def bots_move(call: Call, record_id: str) -> dict[str, Any]:
    return service.move(desk(call), record_id, call.body["to"], call.body.get("reason"))


@operation(records, "GET /finance/daily-stats", summary="What came and went, day by day", tag="finance", allow=READ,
           query=s.DAYS, answer=[s.DayView], raises=(InvalidRequest,))  # fmt: skip
def finance_daily_stats(call: Call) -> list[dict[str, Any]]:
    """Days are in UTC, and both ends are included: 30 of them where only one end is given or none, 366 at most."""
    return service.daily_stats(desk(call), call.query)


@operation(records, "GET /settings", summary="All settings", tag="settings", allow=READ, answer=object,
           answer_example={"ui": {"theme": "dark"}})  # fmt: skip
def settings_all(call: Call) -> Any:
    return service.settings_at(desk(call), ())


@operation(records, "PUT /settings", summary="Replace all settings", tag="settings", allow=MANAGE, body=AnyValue,
           answer=object, raises=(PlaintextSecretRefused, WritesFrozen), example={"ui": {"theme": "dark"}},
           answer_example={"ui": {"theme": "dark"}})  # fmt: skip
def settings_put_all(call: Call) -> Any:
    """The settings as a whole are an object."""
    return service.put_settings(desk(call), (), call.body["value"])


@operation(records, "PATCH /settings", summary="Change settings", tag="settings", allow=MANAGE, body=s.SettingsChange,
           answer=object, raises=(PlaintextSecretRefused, WritesFrozen), example={"ui": {"theme": "dark"}},
           answer_example={"ui": {"theme": "dark"}})  # fmt: skip
def settings_patch_all(call: Call) -> Any:
    return service.patch_settings(desk(call), (), call.body)


@operation(records, "GET /settings/<path:path>", summary="The settings at a path", tag="settings", allow=READ,
           answer=object, raises=(RecordNotFound,), in_path=SETTINGS_PATH, answer_example="dark")  # fmt: skip
def settings_at(call: Call, path: str) -> Any:
    return service.settings_at(desk(call), _parts(path))


@operation(records, "PUT /settings/<path:path>", summary="Put any value at a path", tag="settings", allow=MANAGE,
           body=AnyValue, answer=object, in_path=SETTINGS_PATH, example={"theme": "dark"},
           answer_example={"theme": "dark"},
           raises=(RecordNotFound, PlaintextSecretRefused, SettingsPathBlocked, WritesFrozen))  # fmt: skip
def settings_put(call: Call, path: str) -> Any:
    """Objects that lead there are made; null takes away what was there."""
    return service.put_settings(desk(call), _parts(path), call.body["value"])


@operation(records, "PATCH /settings/<path:path>", summary="Change the object at a path", tag="settings", allow=MANAGE,
           body=s.SettingsChange, answer=object, in_path=SETTINGS_PATH, example={"theme": "dark"},
           answer_example={"theme": "dark"},
           raises=(RecordNotFound, PlaintextSecretRefused, SettingsPathBlocked, WritesFrozen))  # fmt: skip
def settings_patch(call: Call, path: str) -> Any:
    return service.patch_settings(desk(call), _parts(path), call.body)


def _parts(path: str) -> tuple[str, ...]:
    """Raises RecordNotFound for a path that can lead nowhere."""
    parts = tuple(path.split("/"))
    if len(parts) > LONGEST_PATH or not all(parts):
        raise RecordNotFound
    return parts
