"""A backup of a real server into two targets, and everything that can be brought back from it."""

from __future__ import annotations

import hashlib
import json
import shutil
import time

import pytest

from tests.lab.backups.stage import Stage

PEOPLE = "SELECT count(*), sum(id), md5(string_agg(name || note, ',' ORDER BY id)) FROM people"


@pytest.fixture
def forgotten(stage: Stage):
    """Databases made by a test are gone after it."""
    yield
    for name in ("shop_copy", "shop_then", "shop_table"):
        stage.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "postgres")


def test_the_seal_says_what_was_in_it(stage: Stage, sealed):
    manifest = json.loads((stage.folder / "work/manifest.json").read_text())
    shop = manifest["databases"]["shop"]
    assert shop["tables"]["public people"]["rows"] == 20000 and shop["tables"]["public Odd Name"]["rows"] == 4
    assert shop["tables"]["public nothing"] == {"rows": 0, "sha256": hashlib.sha256(b"").hexdigest()}
    assert shop["owner"] == "shop_owner" and shop["connect"] == ["moorage_backup", "shop_app"]
    assert sealed["rows"] == {"shop": 25004} and sealed["id"] == manifest["id"]
    assert sealed["objects"] == {"things": {"objects": 3, "bytes": len("onetwothree")}}
    assert set(sealed["targets"]) == {"local", "bucket"}
    for target in ("local", "bucket"):
        assert [entry["snapshot"] for entry in stage.does("list", "--target", target)] == [
            sealed["targets"][target]["id"][:8]
        ]
        assert stage.metric("backup.prom", "moorage_backup_last_result", target) == 1
        assert stage.metric("backup.prom", "moorage_backup_size_bytes", target) > 1_000_000
        assert time.time() - stage.metric("backup.prom", "moorage_backup_last_success_timestamp_seconds", target) < 600


def test_what_lies_in_a_target_can_be_read_by_nobody_without_the_key(stage: Stage, sealed):
    row = stage.sql("SELECT name FROM people WHERE id = 1").encode()
    for folder in ("work/repository", "bucket/backups"):
        files = [path for path in (stage.folder / folder).rglob("*") if path.is_file() and path.parent.name != "locks"]
        assert files
        assert not any(word in path.read_bytes() for path in files for word in (row, b"SECRET", b"three", b"people"))


def test_a_database_comes_back_beside_the_live_one_and_takes_its_place(stage: Stage, sealed, forgotten):
    made = stage.does("restore-database", "--database", "shop", "--into", "shop_copy")
    assert made["rows"] == 25004
    assert stage.sql(PEOPLE, "shop_copy") == stage.sql(PEOPLE)
    assert stage.sql("SELECT sum(twice) FROM orders", "shop_copy") == stage.sql("SELECT sum(twice) FROM orders")
    assert stage.sql("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'people'", "shop_copy") == "t"
    assert stage.sql("SELECT has_table_privilege('shop_app', 'people', 'INSERT')", "shop_copy") == "t"
    assert stage.sql("SELECT has_database_privilege('public', 'shop_copy', 'CONNECT')", "postgres") == "f"
    assert stage.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'moorage_restore%'", "postgres") == "0"
    # A row that only the live one has tells them apart.
    stage.sql("SET ROLE shop_owner; CREATE TABLE since (x int)")
    said = stage.refuses("swap", "--live", "shop", "--restored", "shop_copy", "--fingerprint", made["fingerprint"])
    assert "Nothing was changed" in said
    fingerprint = said.partition("on this server is ")[2].partition(",")[0]
    swapped = stage.does("swap", "--live", "shop", "--restored", "shop_copy", "--fingerprint", fingerprint)
    try:
        assert stage.sql("SELECT to_regclass('since') IS NULL") == "t"
        assert stage.sql("SELECT to_regclass('since') IS NOT NULL", swapped["aside"]) == "t"
    finally:
        stage.sql(
            f"ALTER DATABASE shop RENAME TO shop_copy; ALTER DATABASE {swapped['aside']} RENAME TO shop", "postgres"
        )
        stage.sql("DROP TABLE since")


def test_nothing_is_restored_over_a_database_that_is_there(stage: Stage, sealed):
    said = stage.refuses("restore-database", "--database", "shop", "--into", "shop")
    assert "nothing is restored over one" in said and "fingerprint" in said
    assert "cannot be a new database's name" in stage.refuses(
        "restore-database", "--database", "shop", "--into", "x; DROP"
    )


def test_any_moment_comes_back_and_the_missing_rows_are_put_back(stage: Stage, sealed, forgotten):
    stage.sql("INSERT INTO people (id, name, note) VALUES (90001, 'late', 'before the mistake')")
    time.sleep(1.1)
    moment = f"{stage.sql('SELECT now()').replace(' ', 'T')}:00"
    time.sleep(1.1)
    stage.sql("DELETE FROM orders WHERE id > 10; DELETE FROM people WHERE id > 10")
    stage.sql("INSERT INTO people (id, name, note) VALUES (90002, 'later', 'after the mistake')")
    stage.wait_until_shipped()
    then = stage.does("restore-database", "--database", "shop", "--into", "shop_then", "--time", moment)
    assert then["as_of"] == moment
    assert stage.sql("SELECT count(*), max(id) FROM people", "shop_then") == "20001|90001"
    back = stage.does("put-back", "--live", "shop", "--restored", "shop_then", "--table", "people")
    assert back == {"table": "people", "restored": 20001, "added": 19991}
    assert (
        stage.does("put-back", "--live", "shop", "--restored", "shop_then", "--table", "public.orders")["added"] == 4990
    )
    assert stage.sql("SELECT count(*), max(id) FROM people") == "20002|90002"
    stage.sql("DELETE FROM people WHERE id > 90000")


def test_one_table_comes_back_alone(stage: Stage, sealed, forgotten):
    words = ("restore-database", "--database", "shop", "--into", "shop_table", "--table")
    assert stage.does(*words, "public.Odd Name")["rows"] == 4
    tables = "SELECT string_agg(relname, ' ') FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200"
    assert stage.sql(tables, "shop_table") == "Odd Name"
    stage.sql("DROP DATABASE shop_table", "postgres")
    assert "no table public.nowhere" in stage.refuses(*words, "public.nowhere")


def test_objects_come_back_below_another_prefix(stage: Stage, sealed):
    words = ("restore-objects", "--bucket", "things", "--prefix", "a/")
    made = stage.does(*words, "--into", "again")
    assert made["objects"] == 2
    assert (stage.folder / "store/things/again/a/two.bin").read_text() == "two"
    assert "already" in stage.refuses(*words, "--into", "again")
    assert "no object things/nowhere" in stage.refuses(*words[:-1], "nowhere", "--into", "elsewhere")


def test_a_drill_restores_everything_and_says_how_long_it_took(stage: Stage, sealed):
    before = stage.does("drill")["server"]["shop"]
    stage.sql("CREATE TABLE just_now AS SELECT generate_series(1, 7)")
    stage.wait_until_shipped()
    made = stage.does("drill")
    assert made["server"]["shop"] == before + 7, "what the unfinished segment of the log holds is there too"
    stage.sql("DROP TABLE just_now")
    assert made["databases"] == {"shop": 25004} and made["objects"] == {"things": 3} and made["server"]["shop"] >= 25004
    assert made["target"] == "bucket" and 0 <= made["lost_seconds"] < 120
    assert stage.metric("drill.prom", "moorage_restore_drill_last_result", "bucket") == 1
    assert stage.metric("drill.prom", "moorage_restore_drill_seconds", "bucket") == made["seconds"]
    assert not (stage.folder / "work/scratch").exists()


def test_the_stacks_own_files_come_back(stage: Stage, sealed):
    work = stage.folder / "work"

    def brought(*words: str) -> bytes:
        made = stage.does("restore-files", "--into", "/backup/state", *words)
        assert made["archive"] == "/backup/state/files.tar"
        return (work / "state/files.tar").read_bytes()

    assert brought() == (work / "files.tar").read_bytes()
    # A secret of after the backup goes with the log, though nothing was written to a database.
    stage.write_files("SECRET='new'\n", "files-of-now.tar")
    stage.wait_until_shipped()
    assert brought() == (work / "files-of-now.tar").read_bytes()
    assert brought("--backup", sealed["targets"]["bucket"]["id"][:8]) == (work / "files.tar").read_bytes()


def test_a_target_that_is_not_declared_is_named(stage: Stage):
    assert "There is no target 'moon'; backup_targets has local, bucket." in stage.refuses("list", "--target", "moon")
    assert "sealed backups 'f00d'" in stage.refuses("drill", "--backup", "f00d")


def test_a_log_that_begins_anew_is_not_taken_for_the_one_of_the_copy(stage: Stage, sealed):
    stage.sql("CREATE TABLE before_it AS SELECT generate_series(1, 5)")
    stage.wait_until_shipped()
    reached = stage.does("drill")["server"]["shop"]
    # As on a rebuilt host: the target has what was, the catalogue here begins anew.
    container = stage.of("backup")
    stage.engine.run("stop", "-t", "30", container)
    shutil.rmtree(stage.folder / "work/barman")
    stage.engine.run("start", container)
    stage.sql("CREATE TABLE after_it AS SELECT generate_series(1, 3)")
    stage.wait_until_shipped()
    assert stage.does("drill")["server"]["shop"] == reached
    stage.does("run")
    assert stage.does("drill")["server"]["shop"] == reached + 3
    stage.sql("DROP TABLE before_it; DROP TABLE after_it")
