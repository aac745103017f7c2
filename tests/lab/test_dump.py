"""Dumps of a real PostgreSQL in a container: whole or not at all, no second one of the same, and restored."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import engine as engines
from tests.lab.engine import Engine
from tests.lab.recipes import ensure_image
from tests.running import Outcome, command_of, run_module

TABLES = """
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL);
INSERT INTO alembic_version VALUES ('0003');
CREATE TABLE people (id bigserial PRIMARY KEY, name text NOT NULL, note text);
INSERT INTO people (name, note)
    SELECT md5(n::text), E'tab\\t, back\\\\slash, \\nline, "quote", é ' || n FROM generate_series(1, 20000) n;
CREATE VIEW short_names AS SELECT id, left(name, 4) AS name FROM people;
CREATE TABLE procrastinate_workers (id bigserial PRIMARY KEY, last_heartbeat timestamptz NOT NULL DEFAULT now());
INSERT INTO procrastinate_workers DEFAULT VALUES;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
"""
ROWS = "SELECT count(*), sum(id), md5(string_agg(name || note, ',' ORDER BY id)) FROM people"


@dataclass
class Server:
    """A server as the stack runs it: as its own user, which is the superuser by its name alone."""

    engine: Engine
    container: str

    def sql(self, text: str, database: str = "shop") -> str:
        command = ["exec", "-i", self.container, "psql", "-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1"]
        return self.engine.run(*command, "-d", database, given=text).strip()

    @property
    def dumping(self) -> int:
        """How many of our dumps it serves."""
        return int(self.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moorage-dump'"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    engine = engines.ensure()
    words = ["--user", "999:999", "-e", "POSTGRES_PASSWORD=x", "-e", "POSTGRES_INITDB_ARGS=--auth-local=peer"]
    container = engine.run("run", "-d", *words, ensure_image(engine, "postgres")).strip()
    server = Server(engine, container)
    try:
        for _ in range(150):
            # Over TCP: while it is made, the server listens on its socket alone.
            if engine.attempt("exec", container, "pg_isready", "-q", "-h", "127.0.0.1").returncode == 0:
                break
            time.sleep(0.2)
        server.sql("CREATE DATABASE shop", "postgres")
        server.sql(TABLES)
        yield server
    finally:
        engine.run("rm", "-f", "-v", container)


@pytest.fixture
def given(server: Server, tmp_path: Path) -> dict[str, object]:
    """The module's arguments."""
    folder = str(tmp_path / "backups")
    return {"databases": ["shop"], "why": "test", "container": server.container, "folder": folder, "keep": 2}


@pytest.fixture
def environment(server: Server) -> dict[str, str]:
    """In which the module talks to the lab's engine."""
    return {**server.engine.environment, "PATH": f"{Path(server.engine.client).parent}:{os.environ['PATH']}"}


@pytest.fixture
def dump(given, environment) -> Callable[..., Outcome]:
    def run(check: bool = False, before: tuple[str, ...] = (), **other: object) -> Outcome:
        return run_module("database_dump", check=check, environment=environment, before=before, **{**given, **other})

    return run


@pytest.fixture
def locked(server: Server) -> Iterator[None]:
    """Somebody holds a table for himself, so a dump waits."""
    words = ["-X", "-d", "shop", "-c", "BEGIN; LOCK TABLE people; SELECT pg_sleep(120)"]
    server.engine.run("exec", "-d", "-e", "PGAPPNAME=holder", server.container, "psql", "-U", "postgres", *words)
    held = (
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'people'::regclass AND granted"
    )
    wait_for(lambda: server.sql(held) == "1")
    yield
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'")


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "backups").iterdir())


def test_a_dump_is_sealed_and_roots_alone(dump, tmp_path):
    result = dump().result
    path = Path(result["dumps"]["shop"]["file"])
    manifest = json.loads(path.with_name(path.name.removesuffix(".sql.gz") + ".json").read_text())
    assert result["changed"] and result["dumps"]["shop"]["new"]
    assert names(tmp_path) == sorted([path.name, path.name.removesuffix(".sql.gz") + ".json"])
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "backups").iterdir()} == {0o600}
    assert (tmp_path / "backups").stat().st_mode & 0o777 == 0o700
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["bytes"] == path.stat().st_size and manifest["file"] == path.name
    assert (manifest["database"], manifest["why"], manifest["revision"]) == ("shop", "test", "0003")
    assert manifest["server"].startswith("17.") and manifest["seconds"] > 0
    assert b"PostgreSQL database dump complete" in gzip.decompress(path.read_bytes())[-200:]


def test_what_has_not_changed_is_not_kept_twice_and_check_mode_knows(dump, server, tmp_path):
    assert dump(check=True).result["changed"] and not (tmp_path / "backups").exists()
    first = dump().result
    server.sql("UPDATE procrastinate_workers SET last_heartbeat = now()")
    before = names(tmp_path)
    again, plan = dump(why="before-sha-2").result, dump(check=True).result
    assert not again["changed"] and not plan["changed"] and names(tmp_path) == before
    assert again["dumps"]["shop"] == {"file": first["dumps"]["shop"]["file"], "new": False}
    assert "nothing changed since shop-" in again["lines"][0]
    server.sql("INSERT INTO people (name, note) VALUES ('new', '')")
    assert dump(check=True).result["changed"] and names(tmp_path) == before
    assert dump(why="before-sha-2").result["changed"] and len(names(tmp_path)) == 4


def test_a_damaged_dump_is_no_reason_to_drop_a_good_one(dump, tmp_path):
    path = Path(dump().result["dumps"]["shop"]["file"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    result = dump().result
    assert result["changed"] and result["dumps"]["shop"]["file"] != str(path)


def test_the_newest_are_kept(dump, server, tmp_path):
    made = []
    for n in range(3):
        server.sql(f"INSERT INTO people (name, note) VALUES ('keep', '{n}')")
        made.append(dump().result)
    kept = [Path(result["dumps"]["shop"]["file"]).name for result in made[1:]]
    assert names(tmp_path) == sorted(kept + [name.removesuffix(".sql.gz") + ".json" for name in kept])
    assert any(line.endswith(": removed") for line in made[2]["lines"])
    assert not dump(check=True).result["changed"]


def test_a_dump_can_be_restored(dump, server):
    path = Path(dump().result["dumps"]["shop"]["file"])
    server.sql("CREATE DATABASE restored", "postgres")
    try:
        server.sql(gzip.decompress(path.read_bytes()).decode(), "restored")
        assert server.sql(ROWS, "restored") == server.sql(ROWS)
        assert server.sql("SELECT count(*) FROM short_names", "restored") == server.sql(
            "SELECT count(*) FROM short_names"
        )
        assert server.sql("SELECT count(*) FROM procrastinate_workers", "restored") == "1"
        assert int(server.sql("SELECT nextval('people_id_seq')", "restored")) > 20000
        assert server.sql("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'people'", "restored") == "t"
    finally:
        server.sql("DROP DATABASE restored", "postgres")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"databases": ["nowhere"]}, 'database "nowhere" does not exist'),
        ({"container": "moorage-nowhere"}, "No such container: moorage-nowhere"),
    ],
)
def test_what_is_not_there_is_named(dump, tmp_path, args, said):
    result = dump(**args).result
    assert result["failed"] and said in result["msg"]
    assert names(tmp_path) == []


def test_a_failure_says_what_was_dumped_before_it(dump, tmp_path):
    result = dump(databases=["shop", "nowhere"]).result
    assert (
        result["failed"]
        and "nowhere was not dumped" in result["msg"]
        and "Before that: shop: dumped to" in result["msg"]
    )
    assert len(names(tmp_path)) == 2


def test_a_disk_that_fills_up_leaves_nothing_and_no_dump_at_work(dump, server, tmp_path):
    result = dump(before=("prlimit", "--fsize=100000")).result
    assert result["failed"] and "shop was not dumped, and nothing is left" in result["msg"]
    assert "File too large" in result["msg"]
    assert names(tmp_path) == []
    wait_for(lambda: server.dumping == 0)


def test_a_dump_that_takes_too_long_is_ended_on_the_server_too(dump, server, tmp_path, locked):
    result = dump(seconds=1).result
    assert result["failed"] and "did not end within 1 s" in result["msg"]
    assert names(tmp_path) == []
    wait_for(lambda: server.dumping == 0)


def test_a_server_that_ends_the_dump_is_a_failure_with_its_words(given, environment, server, tmp_path, locked):
    process = begin(given, environment, server)
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moorage-dump'")
    result = json.loads(process.communicate(timeout=30)[0])
    assert result["failed"] and "terminating connection due to administrator command" in result["msg"]
    assert names(tmp_path) == []


def test_a_dump_that_was_killed_is_cleared_away_by_the_next(given, environment, dump, server, tmp_path, request):
    request.getfixturevalue("locked")
    process = begin(given, environment, server)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [name for name in names(tmp_path) if name.endswith(".sql.gz.partial")] == names(tmp_path) != []
    result = dump(seconds=1).result
    assert result["failed"], "the table is still held"
    assert names(tmp_path) == [] and server.dumping == 0


def test_two_dumps_do_not_meet(dump, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        result = dump().result
    finally:
        os.close(handle)
    assert result["failed"] and "Another dump into" in result["msg"] and "Nothing was dumped" in result["msg"]


def begin(given: dict[str, object], environment: dict[str, str], server: Server) -> subprocess.Popen[str]:
    """A dump in a process group of its own, which has begun and waits for a table."""
    command = command_of("database_dump", **given)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: server.dumping == 1)
    return process
