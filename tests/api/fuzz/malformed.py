"""Whole requests of every operation with one to three things done to them that a client should not do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from tests.api.bare import served_document
from tests.api.fuzz.asked import Asked
from tests.api.fuzz.callers import CALLERS
from tests.api.fuzz.odd import (
    JSON_TYPE,
    MEBIBYTE,
    METHODS,
    ODD_HEADERS,
    ODD_JSON,
    ODD_LITERALS,
    ODD_QUERIES,
    ODD_SEGMENTS,
    ODD_TYPES,
    ODD_VALUES,
)
from tests.api.isolation.asking import parts
from tests.api.isolation.slots import Json, operations
from tests.api.isolation.world import World


def malformed(world: Callable[[], World], number: int, count: int) -> Iterator[Asked]:
    """`world` is asked for the one of now: their things are used up."""
    dice = random.Random(number)
    known = list(operations(served_document()))
    for _ in range(count):
        method, path, op = dice.choice(known)
        yield _spoilt(_whole(method, path, op, world(), dice), dice)


def as_documented(method: str, path: str, op: Json, world: World, by: str) -> Asked:
    """The document's own example, with ids of things that exist."""
    found, query, body = parts(path, op, world)
    target = found + (f"?{urlencode(query)}" if query else "")
    if body is None:
        return Asked(method.upper(), target, by=by)
    return Asked(method.upper(), target, {"Content-Type": JSON_TYPE}, _encoded(body), by)


def _whole(method: str, path: str, op: Json, world: World, dice: random.Random) -> Asked:
    may = op["x-callers"]
    who = [*may.get("roles", ()), *(["key"] if may.get("scope") else []), *(["agent"] if may.get("agents") else [])]
    by = dice.choice(who) if who and dice.random() < 0.85 else dice.choice(CALLERS)
    asked = as_documented(method, path, op, world, by)
    if not asked.body or dice.random() < 0.5:
        return asked
    return replace(asked, body=_encoded(_odd_field(json.loads(asked.body), dice)), about="odd field")


def _odd_field(body: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    name = dice.choice([*body, "unknown", "id", "tenant_id", "\x00", ""])
    if dice.random() < 0.1:
        return {key: value for key, value in body.items() if key != name}
    return {**body, name: dice.choice(ODD_VALUES)}


def _encoded(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _spoilt(asked: Asked, dice: random.Random) -> Asked:
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        kinds = [_path, _query, _header, _header] + ([_body, _literal, _type, _twice] * 2 if asked.body else [_body])
        kind = dice.choice(kinds) if dice.random() < 0.9 else dice.choice((_method, _large))
        asked = replace(kind(asked, dice), about=f"{asked.about} {kind.__name__.strip('_')}".strip())
    return asked


def _path(asked: Asked, dice: random.Random) -> Asked:
    path, mark, query = asked.target.partition("?")
    segments = path.split("/")
    # Most paths end in, or have before their last word, what a client chooses.
    segments[-dice.choice((1, 1, 2, 3))] = dice.choice(ODD_SEGMENTS)
    return replace(asked, target="/".join(segments).replace("?", "%3F") + mark + query)


def _query(asked: Asked, dice: random.Random) -> Asked:
    path, _, query = asked.target.partition("?")
    return replace(asked, target=f"{path}?{'&'.join(part for part in (query, dice.choice(ODD_QUERIES)) if part)}")


def _header(asked: Asked, dice: random.Random) -> Asked:
    name, value = dice.choice(ODD_HEADERS)
    return replace(asked, headers={**asked.headers, name: value})


def _body(asked: Asked, dice: random.Random) -> Asked:
    spoilt = dice.choice(ODD_JSON)
    if dice.random() < 0.3 and asked.body:
        spoilt = asked.body[: dice.randrange(len(asked.body))]
    elif dice.random() < 0.3:
        spoilt = dice.randbytes(dice.randrange(200))
    return replace(asked, body=spoilt)


def _literal(asked: Asked, dice: random.Random) -> Asked:
    """A field's value as no encoder writes it."""
    try:
        said = json.loads(asked.body)
    except (ValueError, RecursionError):
        return asked
    if not isinstance(said, dict) or not said:
        return asked
    name = dice.choice(list(said))
    mark = "@@literal@@"
    return replace(asked, body=_encoded({**said, name: mark}).replace(f'"{mark}"'.encode(), dice.choice(ODD_LITERALS)))


def _twice(asked: Asked, dice: random.Random) -> Asked:
    """A field more than once."""
    if not asked.body.startswith(b'{"'):
        return asked
    first = asked.body[1:].partition(b":")[0]
    before = b"{" + first + b":" + dice.choice((b"1", b'"a"', b"null", b"{}")) + b","
    return replace(asked, body=before + asked.body[1:])


def _type(asked: Asked, dice: random.Random) -> Asked:
    kind = dice.choice(ODD_TYPES)
    if dice.random() < 0.3:
        body = asked.body.decode("utf-8", "replace").encode("utf-16")
        return replace(asked, headers={"Content-Type": kind}, body=body)
    return replace(asked, headers={**asked.headers, "Content-Type": kind})


def _large(asked: Asked, dice: random.Random) -> Asked:
    size = dice.choice((MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1))
    filled = asked.body[:-1] + b" " * (size - len(asked.body)) + b"}" if asked.body else b"[" + b" " * (size - 2) + b"]"
    return replace(asked, body=filled if dice.random() < 0.5 else b"x" * size)


def _method(asked: Asked, dice: random.Random) -> Asked:
    return replace(asked, method=dice.choice(METHODS))
