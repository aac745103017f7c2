"""The socket's frames: another tenant's agent and command are answered like none, in every frame that names one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.api.commands.conftest import sockets
from tests.api.fleet import Line, on_line
from tests.api.isolation.rows import Rows
from tests.api.isolation.slots import KINDS
from tests.api.isolation.test_isolation import rows
from tests.api.isolation.world import World
from tests.api.people import Town
from tests.api.serving.conftest import Served
from webapp.commands import frames

__all__ = ["rows", "sockets"]  # fixtures

# What makes each kind of frame a whole one, beside its ids.
SAID: dict[str, dict[str, Any]] = {
    frames.HEARTBEAT: {}, frames.NEXT: {"timeout_ms": 1000}, frames.ACK: {}, frames.PROGRESS: {"progress": 5},
    frames.RESULT: {"status": "succeeded"},
}  # fmt: skip
CASES = [
    (kind, name)
    for kind, schema in frames._KINDS.items()
    for name in dict.fromkeys(["agent_id", *schema.load_fields])
    if name in KINDS
]


@pytest.fixture
def owner(app: Flask) -> World:
    return World(Town.found(app, "Owner"))


@pytest.fixture
def stranger(app: Flask) -> World:
    return World(Town.found(app, "Stranger"))


@pytest.fixture
def line(sockets: Served, stranger: World) -> Iterator[Line]:
    with on_line(sockets.port, stranger.agent) as opened:
        yield opened


def answered(line: Line, world: World, kind: str, name: str, asked: Any) -> dict[str, Any]:
    ids = {"agent_id": world.agent.id}
    if "command_id" in frames._KINDS[kind].load_fields:
        ids["command_id"] = world.value("command")
    frame = line.ask(type=kind, request_id="r", **{**SAID[kind], **ids, name: asked})
    return {key: said for key, said in frame.items() if key != "ts"}


def test_every_kind_of_frame_is_here() -> None:
    assert SAID.keys() == frames._KINDS.keys() and len(CASES) == 8


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_anothers_id_is_answered_like_none(
    kind: str, name: str, line: Line, owner: World, stranger: World, rows: Rows
) -> None:
    foreign, before = owner.value(KINDS[name]), rows.of(owner.town.tenant)
    unknown = answered(line, stranger, kind, name, stranger.unknown(KINDS[name]))
    got = answered(line, stranger, kind, name, foreign)
    assert got == unknown and got["type"] == "error"
    assert rows.of(owner.town.tenant) == before
    assert answered(line, stranger, kind, name, stranger.value(KINDS[name]))["type"] != "error", "its own is found"
