"""A live Realtime Database as a source, over its REST protocol, against a server that speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.api.relay import Relay
from tests.rtdb.database import Database
from tests.rtdb.server import Server
from webapp.cutover import pages
from webapp.cutover.asking import Asking
from webapp.cutover.rtdb import OVERLAP_MILLIS, RtdbRest
from webapp.cutover.sources import Place, SourceGone, SourceRefused
from webapp.redaction import Secret

ACME, OTHER = UUID(int=0xACE), UUID(int=0x0B)
NOTES = Place(ACME, "workspace/notes")
SECRET = Secret("rtdb-secret-of-the-tests")
NOW = 1_795_204_800_000


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Database(), secret=SECRET.reveal()).running() as running:
        yield running


def source_at(url: str, secret: Secret | None = SECRET, root: tuple[str, ...] = (), **options: Any) -> RtdbRest:
    return RtdbRest(Asking(url, secret, pause=lambda _: None, **options), url, root, now=lambda: NOW)


def fill(server: Server, records: dict[str, Any], place: Place = NOTES) -> None:
    server.database.put(("tenants", str(place.tenant), *place.collection.split("/")), records)


def ids_of(found: Any) -> list[str]:
    return [item.id for item in found]


def test_records_come_page_by_page_in_the_order_of_their_bytes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FIRST_COUNT", 3)
    monkeypatch.setattr(pages, "MOST_COUNT", 7)
    names = (
        [str(at) for at in (*range(30), 100, 2**31 - 1, 2**31, -5)] + [f"-N{at:02}" for at in range(25)] + ["é", "Z"]
    )
    fill(server, {name: {"name": name} for name in names})
    source = source_at(server.url)
    found = list(source.records(NOTES))
    assert ids_of(found) == sorted(names)
    assert all(json.loads(item.raw or b"") == {"name": item.id} for item in found)
    for after in ("", "-N10", "15", "100", "Z", "é"):
        assert ids_of(source.records(NOTES, after=after)) == [one for one in sorted(names) if one > after]
    assert ids_of(source.records(NOTES, after="-N03", upto="-N06")) == ["-N04", "-N05", "-N06"]
    assert sorted(source.keys(NOTES)) == sorted(names) and source.count(NOTES) == len(names)


def test_places_and_strays_are_found_by_names_alone(server: Server) -> None:
    fill(server, {"theme": "dark"}, Place(ACME, "settings"))
    fill(server, {"a": {"n": 1}}, Place(OTHER, "finance/operations"))
    fill(server, {"a": {"n": 1}})
    server.database.put(("tenants", str(ACME), "resources", "cars"), {"a": 1})
    server.database.put(("users",), {"u": {"n": 1}})
    source = source_at(server.url)
    assert source.places() == [Place(OTHER, "finance/operations"), Place(ACME, "settings"), NOTES]
    assert sorted(stray.path for stray in source.strays()) == [f"tenants/{ACME}/resources/cars", "users"]
    assert [(item.id, item.raw) for item in source.records(Place(ACME, "settings"))] == [("tree", b'{"theme":"dark"}')]


def test_a_root_is_gone_into_and_what_is_beside_it_is_a_stray(server: Server) -> None:
    server.database.put(("a", "b", "tenants", str(ACME), "bots"), {"x": {"n": 1}})
    server.database.put(("a", "c"), 1)
    source = source_at(server.url, root=("a", "b"))
    assert source.places() == [Place(ACME, "bots")]
    assert ids_of(source.records(Place(ACME, "bots"))) == ["x"]
    assert [stray.path for stray in source.strays()] == ["a/c"]
    assert source_at(server.url).places() == []


def test_changes_since_a_mark_are_asked_for_by_updated_at(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FIRST_COUNT", 4)
    since = NOW - OVERLAP_MILLIS
    old = {f"old{at}": {"updated_at": since - 1 - at} for at in range(10)}
    alike = {f"same{at}": {"updated_at": since} for at in range(9)}
    new = {f"new{at}": {"updated_at": since + at} for at in range(10)}
    fill(server, {**old, **alike, **new, "never": {"n": 1}})
    source = source_at(server.url)
    mark = source.mark(NOTES)
    assert mark == str(since)
    changes = source.changes(NOTES, mark)
    assert changes is not None and ids_of(changes) == sorted([*alike, *new])
    asked = [path for _, path in server.seen]
    assert len(asked) < 10


def test_a_page_of_large_records_is_asked_for_in_smaller_pieces(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_LARGEST_PAGE", 100_000)
    fill(server, {f"r{at:03}": {"text": "x" * 20_000} for at in range(40)})
    assert ids_of(source_at(server.url).records(NOTES)) == [f"r{at:03}" for at in range(40)]


def test_a_value_of_ten_megabytes_is_read(server: Server) -> None:
    fill(server, {"a": {"n": 1}, "b": {"text": "x" * 10_000_000}, "c": {"n": 3}})
    found = list(source_at(server.url).records(NOTES))
    assert ids_of(found) == ["a", "b", "c"] and len(found[1].raw or b"") > 10_000_000


def test_one_record_is_read_as_it_is_now(server: Server) -> None:
    fill(server, {"a b%c": {"n": 1}})
    source = source_at(server.url)
    one = source.one(NOTES, "a b%c")
    assert one is not None and one.raw == b'{"n":1}'
    assert source.one(NOTES, "other") is None


def test_a_wrong_secret_is_refused_and_never_shown(server: Server) -> None:
    with pytest.raises(SourceRefused) as refused:
        source_at(server.url, Secret("another-secret-here")).places()
    assert "another-secret-here" not in str(refused.value) and "RTDB_SECRET" in str(refused.value)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_source_that_goes_midway_says_where_and_without_its_secret(
    server: Server, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    monkeypatch.setattr(pages, "FIRST_COUNT", 5)
    monkeypatch.setattr(pages, "MOST_COUNT", 5)
    fill(server, {f"r{at:03}": {"n": at} for at in range(50)})
    with Relay("127.0.0.1", server.server_address[1]) as relay:
        found = source_at(f"http://127.0.0.1:{relay.port}", read_seconds=0.3).records(NOTES)
        first = [next(found).id for _ in range(6)]
        relay.hang() if hangs else relay.stop()
        with pytest.raises(SourceGone) as gone:
            list(found)
    assert first[-1] == "r005"
    assert f"tenants/{ACME}/workspace/notes" in str(gone.value) and SECRET.reveal() not in str(gone.value)


def test_a_read_that_fails_for_a_moment_is_tried_again(server: Server) -> None:
    fill(server, {"a": {"n": 1}})
    with Relay("127.0.0.1", server.server_address[1]) as relay:
        waits: list[float] = []

        def pause(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                relay.start()

        url = f"http://127.0.0.1:{relay.port}"
        source = RtdbRest(Asking(url, SECRET, read_seconds=0.3, pause=pause), url)
        relay.stop()
        assert ids_of(source.records(NOTES)) == ["a"]
        assert waits == [0.25, 0.5]
