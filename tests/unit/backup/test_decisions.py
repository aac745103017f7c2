"""What a backup decides by itself: tables of cases."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from moorage_backup import catalogue, cluster, databases, digests, loading, metrics, objects, sealing
from moorage_backup.digests import Content
from moorage_backup.failures import Damaged, Failure, Refused
from moorage_backup.repository import Snapshot
from moorage_backup.settings import Target

LISTING = """;
; Selected TOC Entries:
;
221; 1259 16401 TABLE BIG t postgres
3441; 0 16401 TABLE DATA BIG t postgres
3440; 0 16397 TABLE DATA public Odd Name postgres
3451; 0 0 SEQUENCE SET public people_id_seq postgres
"""


def test_tables_are_found_in_a_dumps_list_whatever_their_names():
    assert digests.data_files(LISTING) == {"BIG t": 3441, "public Odd Name": 3440}


@pytest.mark.parametrize(
    "size", [0, 1, 5, 6, 7, digests._CHUNK - 1, digests._CHUNK, digests._CHUNK + 3, 3 * digests._CHUNK]
)
def test_a_tables_digest_is_the_same_with_pg_dumps_end_and_without(size):
    rows = (b"x" * 9 + b"\n") * (size // 10) + b"y" * (size % 10)
    assert digests.digested(io.BytesIO(rows + digests.END)) == digests.digested(io.BytesIO(rows))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"public a": Content(1, "x")}, []),
        ({}, ["public a: missing"]),
        ({"public a": Content(2, "x")}, ["public a: 2 rows, and 1 in the backup"]),
        ({"public a": Content(1, "y")}, ["public a: 1 rows as in the backup, but other content"]),
        ({"public a": Content(1, "x"), "public b": Content(0, "")}, ["public b: not in the backup"]),
    ],
)
def test_differences_are_named(found, said):
    assert digests.differences({"public a": Content(1, "x")}, found) == said


@pytest.mark.parametrize(
    ("text", "said"), [("yesterday", "is no moment"), ("2026-11-28T05:00:00", "of which time zone")]
)
def test_a_moment_is_said_in_full(text, said):
    with pytest.raises(Failure, match=said):
        cluster.instant(text)


@pytest.mark.parametrize("kind", ["SUBSCRIPTION", "SERVER", "USER MAPPING", "EVENT TRIGGER"])
def test_a_dump_that_reaches_elsewhere_is_seen(kind):
    assert loading.elsewhere(f"{LISTING}9; 1262 1 {kind} - shop postgres\n") == [f"9; 1262 1 {kind} - shop postgres"]
    assert loading.elsewhere(LISTING) == []


def test_row_level_security_comes_last():
    first, last = loading.parts(f"{LISTING}7; 0 1 ROW SECURITY public people o\n8; 3256 2 POLICY public people all o\n")
    assert "TABLE DATA public Odd Name" in first and "POLICY" not in first
    assert last.splitlines() == ["7; 0 1 ROW SECURITY public people o", "8; 3256 2 POLICY public people all o"]


@pytest.mark.parametrize("name", ["moorage", "a_1"])
def test_a_name_that_is_free_is_taken(name):
    loading.refuse(name, None)


@pytest.mark.parametrize("name", ["", "A", "x y", 'x"', "x;", "1a", "a" * 64])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(Refused, match="cannot be a new database's name"):
        loading.refuse(name, None)


def test_a_database_that_is_there_is_refused_with_its_fingerprint():
    with pytest.raises(Refused, match="fingerprint 7-16, 3 MB, 2 connections"):
        loading.refuse("moorage", {"system": "7", "oid": 16, "bytes": 3 * 2**20, "connections": 2})


ROLES = """--
-- Roles
--
\\restrict abc

SET default_transaction_read_only = off;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
CREATE ROLE shop_owner;
ALTER ROLE shop_owner WITH NOSUPERUSER LOGIN;
GRANT pg_read_all_data TO moorage_backup WITH INHERIT TRUE GRANTED BY postgres;
\\unrestrict abc
"""


def test_roles_that_exist_are_not_made_again():
    said = loading.roles_only(ROLES, {"postgres"})
    assert "CREATE ROLE postgres" not in said and "CREATE ROLE shop_owner;" in said and "restrict" not in said


@pytest.mark.parametrize(
    "line", ["\\connect other", "\\! id", "DROP TABLE x;", "CREATE DATABASE x;", "GRANT a TO b; \\c other"]
)
def test_a_dump_of_roles_that_does_something_else_is_refused(line):
    with pytest.raises(Refused, match="holds something else"):
        loading.roles_only(f"{ROLES}{line}\n", {"postgres"})


def test_names_and_texts_are_quoted():
    assert databases.quoted('a"b') == '"a""b"'
    assert databases.literal("a'b\\") == "E'a''b\\\\'"


def assert_refused(folder, name):
    with pytest.raises(Damaged, match=f"{name} is not what the manifest says"):
        sealing.opened(folder)


def test_a_sealed_folder_is_opened_only_as_it_was(tmp_path):
    (tmp_path / "a").write_text("1")
    sealing.seal(tmp_path, {"what": "test"})
    assert sealing.opened(tmp_path)["what"] == "test"
    (tmp_path / "b").write_text("")
    assert_refused(tmp_path, "b")
    (tmp_path / "b").unlink()
    (tmp_path / "a").write_text("2")
    assert_refused(tmp_path, "a")
    (tmp_path / "a").unlink()
    assert_refused(tmp_path, "a")
    (tmp_path / sealing.MANIFEST).write_text("{")
    with pytest.raises(Damaged, match="no manifest that can be read"):
        sealing.opened(tmp_path)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "dump"
    with sealing.replacing(folder) as draft:
        (draft / "a").write_text("1")
    with pytest.raises(RuntimeError), sealing.replacing(folder) as draft:
        (draft / "a").write_text("2")
        raise RuntimeError
    assert (folder / "a").read_text() == "1" and [path.name for path in tmp_path.iterdir()] == ["dump"]


def test_an_object_that_looks_untouched_is_not_read_again(tmp_path):
    folder = tmp_path / "things"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = objects.indexed(folder)
    index = objects.read_index(folder)
    index["a"]["sha256"] = "kept"
    sealing.write(objects.index_of(folder), json.dumps(index))
    assert objects.indexed(folder)["a"]["sha256"] == "kept"
    assert objects.damaged(folder, first) == [] and objects.damaged(folder, index) == ["a"]
    (folder / "a").write_text("22")
    assert objects.indexed(folder)["a"]["bytes"] == 2


def test_a_metric_is_set_and_the_others_stay(tmp_path):
    path = tmp_path / "x.prom"
    metrics.update(path, {("moorage_a", "one"): 1.5, ("moorage_b", "one"): 1795842669.535})
    metrics.update(path, {("moorage_a", "two"): 0, ("moorage_b", "one"): 3})
    assert path.read_text() == (
        "# TYPE moorage_a gauge\n"
        'moorage_a{target="one"} 1.5\nmoorage_a{target="two"} 0\n# TYPE moorage_b gauge\nmoorage_b{target="one"} 3\n'
    )
    assert path.stat().st_mode & 0o777 == 0o644 and metrics.value(path, "moorage_a", "one") == 1.5


class Held:
    """A target that answers with these snapshots; a sealed backup's copy ended an hour after it was begun.

    The log of before `rebuilt_at` has the copies' segments, later ones have not.
    """

    def __init__(self, rebuilt_at: str = "9999-01-01T00:00:00Z", **by_tag: list[str]) -> None:
        self.rebuilt_at, self.by_tag = rebuilt_at, by_tag
        self.target = Target("bucket", "/nowhere")

    def has(self, snapshot: str, path: Path) -> bool:
        assert str(path) == "/backup/barman/main/wals/0000000100000000/000000010000000000000003"
        return snapshot.removeprefix("log") < self.rebuilt_at

    def snapshots(self, tag: str) -> list[Snapshot]:
        return [Snapshot(f"{tag}{at}", at, (tag,), ()) for at in self.by_tag.get(tag, [])]

    def read(self, snapshot: str, path: object) -> str:
        begun = cluster.instant(snapshot.removeprefix("sealed"))
        return json.dumps({"server": {"id": snapshot, "end": str(begun + timedelta(hours=1))}})


NIGHTS_LOG = ["2026-11-27T01:00:00Z", "2026-11-27T03:00:00Z", "2026-11-27T04:00:00Z"]
NIGHTS = Held(sealed=["2026-11-26T02:00:00Z", "2026-11-27T02:00:00Z"], log=NIGHTS_LOG)


def holding(held: Held, moment: str) -> Snapshot | None:
    server = {"begin_wal": "000000010000000000000003", "end": "2026-11-26 03:00:00+00:00"}
    return catalogue.holding(held, moment, Path("/backup/barman"), server)


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        ("", "2026-11-27T02:00:00Z"),
        ("2026-11-27T03:00:00Z", "2026-11-27T02:00:00Z"),
        ("2026-11-27T02:59:59Z", "2026-11-26T02:00:00Z"),
        ("2026-11-27T03:59:59+01:00", "2026-11-26T02:00:00Z"),
    ],
)
def test_the_newest_copy_that_had_ended_is_recovered_from(moment, night):
    snapshot, manifest = catalogue.copy_before(NIGHTS, moment)
    assert snapshot.at == night and manifest["server"]["id"] == snapshot.id


def test_a_moment_before_every_copy_is_refused_with_the_oldest():
    said = "No copy of the server is older than 2026-11-26T00:00:00Z: the oldest here ended 2026-11-26 03:00:00"
    with pytest.raises(Refused, match=said):
        catalogue.copy_before(NIGHTS, "2026-11-26T00:00:00Z")
    with pytest.raises(Refused, match="there is none here at all"):
        catalogue.copy_before(Held(), "")


def test_a_moments_log_is_in_the_first_snapshot_that_was_begun_after_it():
    assert holding(NIGHTS, "").at == "2026-11-27T04:00:00Z"
    assert holding(NIGHTS, "2026-11-27T01:30:00Z").at == "2026-11-27T03:00:00Z"
    assert holding(NIGHTS, "2026-11-27T03:00:00Z").at == "2026-11-27T04:00:00Z"
    with pytest.raises(Refused, match="holds the log up to 2026-11-27T04:00:00Z only"):
        holding(NIGHTS, "2026-11-27T04:00:00Z")
    assert holding(Held(), "") is None


def test_the_log_of_a_rebuilt_server_goes_on_from_no_copy_of_before():
    held = Held(log=NIGHTS_LOG, rebuilt_at="2026-11-27T03:30:00Z")
    assert holding(held, "").at == "2026-11-27T03:00:00Z"
    assert holding(held, "2026-11-27T01:30:00Z").at == "2026-11-27T03:00:00Z"
    with pytest.raises(Refused, match=r"rebuilt or restored in between\. Choose an earlier moment"):
        holding(held, "2026-11-27T03:30:00Z")


def test_a_snapshot_of_the_future_is_not_the_newest_while_there_are_others():
    future = "2999-01-01T00:00:00Z"
    held = Held(sealed=["2026-11-26T02:00:00Z", future], log=["2026-11-27T01:00:00Z", future])
    assert catalogue.chosen(held, "latest")[0].at == "2026-11-26T02:00:00Z"
    assert holding(held, "").at == "2026-11-27T01:00:00Z"


def test_only_sealed_backups_are_chosen_from():
    assert catalogue.chosen(NIGHTS, "latest")[0].at == "2026-11-27T02:00:00Z"
    assert catalogue.chosen(NIGHTS, "sealed2026-11-26")[0].at == "2026-11-26T02:00:00Z"
    for wanted in ("sealed", "log2026", "nothing"):
        with pytest.raises(Refused, match="sealed backups"):
            catalogue.chosen(NIGHTS, wanted)
