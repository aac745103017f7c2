"""Parity: what is equal is told from what is not, record by record and field by field, and nothing is given away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bench.cutover import write_export
from tests.lab.fullness import full
from tests.rtdb.database import Database as Tree
from tests.rtdb.server import Server
from webapp.cutover import report
from webapp.cutover import verify as verifying
from webapp.cutover.agreed import Loosening, LooseningUnknown, loosening
from webapp.cutover.asking import Asking
from webapp.cutover.comparing import DIFFERS, EXTRA, MISSING, TOLERATED, UNMAPPABLE, Compared
from webapp.cutover.export import RtdbExport
from webapp.cutover.progress import Meter
from webapp.cutover.rtdb import RtdbRest
from webapp.cutover.sources import Place, Source
from webapp.cutover.sync import Synced
from webapp.cutover.verify import Parity
from webapp.db import Database
from webapp.settings import Settings

Export = Callable[..., RtdbExport]
Run = Callable[..., Synced]
Alter = Callable[..., None]
Verify = Callable[..., Parity]
AT = datetime(2026, 11, 28, 18, tzinfo=UTC)


@pytest.fixture
def verify(settings: Settings) -> Verify:
    def run(source: Source, place: Place, **options: Any) -> Parity:
        options = {"loosened": Loosening(), "tenants": frozenset({place.tenant}), "pause": lambda _: None, **options}
        return verifying.verify(source, settings.database_url, Meter(None), **options)

    return run


@pytest.fixture
def alter(database: Database) -> Alter:
    """A statement on the rows of a place, with `%(c)s` for its collection."""

    def run(place: Place, statement: str, **values: Any) -> None:
        database.at_once(statement, {"c": place.collection, "t": str(place.tenant), **values}, tenant=place.tenant)

    return run


def of(parity: Parity, place: Place) -> Compared:
    [one] = [one for one in parity.collections if one.place == place]
    return one


BODY = "UPDATE records SET body = %(b)s::jsonb WHERE collection = %(c)s AND id = %(id)s"


def test_what_was_carried_over_is_equal(export: Export, sync: Run, verify: Verify, notes: Place) -> None:
    tree = Place(notes.tenant, "settings")
    content = {
        notes: {
            "a": {"t": "é\u2028\\", "n": 2**70, "f": 1.50, "none": None, "l": [None, {"x": []}], "d": {"a": {"b": {}}}},
            "1": {"created_at": "2026-11-20T20:00:00Z", "updated_at": 1_795_204_800},
            "B": {"n": 1}, "b": {"n": True},
        },
        tree: {"theme": {"dark": True}},
    }  # fmt: skip
    source = export(content)
    sync(source)
    parity = verify(source, notes)
    assert parity.go and parity.records == 5
    assert [(one.source, one.target, one.counts) for one in parity.collections] == [(1, 1, {}), (4, 4, {})]


def test_each_way_to_differ_is_told_with_its_fields(
    export: Export, sync: Run, verify: Verify, alter: Alter, notes: Place
) -> None:
    content = {f"r{at}": {"n": at, "in": {"x": 1, "y": [1, 2]}, "t": "text"} for at in range(9)}
    source = export({notes: {**content, "bad": {"t": "a\0"}}})
    sync(source)
    alter(notes, "DELETE FROM records WHERE collection = %(c)s AND id = 'r0'")
    alter(notes, "INSERT INTO records (tenant_id, collection, id, body) VALUES (%(t)s, %(c)s, 'zzz', '{}')")
    alter(notes, BODY, id="r1", b='{"n": 1, "in": {"x": 2, "y": [1, 2]}, "t": "text"}')
    alter(notes, BODY, id="r2", b='{"n": true, "in": {"x": 1, "y": [2, 1]}, "t": "text", "more": 1}')
    alter(notes, "UPDATE records SET created_at = 5 WHERE collection = %(c)s AND id = 'r3'")
    parity = verify(source, notes)
    one = of(parity, notes)
    assert not parity.go and (one.source, one.target) == (10, 9)
    assert one.counts == {UNMAPPABLE: 1, MISSING: 1, DIFFERS: 3, EXTRA: 1}
    assert one.fields == {"nul": 1, "in.x": 1, "n": 1, "in.y": 1, "more": 1, "created_at": 1}
    shown = {found.id: found.fields for found in one.differences}
    assert shown["r1"] == {"in.x": ("1", "2")}
    assert shown["r3"] == {"created_at": ("null", "5")}
    assert parity.reasons == ["workspace: 6 records are not equal; 0 may be"]


@pytest.mark.parametrize(
    ("in_source", "in_table", "equal"),
    [
        ('{"n":1.0}', '{"n":1}', True),
        ('{"n":-0.0}', '{"n":0}', True),
        ('{"n":1}', '{"n":true}', False),
        ('{"n":9007199254740993}', '{"n":9007199254740992}', False),
        ('{"n":73786976294838206465}', '{"n":73786976294838206464}', False),
        ('{"n":73786976294838206465}', '{"n":73786976294838206465}', True),
        ('{"due_at":"2026-11-20T21:00:00+01:00"}', '{"due_at":1795204800}', True),
        ('{"date":1795204800000}', '{"date":"2026-11-20T20:00:00.000Z"}', True),
        ('{"date":1795204800000}', '{"date":"2026-11-20T20:00:00.001Z"}', False),
        ('{"n":1.8446744073709552e19}', '{"n":18446744073709552000}', True),
        ('{"n":1.25e17}', '{"n":125000000000000000}', True),
        ('{"n":1.25e17}', '{"n":125000000000000001}', False),
        ('{"n":1e300}', '{"n":1e300}', True),
        ('{"a":null,"b":1}', '{"b":1}', True),
        ('{"a":[]}', "{}", False),
        ('{"a":[1,2]}', '{"a":[2,1]}', False),
        ('{"t":"caf\u00e9"}', '{"t":"cafe\u0301"}', False),
        ('{"a":{"b":1,"c":2}}', '{"a":{"c":2,"b":1}}', True),
    ],
)
def test_notations_are_equal_and_values_are_not(
    export: Export, sync: Run, verify: Verify, alter: Alter, notes: Place, in_source: str, in_table: str, equal: bool
) -> None:
    source = export({notes: {"a": json.loads(in_source)}})
    sync(source)
    alter(notes, BODY, id="a", b=in_table)
    assert verify(source, notes, processes=1).go is equal


def test_a_difference_shows_no_secret_and_no_endless_value(
    export: Export, sync: Run, verify: Verify, alter: Alter, notes: Place
) -> None:
    source = export({notes: {"a": {"api_token": "s3cr3t-one", "long": "x" * 5000}}})
    sync(source)
    alter(notes, BODY, id="a", b='{"api_token": "s3cr3t-two", "long": "y"}')
    parity = verify(source, notes)
    page, facts = report.page(parity, at=AT), json.dumps(report.facts(parity, at=AT))
    for text in (page, facts):
        assert "s3cr3t" not in text and "api_token" in text and "***" in text and len(text) < 10_000


def test_only_named_fields_and_thresholds_loosen_and_both_are_printed(
    export: Export, sync: Run, verify: Verify, alter: Alter, notes: Place
) -> None:
    source = export({notes: {f"r{at}": {"n": at, "seen": {"by": 1}} for at in range(5)}})
    sync(source)
    alter(notes, BODY, id="r0", b='{"n": 0, "seen": {"by": 2}}')
    alter(notes, BODY, id="r1", b='{"n": 1, "seen": {"by": 3}}')
    assert not verify(source, notes).go
    for name in ("seen", "workspace/notes.seen", "seen.by"):
        parity = verify(source, notes, loosened=loosening([f"{name}=a cache"], []))
        assert parity.go and of(parity, notes).counts == {TOLERATED: 2}
        assert "a cache" in report.page(parity, at=AT)
    assert not verify(source, notes, loosened=loosening(["bots.seen=other", "see=x"], [])).go
    alter(notes, BODY, id="r2", b='{"n": 9, "seen": {"by": 3}}')
    assert not verify(source, notes, loosened=loosening(["seen=a cache"], [])).go
    assert not verify(source, notes, loosened=loosening([], ["workspace=2", "bots=9"])).go
    parity = verify(source, notes, loosened=loosening([], ["workspace=3"]))
    assert parity.go and "Threshold: 3" in report.page(parity, at=AT)
    assert report.facts(parity, at=AT)["thresholds"] == {"workspace": 3}


@pytest.mark.parametrize(
    ("tolerated", "thresholds"), [(["seen"], []), (["=why"], []), (["seen="], []), ([], ["notes=3"]), ([], ["bots=-1"])]
)
def test_a_loosening_without_reason_or_domain_is_refused(tolerated: list[str], thresholds: list[str]) -> None:
    with pytest.raises(LooseningUnknown):
        loosening(tolerated, thresholds)


def test_a_collection_that_only_one_side_has_is_no_go(
    export: Export, sync: Run, verify: Verify, alter: Alter, notes: Place
) -> None:
    source = export({notes: {"a": {"n": 1}}})
    sync(source)
    bots = Place(notes.tenant, "bots")
    alter(bots, "INSERT INTO records (tenant_id, collection, id, body) VALUES (%(t)s, %(c)s, 'x', '{}')")
    assert verify(source, notes).reasons == ["bots: 1 records are not equal; 0 may be"]


def test_a_large_collection_in_pieces_finds_what_one_piece_does(
    export: Export, sync: Run, verify: Verify, alter: Alter, notes: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "PIECE_RECORDS", 2_000)
    source = export({notes: {f"-N{at:06}": {"n": at} for at in range(15_000)}})
    sync(source)
    alter(notes, "DELETE FROM records WHERE collection = %(c)s AND id LIKE '%%500'")
    alter(notes, "UPDATE records SET body = '{}' WHERE collection = %(c)s AND id LIKE '%%250'")
    extra = "INSERT INTO records (tenant_id, collection, id, body) VALUES (%(t)s, %(c)s, %(id)s, '{}')"
    for record_id in ("!", "-N004000x", "-N012345x", "zzz"):
        alter(notes, extra, id=record_id)
    assert len(list(verifying._pieces(source, [notes], 2))) > 3
    found = [of(verify(source, notes, processes=count), notes) for count in (1, 2)]
    monkeypatch.setattr(verifying, "PIECE_RECORDS", 1_000_000)
    found.append(of(verify(source, notes), notes))
    for one in found:
        assert (one.source, one.target, one.counts) == (15_000, 14_989, {MISSING: 15, DIFFERS: 15, EXTRA: 4})


@full
def test_a_tenant_of_a_million_records_goes_over_and_one_difference_among_them_is_found(
    sync: Run, verify: Verify, alter: Alter, notes: Place, tmp_path: Path
) -> None:
    write_export(tmp_path / "export.json", notes.tenant, 1_000_000)
    source = RtdbExport(tmp_path / "export.json")
    (carried,) = sync(source).carried
    assert (carried.read, carried.inserted, carried.left_out) == (1_000_000, 1_000_000, 0)
    assert verify(source, notes).go
    alter(notes, "UPDATE records SET body = body || '{\"position\": 0}' WHERE collection = %(c)s AND id = %(id)s",
          id="-N000000000000777777")  # fmt: skip
    found = of(verify(source, notes), notes)
    assert (found.counts, found.fields) == ({DIFFERS: 1}, {"position": 1})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b_at", "date", "é"]), inner),
    max_leaves=6,
)  # fmt: skip
records = st.dictionaries(
    st.sampled_from(["1", "2", "10", "-Na", "a", "A", "é", "z z"]), st.fixed_dictionaries({"v": values})
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(records, records)
def test_after_every_sync_there_is_parity_whatever_was_there(
    export: Export, sync: Run, verify: Verify, found_tenant: Callable[[], UUID], one: Any, other: Any
) -> None:
    place = Place(found_tenant(), "workspace/notes")
    anchor = {Place(place.tenant, "bots"): {"b": {}}}
    for content in (one, other):
        source = export({place: content, **anchor})
        sync(source)
        assert verify(source, place, processes=1).go


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Tree()).running() as running:
        yield running


def test_a_record_that_is_changed_in_flight_is_looked_at_again(
    server: Server, sync: Run, verify: Verify, alter: Alter, notes: Place
) -> None:
    def put(record_id: str, record: Any) -> None:
        server.database.put(("tenants", *str(notes).split("/"), record_id), record)

    for at in range(5):
        put(f"r{at}", {"n": at})
    source = RtdbRest(Asking(server.url, None), server.url)
    sync(source)
    put("r1", {"n": "new"})
    put("r2", None)
    put("late", {"n": 1})
    put("r3", {"n": "different"})
    looks = threading.Event()

    def pause(_seconds: float) -> None:
        """Meanwhile the second half of what was being written arrives."""
        if not looks.is_set():
            looks.set()
            alter(notes, BODY, id="r1", b='{"n": "new"}')
            alter(notes, "DELETE FROM records WHERE collection = %(c)s AND id = 'r2'")
            adding = "INSERT INTO records (tenant_id, collection, id, body) VALUES (%(t)s, %(c)s, 'late', '{\"n\": 1}')"
            alter(notes, adding)

    parity = verify(source, notes, pause=pause)
    one = of(parity, notes)
    assert (one.settled, one.counts, one.source, one.target) == (3, {DIFFERS: 1}, 5, 5)
    assert [found.id for found in one.differences] == ["r3"] and not parity.go
