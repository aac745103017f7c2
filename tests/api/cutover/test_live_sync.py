"""From a live Realtime Database into PostgreSQL: the second run reads what changed, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api.cutover.conftest import Rows, counts
from tests.rtdb.database import Database as Tree
from tests.rtdb.server import Server
from webapp.cutover.asking import Asking
from webapp.cutover.rtdb import OVERLAP_MILLIS, RtdbRest
from webapp.cutover.sources import Item, Place
from webapp.cutover.sync import Synced
from webapp.db import Database

Run = Callable[..., Synced]
Read = Callable[[Place], Rows]
NOW = 1_795_204_800_000


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Tree()).running() as running:
        yield running


@pytest.fixture
def source(server: Server) -> RtdbRest:
    return RtdbRest(Asking(server.url, None, pause=lambda _: None), server.url, now=lambda: NOW)


def put(server: Server, place: Place, record_id: str, record: Any) -> None:
    server.database.put(("tenants", *str(place).split("/"), record_id), record)


def test_changes_since_the_last_run_are_carried_without_reading_everything(
    server: Server, source: RtdbRest, sync: Run, rows: Read, notes: Place
) -> None:
    for at in range(3_000):
        put(server, notes, f"r{at:04}", {"n": at, "text": "x" * 500, "updated_at": NOW - OVERLAP_MILLIS - 1})
    [first] = sync(source).carried
    assert (first.how, counts(first)) == ("all", (3_000, 3_000, 0, 0))
    put(server, notes, "r0001", {"n": "changed", "updated_at": NOW})
    put(server, notes, "new", {"n": "new", "updated_at": NOW})
    put(server, notes, "r0002", None)
    put(server, notes, "r2999", None)
    server.seen.clear()
    [second] = sync(source).carried
    assert (second.how, counts(second)) == ("changes", (2, 1, 1, 2))
    # Where the collections are, what changed, the ids, and the two that seem to be gone.
    assert len(server.seen) < 12
    assert rows(notes)["r0001"] == ({"n": "changed"}, None, NOW) and "r2999" not in rows(notes)
    assert len(rows(notes)) == 2_999
    [full] = sync(source, full=True).carried
    assert (full.how, counts(full)) == ("all", (2_999, 0, 0, 0))


def test_a_record_that_comes_to_both_sides_while_ids_are_read_is_not_deleted(
    server: Server, source: RtdbRest, sync: Run, rows: Read, notes: Place, database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    put(server, notes, "a", {"n": 1, "updated_at": NOW})

    def late(names: Iterator[str]) -> Iterator[str]:
        yield from names
        put(server, notes, "late", {"n": 2, "updated_at": NOW})
        adding = "INSERT INTO records (tenant_id, collection, id, body) VALUES (%(t)s, %(c)s, 'late', '{\"n\": 2}')"
        database.at_once(adding, {"t": str(notes.tenant), "c": notes.collection}, tenant=notes.tenant)

    sync(source)
    keys = source.keys
    monkeypatch.setattr(source, "keys", lambda place: late(keys(place)))
    [carried] = sync(source).carried
    assert (carried.how, carried.deleted) == ("changes", 0) and list(rows(notes)) == ["a", "late"]


def test_a_collection_that_became_empty_is_emptied(
    server: Server, source: RtdbRest, sync: Run, rows: Read, notes: Place
) -> None:
    bots = Place(notes.tenant, "bots")
    put(server, notes, "a", {"n": 1})
    put(server, bots, "b", {"n": 1})
    sync(source)
    put(server, notes, "a", None)
    sync(source)
    assert rows(notes) == {} and list(rows(bots)) == ["b"]


def test_without_an_index_on_updated_at_everything_is_read_again(
    server: Server, source: RtdbRest, sync: Run, rows: Read, notes: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, notes, "a", {"n": 1})
    sync(source)

    def cannot_say(_place: Place, _since: str) -> Iterator[Item] | None:
        return None

    monkeypatch.setattr(source, "changes", cannot_say)
    put(server, notes, "a", {"n": 2})
    [carried] = sync(source).carried
    assert (carried.how, counts(carried)) == ("all", (1, 0, 1, 0))


def test_the_settings_tree_is_read_as_a_whole_each_time(
    server: Server, source: RtdbRest, sync: Run, rows: Read, notes: Place
) -> None:
    tree = Place(notes.tenant, "settings")
    put(server, tree, "theme", "dark")
    sync(source)
    put(server, tree, "theme", "light")
    [carried] = sync(source).carried
    assert counts(carried) == (1, 0, 1, 0) and rows(tree)["tree"][0] == {"theme": "light"}
