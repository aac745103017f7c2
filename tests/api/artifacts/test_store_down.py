"""The object store is away, or answers nonsense: 503 and 502, one row each that says so, and never a URL."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask

from tests.api.artifacts.conftest import Depot
from tests.api.people import data, its, refusal
from tests.api.relay import Relay
from webapp import create_app
from webapp.settings import Settings

Through = Callable[[dict[str, str]], Depot]


@pytest.fixture
def through(depot: Depot) -> Iterator[Through]:
    """The same tenant, asked in an application with other variables."""
    made: list[Flask] = []

    def start(variables: dict[str, str]) -> Depot:
        app = create_app(Settings.parse(variables))
        made.append(app)
        person = replace(depot.town.member, client=app.test_client())
        town = replace(depot.town, app=app, people={**depot.town.people, "member-1": person})
        return replace(depot, town=town)

    yield start
    for app in made:
        its(app).database.engine.dispose()


class Nonsense:
    """Answers whoever connects with these bytes, whatever was asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer, self._listener = answer, socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                self.asked += 1
                client.sendall(self._answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def error_row(depot: Depot, code: str) -> None:
    """The one row that there is."""
    [row] = depot.attempts()
    assert (row["event"], row["result"], row["reason"]) == ("resolve_error", "error", code)
    assert (row["user_id"], row["lease_id"]) == ("member-1", depot.lease["lease_id"])
    assert row["release_id"] == depot.release["id"] and "url_expires_at" not in row


@pytest.mark.parametrize("fault", ["stop", "hang"])
def test_a_store_that_is_away_is_503_and_one_row(
    through: Through, relayed: dict[str, str], relays: tuple[Relay, Relay], fault: str
) -> None:
    depot = through(relayed)
    getattr(relays[1], fault)()
    answer = depot.resolve()
    assert refusal(answer) == (503, "STORAGE_UNAVAILABLE") and "http" not in answer.text
    error_row(depot, "STORAGE_UNAVAILABLE")


def test_it_is_well_again_by_itself(
    through: Through, relayed: dict[str, str], relays: tuple[Relay, Relay]
) -> None:
    depot = through(relayed)
    relays[1].stop()
    assert refusal(depot.resolve())[0] == 503
    relays[1].start()
    assert data(depot.resolve())["release_id"] == depot.release["id"]
    assert [row["event"] for row in depot.attempts()] == ["resolve_success", "resolve_error"]


def test_what_was_seen_a_moment_ago_is_enough_for_a_url(
    through: Through, relayed: dict[str, str], relays: tuple[Relay, Relay]
) -> None:
    depot = through(relayed)
    data(depot.resolve())
    relays[1].stop()
    assert data(depot.resolve())["release_id"] == depot.release["id"]
    depot.forget()
    assert refusal(depot.resolve()) == (503, "STORAGE_UNAVAILABLE")


NONSENSE = {
    "no HTTP": b"220 mail.example.org ESMTP\r\n",
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n",
    "an empty page": b"HTTP/1.1 200 OK\r\n\r\n",
    "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "a size that is none": b'HTTP/1.1 200 OK\r\nETag: "a"\r\nLast-Modified: yesterday\r\nContent-Length: 1000\r\n\r\n',
    "elsewhere, for now": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/login\r\nContent-Length: 0\r\n\r\n",
    "elsewhere, for ever": b"HTTP/1.1 301 Moved Permanently\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
    "elsewhere, the same": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_store_that_answers_nonsense_is_502_and_one_row(
    through: Through, environment: dict[str, str], what: str
) -> None:
    elsewhere = Nonsense(b"HTTP/1.1 200 OK\r\n\r\n")
    server = Nonsense(NONSENSE[what].replace(b"{port}", str(elsewhere.port).encode()))
    depot = through(environment | {"S3_ENDPOINT": f"http://127.0.0.1:{server.port}"})
    try:
        answer = depot.resolve()
    finally:
        server.close()
        elsewhere.close()
    assert refusal(answer) == (502, "STORAGE_ERROR") and "download_url" not in answer.text
    error_row(depot, "STORAGE_ERROR")
    assert server.asked >= 1 and elsewhere.asked == 0, "a redirect is not followed: it would show who we are"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_finds_no_store_is_503(through: Through, environment: dict[str, str], status: int) -> None:
    server = Nonsense(f"HTTP/1.1 {status} Away\r\nContent-Length: 0\r\n\r\n".encode())
    depot = through(environment | {"S3_ENDPOINT": f"http://127.0.0.1:{server.port}"})
    try:
        assert refusal(depot.resolve()) == (503, "STORAGE_UNAVAILABLE")
    finally:
        server.close()
    error_row(depot, "STORAGE_UNAVAILABLE")


def test_a_key_that_the_store_does_not_know_is_502_and_its_row(
    through: Through, environment: dict[str, str]
) -> None:
    depot = through(environment | {"S3_SECRET_ACCESS_KEY": "another-key-altogether-0"})
    answer = depot.resolve()
    assert refusal(answer) == (502, "STORAGE_ERROR") and "another-key" not in answer.text
    error_row(depot, "STORAGE_ERROR")


