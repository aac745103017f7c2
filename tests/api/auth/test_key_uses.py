"""Uses of API keys: counted exactly, written in batches, and an event only where a key turns up somewhere new."""

from __future__ import annotations

import os
import signal
import threading
import urllib.request
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tests.api.people import Person, Town, data, its, refusal
from tests.api.processes import await_ready, launch
from tests.api.relay import Relay
from tests.api.serving.conftest import kill
from webapp.auth import key_uses
from webapp.auth.service import KeyUses
from webapp.db import Database
from webapp.settings import Settings

KEYS, VERIFY = "/api/v1/auth/keys", "/api/v1/auth/verify"


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are written when a test says so."""
    monkeypatch.setattr(key_uses, "FLUSH_SECONDS", 3600.0)


@pytest.fixture
def key(town: Town) -> dict[str, Any]:
    given = {"name": "CI", "scopes": ["artifacts:read"]}
    return dict(data(town.admin.post(KEYS, given), 201))


@pytest.fixture
def bearer(town: Town, key: dict[str, Any]) -> Person:
    return Person(town.app.test_client(), key["token"])


def seen(town: Town, key: dict[str, Any]) -> dict[str, Any]:
    return dict(data(town.admin.get(f"{KEYS}/{key['id']}")))


def told(town: Town, key: dict[str, Any]) -> list[str]:
    """The addresses of the events about the key's use, the oldest first."""
    path = f"/api/v1/audit?event=key_used&subject={key['id']}&order=asc"
    return [one["address"] for one in data(town.admin.get(path))]


def used(bearer: Person, *addresses: str) -> None:
    for address in addresses:
        data(bearer.get(VERIFY, environ_base={"REMOTE_ADDR": address}))


def note(counting: KeyUses, town: Town, key: dict[str, Any], address: str = "192.0.2.1") -> None:
    counting.note(town.tenant, UUID(key["id"]), address)


def test_every_request_is_one_use_whatever_its_answer(town: Town, key: dict[str, Any], bearer: Person) -> None:
    data(bearer.get("/api/v1/artifacts/releases"))
    assert refusal(bearer.get("/api/v1/secrets")) == (403, "FORBIDDEN")
    assert refusal(bearer.post("/api/v1/license/heartbeat", {"lease_id": "x"})) == (403, "FORBIDDEN")
    assert refusal(bearer.post("/api/v1/license/heartbeat", {})) == (403, "FORBIDDEN"), "a hot path, and a bad body"
    assert refusal(bearer.get("/api/v1/agents/ws")) == (403, "FORBIDDEN"), "a socket that is not for keys"
    assert refusal(bearer.get("/api/v1/artifacts/releases?limit=0"))[0] == 400
    assert bearer.get("/api/v1/health/live").status_code == 200, "which asks for no token, and is no use"
    dead = Person(bearer.client, key["token"][:-1] + ("A" if key["token"][-1] != "A" else "E"))
    assert refusal(dead.get(VERIFY)) == (401, "TOKEN_INVALID")
    town.admin.get(VERIFY)
    its(town.app).key_uses.flush()
    assert seen(town, key)["uses"] == 6


def test_a_request_waits_for_no_row_of_its_key(town: Town, key: dict[str, Any], bearer: Person) -> None:
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(text("SELECT 1 FROM auth_keys WHERE id = :id FOR UPDATE"), {"id": key["id"]})
        answered = threading.Event()
        threading.Thread(target=lambda: (used(bearer, "192.0.2.1"), answered.set()), daemon=True).start()
        assert answered.wait(10), "it waits for the lock"


def test_the_last_address_and_the_last_use_are_kept(town: Town, key: dict[str, Any], bearer: Person) -> None:
    used(bearer, "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3")
    its(town.app).key_uses.flush()
    first = seen(town, key)
    assert (first["uses"], first["last_address"]) == (4, "192.0.2.3") and first["last_used_at"].endswith("Z")
    used(bearer, "192.0.2.1")
    its(town.app).key_uses.flush()
    then = seen(town, key)
    assert (then["uses"], then["last_address"]) == (5, "192.0.2.1") and then["last_used_at"] > first["last_used_at"]


def test_a_batch_that_comes_late_does_not_move_the_last_use_back(town: Town, key: dict[str, Any]) -> None:
    database, now = its(town.app).database, 1000.0
    late, prompt = KeyUses(database, clock=lambda: now), KeyUses(database, clock=lambda: now)
    note(late, town, key, "192.0.2.1")
    now += 30
    note(prompt, town, key, "192.0.2.2")
    prompt.flush()
    last = seen(town, key)["last_used_at"]
    late.flush()
    now_seen = seen(town, key)
    assert (now_seen["uses"], now_seen["last_address"], now_seen["last_used_at"]) == (2, "192.0.2.2", last)


def test_an_event_is_written_for_a_new_address_and_not_for_each_request(
    town: Town, key: dict[str, Any], bearer: Person
) -> None:
    flush = its(town.app).key_uses.flush
    used(bearer, *["192.0.2.1"] * 5)
    flush()
    used(bearer, *["192.0.2.1"] * 5)
    flush()
    assert told(town, key) == ["192.0.2.1"]
    used(bearer, "192.0.2.2", "192.0.2.1", "192.0.2.2")
    flush()
    used(bearer, "192.0.2.1")
    flush()
    assert told(town, key) == ["192.0.2.1", "192.0.2.2"], "of two machines with one key each is told once"
    [first, _] = data(town.admin.get("/api/v1/audit?event=key_used&order=asc"))
    assert (first["actor"], first["actor_kind"], first["result"]) == (key["id"], "key", "allowed")
    assert first["request_id"]


def test_an_address_is_new_again_after_an_hour_where_another_came_last(town: Town, key: dict[str, Any]) -> None:
    now = 1000.0
    counting = KeyUses(its(town.app).database, clock=lambda: now)

    def used_at(address: str, later: float) -> None:
        nonlocal now
        now += later
        note(counting, town, key, address)
        counting.flush()

    used_at("192.0.2.1", 0)
    used_at("192.0.2.2", 3000)
    used_at("192.0.2.1", 3000)
    assert told(town, key) == ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
    used_at("192.0.2.1", 9000)
    assert told(town, key) == ["192.0.2.1", "192.0.2.2", "192.0.2.1"], "it was its last"


def test_another_process_knows_the_last_address(town: Town, key: dict[str, Any]) -> None:
    for _ in range(2):
        counting = KeyUses(its(town.app).database)
        note(counting, town, key)
        counting.flush()
    assert told(town, key) == ["192.0.2.1"]


def test_many_processes_that_write_the_same_keys_lose_nothing(town: Town, elsewhere: Town) -> None:
    given = {"name": "CI", "scopes": ["ops:read"]}
    keys = [(place, dict(data(place.admin.post(KEYS, given), 201))) for place in (town, elsewhere) for _ in range(3)]
    failed: list[Exception] = []

    def process(turn: int) -> None:
        counting = KeyUses(its(town.app).database)
        try:
            for _ in range(15):
                for place, key in keys if turn % 2 else reversed(keys):
                    note(counting, place, key, f"192.0.2.{turn}")
                counting.flush()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=process, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert [seen(place, key)["uses"] for place, key in keys] == [60] * 6


def test_what_could_not_be_written_waits_and_is_not_lost(
    town: Town, key: dict[str, Any], relays: tuple[Relay, Relay], relayed: dict[str, str]
) -> None:
    counting = KeyUses(Database(Settings.parse(relayed).database_url, pool_size=1))
    note(counting, town, key, "192.0.2.1")
    relays[0].stop()
    with pytest.raises(SQLAlchemyError):
        counting.flush()
    note(counting, town, key, "192.0.2.2")
    relays[0].start()
    counting.flush()
    now = seen(town, key)
    assert (now["uses"], now["last_address"]) == (2, "192.0.2.2")
    assert told(town, key) == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize("process", ["api", "sockets"])
def test_a_process_that_is_stopped_writes_its_last_ones(
    process: str, town: Town, key: dict[str, Any], environment: dict[str, str], tmp_path: Path
) -> None:
    served = launch(process, environment, tmp_path)
    try:
        await_ready(served, process)
        for _ in range(3):
            asked = urllib.request.Request(
                f"http://127.0.0.1:{served.port}{VERIFY}", headers={"Authorization": f"Bearer {key['token']}"}
            )
            with urllib.request.urlopen(asked, timeout=20) as answer:
                assert answer.status == 200
        os.kill(served.popen.pid, signal.SIGTERM)
        served.popen.wait(30)
    finally:
        kill(served.popen)
    assert seen(town, key)["uses"] == 3, served.output.read_text()
