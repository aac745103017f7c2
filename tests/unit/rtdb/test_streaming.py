"""Server-sent events, the export file, and the program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.rtdb.database import Database
from tests.rtdb.server import Server

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Database(), keep_alive=0.3).running() as made:
        yield made


class Stream:
    """The events at a place, one by one."""

    def __init__(self, url: str) -> None:
        self._answer = requests.get(url, headers={"Accept": "text/event-stream"}, stream=True, timeout=10)
        assert self._answer.headers["Content-Type"].startswith("text/event-stream")
        self._lines = self._answer.iter_lines(chunk_size=1)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()

    def next(self) -> tuple[str, Any]:
        event = next(self._lines).decode().removeprefix("event: ")
        data = json.loads(next(self._lines).decode().removeprefix("data: "))
        assert next(self._lines) == b""
        return event, data

    def next_change(self) -> tuple[str, Any]:
        while (found := self.next())[0] == "keep-alive":
            pass
        return found


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


def put(server: Server, path: str, value: Any) -> None:
    requests.put(f"{server.url}/{path}.json", json=value, timeout=10).raise_for_status()


def test_who_listens_is_told_what_is_there_and_of_every_change(server: Server) -> None:
    put(server, "a", {"b": 1})
    with Stream(f"{server.url}/a.json") as stream:
        assert stream.next() == ("put", {"path": "/", "data": {"b": 1}})
        put(server, "a/c/d", [])
        put(server, "a/c/d", [7])
        assert stream.next_change() == ("put", {"path": "/c/d", "data": None})
        assert stream.next_change() == ("put", {"path": "/c/d", "data": [7]})
        requests.patch(f"{server.url}/a/c.json", json={"d": None, "e/f": 2}, timeout=10)
        assert stream.next_change() == ("patch", {"path": "/c", "data": {"d": None, "e/f": 2}})
        put(server, "elsewhere", 1)
        put(server, "", {"a": {"b": 9}})
        assert stream.next_change() == ("put", {"path": "/", "data": {"b": 9}})


def test_while_nothing_happens_it_is_told_that_the_line_is_alive(server: Server) -> None:
    with Stream(f"{server.url}/nothing.json") as stream:
        assert stream.next() == ("put", {"path": "/", "data": None})
        assert stream.next() == stream.next() == ("keep-alive", None)


def test_of_many_who_write_at_once_with_if_match_none_is_lost(server: Server) -> None:
    put(server, "count", 0)

    def add(_: int) -> None:
        answer = requests.get(f"{server.url}/count.json", headers={"X-Firebase-ETag": "true"}, timeout=10)
        while True:
            given = {"if-match": answer.headers["ETag"]}
            answer = requests.put(f"{server.url}/count.json", json=answer.json() + 1, headers=given, timeout=10)
            if answer.status_code == 200:
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert server.database.get(("count",)) == 40


def test_an_export_is_read_and_every_change_is_kept(tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    export.write_text(json.dumps({"a": {"0": "x", "1": "y"}, "b": {}}))
    database = Database(export)
    database.put(("c", "d"), {"e": None, "f": 1})
    database.save()
    assert json.loads(export.read_text()) == {"a": ["x", "y"], "c": {"d": {"f": 1}}}
    assert Database(export).get(()) == database.get(())


def test_the_program_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    command = [sys.executable, "-m", "tests.rtdb", "--port", "0", "--file", str(export)]
    environment = {**os.environ, "RTDB_SECRET": "s3cret"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            url = program.stdout.readline().strip()
            assert requests.put(f"{url}/a.json", json=1, timeout=10).status_code == 401
            assert requests.put(f"{url}/a.json?auth=s3cret", json=1, timeout=10).json() == 1
            wait_until(lambda: export.exists() and json.loads(export.read_text()) == {"a": 1})
            assert requests.put(f"{url}/a.json?auth=s3cret", json=2, timeout=10).json() == 2
        finally:
            program.terminate()
        assert program.wait(10) == 0
    assert json.loads(export.read_text()) == {"a": 2}
