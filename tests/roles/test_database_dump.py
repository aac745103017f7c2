"""Dumps of a database: when two say the same, which are believed, which go, and what is refused."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.running import run_module

VOLATILE = ["public.procrastinate_workers"]


@pytest.fixture(scope="module")
def stream(plugin):
    plugin("modules", "database_dump")
    return plugin("module_utils", "dump_stream")


@pytest.fixture(scope="module")
def files(plugin):
    return plugin("module_utils", "dump_files")


def text(*, rows: str = "1\tann\n", heartbeat: str = "04:30", worker: int = 1, tail: str = "") -> str:
    """A plain dump, as pg_dump writes one."""
    token = secrets.token_hex(31)
    return (
        f"--\n-- PostgreSQL database dump\n--\n\n\\restrict {token}\n\n-- Dumped from database version 17.6\n\n"
        "SET client_encoding = 'UTF8';\n\n"
        "COPY public.people (id, name) FROM stdin;\n"
        f"{rows}\\.\n\n\n"
        "COPY public.procrastinate_workers (id, last_heartbeat) FROM stdin;\n"
        f"{worker}\t2026-11-21 {heartbeat}:00+00\n\\.\n\n\n"
        "SELECT pg_catalog.setval('public.people_id_seq', 1, true);\n"
        f"SELECT pg_catalog.setval('public.procrastinate_workers_id_seq', {worker}, true);\n"
        f"{tail}"
        f"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict {token}\n\n"
    )


@pytest.fixture
def digest(stream):
    def of(dump: str, size: int = 1 << 20) -> str:
        content, raw = stream.ContentDigest(VOLATILE), dump.encode()
        for begin in range(0, len(raw), size):
            content.feed(raw[begin : begin + size])
        return content.hexdigest()

    return of


@pytest.mark.parametrize("other", [{}, {"heartbeat": "04:31"}, {"worker": 2}])
def test_tokens_and_heartbeats_are_no_change(digest, other):
    assert digest(text(**other)) == digest(text())


@pytest.mark.parametrize(
    "other",
    [
        {"rows": "1\tbob\n"},
        {"rows": ""},
        {"rows": "1\tann\n\\\\restrict me\n"},
        # Data that looks like the beginning of a volatile table hides nothing.
        {"rows": "1\tann\nCOPY public.procrastinate_workers (id) FROM stdin;\n"},
        {"tail": "\\restrict me\n"},
        {"tail": "\\unrestrict me\n"},
        {"tail": "SELECT pg_catalog.setval('public.orders_id_seq', 2, true);\n"},
    ],
)
def test_everything_else_is_a_change(digest, other):
    assert digest(text(**other)) != digest(text())


@given(size=st.integers(1, 400))
def test_the_digest_does_not_hang_on_how_the_bytes_came(size):
    from tests.rendering import load

    load("modules", "database_dump")
    stream = load("module_utils", "dump_stream")
    raw = text().encode()
    whole, pieces = stream.ContentDigest(VOLATILE), stream.ContentDigest(VOLATILE)
    whole.feed(raw)
    for begin in range(0, len(raw), size):
        pieces.feed(raw[begin : begin + size])
    assert pieces.hexdigest() == whole.hexdigest()


@pytest.fixture
def lay(files, tmp_path):
    """Lays a sealed dump into a folder."""

    def make(database: str, at: str, content: bytes = b"x") -> object:
        name = f"{database}-{at}-test.sql.gz"
        sha = hashlib.sha256(content).hexdigest()
        seal = files.Seal(name, database, at, "test", len(content), sha, "c", 0.1, "0002", "17.6")
        (tmp_path / name).write_bytes(content)
        files.seal(tmp_path, seal)
        return seal

    return make


def test_only_what_is_sealed_and_whole_is_believed(files, lay, tmp_path):
    first, second = lay("moorage", "2026-11-21T01"), lay("moorage", "2026-11-21T02")
    lay("other", "2026-11-21T03")
    (tmp_path / "moorage-2026-11-21T04-test.sql.gz").write_bytes(b"no manifest")
    (tmp_path / lay("moorage", "2026-11-21T05").file).write_bytes(b"cut")
    (tmp_path / lay("moorage", "2026-11-21T06").file).unlink()
    (tmp_path / "moorage-2026-11-21T07-test.json").write_text(json.dumps({"file": "x"}))
    (tmp_path / "notes.json").write_text("{")
    (tmp_path / "copy.json").write_text(json.dumps(asdict(first)))
    assert files.sealed(tmp_path, "moorage") == [first, second]
    assert files.intact(tmp_path, first)
    (tmp_path / first.file).write_bytes(b"y")
    assert not files.intact(tmp_path, first), "the same size, other bytes"


def test_a_file_gets_its_name_when_it_is_whole_and_is_gone_when_it_is_not(files, tmp_path):
    with files.new_file(tmp_path, "good") as file:
        file.write(b"whole")
        assert [path.name for path in tmp_path.iterdir()] == ["good.partial"]
    assert (tmp_path / "good").read_bytes() == b"whole" and (tmp_path / "good").stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="full"), files.new_file(tmp_path, "bad") as file:
        file.write(b"half")
        raise OSError("full")
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


@pytest.mark.parametrize(
    ("count", "keep", "coming", "gone"),
    [(5, 5, False, 0), (6, 5, False, 1), (5, 5, True, 1), (9, 1, False, 8), (0, 5, True, 0)],
)
def test_the_oldest_go(files, lay, count, keep, coming, gone):
    seals = [lay("moorage", f"2026-11-21T{n:02}") for n in range(count)]
    assert files.surplus(seals, keep, coming) == seals[:gone]


@pytest.mark.parametrize(
    ("size", "free", "refused"), [(8 << 20, 1 << 30, False), (900 << 20, 1 << 30, True), (1, 0, True)]
)
def test_a_disk_that_it_might_fill_is_refused(files, size, free, refused):
    assert ("Free some" in files.shortage("moorage", size, free)) == refused


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"databases": ["dbname=x host=y"]}, "no name of a database"),
        ({"databases": ["../x"]}, "no name of a database"),
        ({"why": "a/b"}, "why is 'a/b'"),
        ({"why": ""}, "why is ''"),
        ({"keep": 0}, "no dump would stay"),
    ],
)
def test_arguments_that_could_do_harm_are_refused(tmp_path, args, said):
    given = {"databases": ["moorage"], "why": "test", "folder": str(tmp_path / "backups"), **args}
    result = run_module("database_dump", **given).result
    assert result["failed"] and said in result["msg"] and "Nothing was dumped" in result["msg"]
    assert not (tmp_path / "backups").exists()
