"""How psycopg2 waits: with an end, and per thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest

from webapp import waiting


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def connect(port: int) -> float:
    began = time.monotonic()
    with pytest.raises(waiting.ServerSilent, match="did not answer within"):
        psycopg2.connect(host="127.0.0.1", port=port, user="u", dbname="d", sslmode="disable")
    return time.monotonic() - began


def test_a_server_that_says_nothing_is_given_up(silent: int) -> None:
    waiting.install()
    with waiting.at_most(0.3):
        assert 0.25 < connect(silent) < 1


def test_a_limit_holds_for_its_own_thread_alone(silent: int) -> None:
    waiting.install()
    took: list[float] = []

    def patient() -> None:
        with waiting.at_most(0.8):
            took.append(connect(silent))

    thread = threading.Thread(target=patient)
    with waiting.at_most(0.2):
        thread.start()
        assert connect(silent) < 0.6
    thread.join()
    assert took[0] >= 0.75
