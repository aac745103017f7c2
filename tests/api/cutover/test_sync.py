"""Carrying records over into a real PostgreSQL: each once, again without harm, and on from where it was cut off."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.api.cutover.conftest import Rows, counts
from webapp.cutover import checkpoints
from webapp.cutover import sync as syncing
from webapp.cutover.export import RtdbExport
from webapp.cutover.findings import Kind
from webapp.cutover.sources import Item, Place, SourceGone, SourceUnreadable
from webapp.cutover.sync import Synced, UnknownTenant
from webapp.cutover.target import CutoverRunning, Target, TargetFull
from webapp.db import Database
from webapp.variables import DatabaseUrl

Export = Callable[..., RtdbExport]
Run = Callable[..., Synced]
Read = Callable[[Place], Rows]


def numbered(count: int, **more: Any) -> dict[str, Any]:
    return {f"-N{at:05}": {"n": at, "updated_at": 1_795_204_800_000 + at, **more} for at in range(count)}


def test_everything_goes_over_and_a_second_run_changes_nothing(
    export: Export, sync: Run, rows: Read, notes: Place, found_tenant: Callable[[], UUID]
) -> None:
    other = Place(found_tenant(), "finance/operations")
    tree = Place(notes.tenant, "settings")
    awkward = {
        "t": 'tab\t line\n back\\slash "quote" \u2028 \U0001f680',
        "list": [None, 1.5, {}],
        "big": 2**63,
        "e": [],
    }
    content = {
        notes: {"a": awkward, "b": {"id": "b", "created_at": 1_795_204_800, "n": 1}, "é %1": {"n": 2}},
        other: {"1": {"amount": 1.10}, "2": {"amount": 2}},
        tree: {"theme": {"dark": True}, "updated_at": 5},
    }
    source = export(content)
    first = sync(source)
    assert {(one.place, counts(one)) for one in first.carried} == {
        (notes, (3, 3, 0, 0)), (other, (2, 2, 0, 0)), (tree, (1, 1, 0, 0)),
    }  # fmt: skip
    assert rows(notes) == {
        "a": (awkward, None, None),
        "b": ({"n": 1}, 1_795_204_800_000, None),
        "é %1": ({"n": 2}, None, None),
    }
    assert rows(other)["1"] == ({"amount": 1.1}, None, None)
    assert rows(tree) == {"tree": ({"theme": {"dark": True}, "updated_at": 5}, None, None)}
    before = rows(notes), rows(other), rows(tree)
    again = sync(source)
    assert [counts(one)[1:] for one in again.carried] == [(0, 0, 0)] * 3
    assert (rows(notes), rows(other), rows(tree)) == before


def test_changes_and_deletions_are_carried_between_batches_too(
    export: Export, sync: Run, rows: Read, notes: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "BATCH_ROWS", 7)
    content = numbered(50)
    sync(export({notes: content}))
    for gone in ("-N00000", "-N00006", "-N00007", "-N00020", "-N00021", "-N00048", "-N00049"):
        del content[gone]
    content["-N00010"] = {"n": "changed"}
    content["-N00010x"] = {"n": "new"}
    content["zzz"] = {"n": "last"}
    [carried] = sync(export({notes: content})).carried
    assert counts(carried) == (45, 2, 1, 7)
    assert {name: row[0]["n"] for name, row in rows(notes).items()} == {k: v["n"] for k, v in content.items()}


def test_a_dry_run_says_what_a_run_would_do_and_does_nothing(
    export: Export, sync: Run, rows: Read, notes: Place
) -> None:
    sync(export({notes: numbered(10)}))
    before = rows(notes)
    changed = {**numbered(9), "new": {"n": 1}, "-N00001": {"n": "x"}}
    [dry] = sync(export({notes: changed}), dry_run=True).carried
    assert rows(notes) == before
    [done] = sync(export({notes: changed})).carried
    assert counts(dry) == counts(done) == (10, 1, 1, 1)


def test_no_other_tenants_rows_and_no_other_collections_are_touched(
    export: Export, sync: Run, rows: Read, notes: Place, found_tenant: Callable[[], UUID]
) -> None:
    other, bots = Place(found_tenant(), notes.collection), Place(notes.tenant, "bots")
    sync(export({notes: numbered(3), other: numbered(4), bots: numbered(2)}))
    sync(export({notes: {"only": {"n": 1}}, bots: numbered(2)}))
    assert list(rows(notes)) == ["only"] and len(rows(other)) == 4 and len(rows(bots)) == 2


def test_what_can_be_no_row_is_left_out_told_and_not_deleted(
    export: Export, sync: Run, rows: Read, notes: Place
) -> None:
    sync(export({notes: {"a": {"n": 1}, "b": {"n": 2}}}))
    done = sync(export({notes: {"a": {"t": "nul\0"}, "b": {"n": 3}, "c": "no object"}}))
    [carried] = done.carried
    assert (carried.left_out, carried.updated, carried.deleted) == (2, 1, 0)
    assert {one.kind for one in done.findings} == {Kind.NUL, Kind.NOT_AN_OBJECT}
    assert rows(notes) == {"a": ({"n": 1}, None, None), "b": ({"n": 3}, None, None)}


class Failing:
    """A source that goes away after so many records."""

    def __init__(self, inner: RtdbExport, count: int) -> None:
        self._inner, self._count = inner, count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def records(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        for number, item in enumerate(self._inner.records(place, after=after, upto=upto)):
            if number == self._count:
                raise SourceGone("gone midway")
            yield item


def test_a_source_that_goes_midway_leaves_what_was_carried_and_the_next_run_goes_on(
    export: Export, sync: Run, rows: Read, notes: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "BATCH_ROWS", 10)
    sync(export({notes: {"zzz": {"n": "old"}}}, "old.json"))
    source = export({notes: numbered(100)})
    with pytest.raises(SourceGone):
        sync(Failing(source, 55))
    # 40, for the last whole batch waits to know whether it is the last of all.
    assert len(rows(notes)) == 41 and "zzz" in rows(notes)
    [carried] = sync(source).carried
    assert (carried.how, counts(carried)) == ("rest", (60, 60, 0, 1))
    assert list(rows(notes)) == list(numbered(100))


def test_a_run_that_was_cut_off_after_its_last_record_deletes_nothing_but_what_is_gone(
    export: Export, sync: Run, rows: Read, notes: Place, owner: DatabaseUrl
) -> None:
    source = export({notes: numbered(5)})
    sync(source)
    into = Target(owner)
    for left in ("-N00004", "-N00002"):
        with into.transaction(notes.tenant) as cursor:
            checkpoints.write(cursor, source.name, notes, checkpoints.reading(left, None, 5))
        [carried] = sync(source).carried
        assert (carried.how, carried.inserted, carried.deleted) == ("rest", 0, 0)
        assert list(rows(notes)) == list(numbered(5))
    into.close()


def test_a_collection_that_a_later_export_has_no_more_is_emptied(
    export: Export, sync: Run, rows: Read, notes: Place
) -> None:
    bots = Place(notes.tenant, "bots")
    sync(export({notes: numbered(3), bots: numbered(2)}))
    sync(export({bots: numbered(2)}, "later.json"))
    assert rows(notes) == {} and len(rows(bots)) == 2


def test_an_empty_source_is_an_error_and_no_deletion_of_everything(
    export: Export, sync: Run, rows: Read, notes: Place
) -> None:
    sync(export({notes: numbered(3)}))
    with pytest.raises(SourceUnreadable):
        sync(export({}))
    assert len(rows(notes)) == 3


def test_a_tenant_that_is_not_here_is_refused_before_anything_is_written(
    export: Export, sync: Run, rows: Read, notes: Place
) -> None:
    stranger = uuid4()
    with pytest.raises(UnknownTenant, match=str(stranger)):
        sync(export({notes: numbered(3), Place(stranger, "bots"): numbered(1)}))
    assert rows(notes) == {}


def test_a_second_cutover_at_once_is_refused(export: Export, sync: Run, notes: Place, owner: DatabaseUrl) -> None:
    first = Target(owner)
    first.be_alone()
    try:
        with pytest.raises(CutoverRunning):
            sync(export({notes: numbered(3)}))
    finally:
        first.close()
    sync(export({notes: numbered(3)}))


_CHILD = """
import sys, time
from pathlib import Path
from webapp.cutover import sync
from webapp.cutover.export import RtdbExport
from webapp.cutover.progress import Meter
from webapp.cutover.target import Target
from webapp.variables import database_url
sync.BATCH_ROWS = 500
class Slow(Meter):
    def at(self, count):
        print(count, flush=True)
        time.sleep(0.02)
sync.Sync(RtdbExport(Path(sys.argv[1])), Target(database_url(sys.stdin.readline().strip())), Slow(None)).run()
"""


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_rows(
    export: Export, sync: Run, rows: Read, notes: Place, owner: DatabaseUrl, database: Database, tmp_path: Path
) -> None:
    source = export({notes: numbered(20_000, text="x" * 100)})
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "export.json")]
    reached = []
    for kill_at in (3_000, 9_000):
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(owner.render() + "\n")
        child.stdin.flush()
        for line in child.stdout:
            if int(line) >= kill_at:
                child.send_signal(signal.SIGKILL)
                break
        assert child.wait(20) == -signal.SIGKILL
        reached.append(_carried(database, source.name, notes))
        assert 0 < len(rows(notes)) < 20_000
    assert 0 < reached[0] < reached[1] < 20_000
    _await_turn(owner)
    [carried] = sync(source).carried
    assert carried.how == "rest" and carried.read == 20_000 - reached[1]
    assert {name: row[0]["n"] for name, row in rows(notes).items()} == {k: v["n"] for k, v in numbered(20_000).items()}


def _carried(database: Database, source: str, place: Place) -> int:
    asked = "SELECT carried FROM cutover_checkpoints WHERE source = %(s)s AND collection = %(c)s"
    [(found,)] = database.at_once(asked, {"s": source, "c": place.collection}, tenant=place.tenant)
    return int(found)


def _await_turn(owner: DatabaseUrl) -> None:
    """The server notices a dead client with its next word to it."""
    for _ in range(100):
        one = Target(owner)
        try:
            one.be_alone()
            return
        except CutoverRunning:
            time.sleep(0.05)
        finally:
            one.close()
    raise AssertionError("the killed run's lock is still held")


def test_a_full_target_says_so_and_the_batches_before_stay(
    export: Export, sync: Run, rows: Read, notes: Place, owner: DatabaseUrl, postgres_admin: DatabaseUrl,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(syncing, "BATCH_ROWS", 2_000)
    small = {"work_mem": "64kB", "temp_file_limit": "0", "enable_nestloop": "off", "enable_indexscan": "off",
             "enable_bitmapscan": "off", "enable_mergejoin": "off", "hash_mem_multiplier": "1"}  # fmt: skip
    sync(export({notes: {f"{at:04}{'x' * 700}": {"n": 0} for at in range(3_000)}}, "before.json"))
    before = rows(notes)
    content = {f"{at:04}{'x' * 700}": {"n": 1} for at in range(3_000)}
    admin = psycopg.connect(postgres_admin.render(), autocommit=True)
    try:
        with admin.cursor() as cursor:
            for name, value in small.items():
                cursor.execute(f"ALTER ROLE {owner.user} SET {name} = '{value}'")
            with pytest.raises(TargetFull, match="temp_file_limit"):
                sync(export({notes: content}))
            cursor.execute(f"ALTER ROLE {owner.user} RESET ALL")
    finally:
        admin.close()
    assert rows(notes) == before
    sync(export({notes: content}))
    assert {row[0]["n"] for row in rows(notes).values()} == {1}


def test_checkpoints_are_shown_to_their_own_tenant_alone(
    export: Export, sync: Run, notes: Place, database: Database, found_tenant: Callable[[], UUID], owner: DatabaseUrl
) -> None:
    sync(export({notes: numbered(3)}))
    asked = "SELECT count(*) FROM cutover_checkpoints"
    assert database.at_once(asked, {}, tenant=notes.tenant) == [(1,)]
    assert database.at_once(asked, {}, tenant=found_tenant()) == [(0,)]
    assert database.at_once(asked, {}) == [(0,)]
    target = Target(owner)
    stray = Place(found_tenant(), "bots")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), target.transaction(notes.tenant) as cursor:
        checkpoints.write(cursor, "x", stray, checkpoints.completed(None, 0))
    target.close()
