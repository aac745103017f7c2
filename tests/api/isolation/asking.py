"""Asking: a whole request with one id to look at, and its answer without what differs from one answer to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from werkzeug.test import TestResponse

from tests.api.isolation.slots import KINDS, Json, Slot
from tests.api.isolation.world import MODULE, PLATFORM, World
from tests.api.people import Person

# What a path's values are that are no ids.
WORDS = {"provider": "github", "state": "unknown", "code": "unknown", "action": "status", "module": MODULE,
         "resource_kind": "proxies", "workspace_kind": "notes", "path": "ui/theme"}  # fmt: skip
# Beside the document's examples, so that an answer says whether the id was found.
QUERIES: dict[str, dict[str, Any]] = {
    "artifacts_assigned": {"platform": PLATFORM},
    "vm_ops_events": {"last_event_id": "0-0"},
    "vm_ops_next_command": {"timeout_ms": 1000},
}
BODIES: dict[str, dict[str, Any]] = {
    "artifacts_assign": {"module": MODULE, "platform": PLATFORM, "channel": "stable"},
    "artifacts_resolve_download": {"module": MODULE, "platform": PLATFORM, "channel": "stable"},
    "licensing_take_lease": {"module": MODULE},
    "licensing_change_license": {"status": "active", "ends_at": "2191-01-01T00:00:00Z"},
    "vaulting_bind": {"scope_type": "agent"},
    "vaulting_acknowledge": {"version": 1},
    "vm_ops_patch": {"status": "running"},
    "licensing_grant_license": {"type": "perpetual"},
}
_LEFT_OUT = {"licensing_grant_license": {"ends_at"}}

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
_PLACE = re.compile(r"^id: \d+-\d+$", re.MULTILINE)
# New with every answer, whatever is asked.
_FRESH = re.compile(r"(^id|^.*_at|^seq|token|^pairing_\w+|^download_url|^resolution_id)$")


class Parts(NamedTuple):
    """A whole request of an operation, before it is sent. `body` None: it takes none."""

    path: str
    query: dict[str, Any]
    body: dict[str, Any] | None


def parts(path: str, op: Json, world: World, where: str = "", name: str = "", asked: Any = None) -> Parts:
    """`asked` in the place of the parameter `name` (in the path, the query or the body); every other id is one of
    `world`'s own."""
    which = op["operationId"]

    def value(parameter: str) -> Any:
        return asked if parameter == name else world.value(KINDS[parameter]) if parameter in KINDS else WORDS[parameter]

    for parameter in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{parameter}}}", quote(str(value(parameter)), safe=""))
    query = dict(QUERIES.get(which, {}))
    for parameter in op["parameters"]:
        if parameter["in"] == "query" and (parameter.get("required") or parameter["name"] == name):
            query[parameter["name"]] = value(parameter["name"])
    if "requestBody" not in op:
        return Parts(path, query, None)
    example = op["requestBody"]["content"]["application/json"]["example"]
    body = {**example, **BODIES.get(which, {})}
    body = {field: said for field, said in body.items() if field not in _LEFT_OUT.get(which, ())}
    here = [*example, name] if where == "body" else [*example]  # an example may leave an optional id out
    return Parts(path, query, body | {field: value(field) for field in here if field in KINDS})


def ask(slot: Slot, by: Person, world: World, asked: Any) -> TestResponse:
    """The slot's operation with `asked` in its place."""
    path, query, body = parts(slot.path, slot.op, world, slot.where, slot.name, asked)
    given: dict[str, Any] = {} if body is None else {"json": body}
    return by.client.open(
        path, method=slot.method.upper(), headers=by.headers, query_string=query, buffered=False, **given
    )


def told(answer: TestResponse) -> str:
    """All that was answered; of a stream, until it has nothing more to say."""
    if answer.mimetype != "text/event-stream":
        return answer.get_data(as_text=True)
    said = ""
    for chunk in answer.iter_encoded():
        if chunk.startswith(b": still here"):
            break
        said += chunk.decode()
    answer.close()
    return said


def shape(answer: TestResponse, asked: Any) -> tuple[int, Any, dict[str, str]]:
    """Status, body and headers, with what differs from one answer to the next replaced by its name."""
    headers = {name: said for name, said in answer.headers.items()
               if name not in ("X-Request-ID", "Content-Length", "Date")}  # fmt: skip
    text = told(answer)
    body = _plain(answer.json, asked) if answer.is_json else _PLACE.sub("id: <place>", _words(text, asked))
    return answer.status_code, body, headers


def _plain(value: Any, asked: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner, asked, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, asked, name) for inner in value]
    if value == asked and not isinstance(value, bool):
        return "<asked>"
    if value is not None and _FRESH.fullmatch(name):
        return f"<{name}>"
    return _words(value, asked) if isinstance(value, str) else value


def _words(text: str, asked: Any) -> str:
    if isinstance(asked, str):
        text = text.replace(asked, "<asked>").replace(asked.lower(), "<asked>")
    return _TIME.sub("<time>", _UUID.sub("<uuid>", text))
