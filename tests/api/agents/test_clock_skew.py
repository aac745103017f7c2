"""Agents and runners whose machine's clock is ten minutes wrong decide nothing otherwise: the server's clock counts."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.artifacts.conftest import released
from tests.api.machines import Caller, Machine, on_line, until
from tests.api.people import Town, data, its
from tests.api.processes import await_ready, launch
from tests.api.relay import Relay
from tests.api.serving.conftest import Served, kill
from tests.unit.agent.proxmox import TOKEN, Pve
from webapp.settings import Settings

CLOCKS = [-600, 600]
# The shortest that a server may be told; a runner beats at each third of it.
LEASE_SECONDS = 60
CONFIG = '[proxmox]\nurl = "{}"\ntoken_id = "{}"\ntoken_secret = "{}"\n'


@pytest.fixture
def relay(settings: Settings) -> Iterator[Relay]:
    """Before the object store's public address."""
    host, _, port = settings.s3_endpoint.netloc.partition(":")
    with Relay(host, int(port)) as made:
        yield made


@pytest.fixture
def served(environment: dict[str, str], settings: Settings, relay: Relay, tmp_path: Path) -> Iterator[Served]:
    changes = {"S3_PUBLIC_ENDPOINT": f"http://127.0.0.1:{relay.port}", "LICENSE_LEASE_TTL_SECONDS": str(LEASE_SECONDS)}
    started = launch("sockets", environment, tmp_path / "sockets", **changes)
    yield await_ready(started, "sockets")
    kill(started.popen)


@pytest.fixture
def pve() -> Iterator[Pve]:
    made = Pve()
    yield made
    made.server.close()


def machine_with(clock: int, folder: Path, port: int) -> Machine:
    variables = {"PYTHONPATH": str(Path(__file__).parent / "wrong_clock"), "WRONG_BY_SECONDS": str(clock)}
    return Machine(folder, f"http://127.0.0.1:{port}", variables)


def is_wrong(machine: Machine, clock: int, log: str = "log") -> None:
    """What the process itself took for the time when it began."""
    first = machine.said(log).splitlines()[0]
    assert first.startswith(f"this clock is wrong by {clock:+} s: ")
    assert abs(datetime.fromisoformat(first.rsplit(" ", 1)[1]).timestamp() - time.time() - clock) < 120


@pytest.mark.parametrize("clock", CLOCKS)
def test_an_agent_runs_what_is_in_time_and_not_what_is_late_whatever_its_clock_says(
    served: Served, town: Town, pve: Pve, tmp_path: Path, clock: int
) -> None:
    caller = Caller(served.port, town.admin.token)
    with Relay("127.0.0.1", served.port) as between:
        machine = machine_with(clock, tmp_path / "machine", between.port)
        agent_id = machine.pair(caller.made("POST /api/v1/agents/pairings", {}, 201)["pairing_code"])
        is_wrong(machine, clock, "pair")
        name, _, secret = TOKEN.partition("=")
        order = {"agent_id": agent_id, "command_type": "proxmox.start", "expires_in_seconds": 10}

        def ordered(vmid: int, kind: str) -> Any:
            payload = {"vmid": vmid, "node": "pve1" if kind == "qemu" else "pve2", "kind": kind}
            return caller.made("POST /api/v1/vm-ops/commands", {**order, "payload": payload}, 202)

        def now(command: Any) -> Any:
            return caller.made(f"GET /api/v1/vm-ops/commands/{command['id']}")

        with machine.at_work(CONFIG.format(pve.server.url, name, secret)):
            on_line(caller, agent_id)
            in_time = ordered(100, "qemu")
            until(lambda: now(in_time)["status"] == "succeeded")
            time.sleep(0.5)  # it has asked for the next one
            between.hang()
            late = ordered(101, "lxc")
            until(lambda: now(late)["status"] == "dispatched")
            time.sleep(10.5)
            between.resume()
            until(lambda: now(late)["status"] == "expired")
        is_wrong(machine, clock)
    started = [path for method, path, _ in pve.calls if method == "POST"]
    assert started == ["/nodes/pve1/qemu/100/status/start"]


def test_runners_fetch_and_keep_their_leases_alive_in_time_whatever_their_clocks_say(
    served: Served, town: Town, relay: Relay, tmp_path: Path
) -> None:
    body = secrets.token_bytes(300_000)
    release = released(town, body)
    data(town.infra.post("/api/v1/artifacts/assign", {"module": "app", "platform": "linux",
                                                      "release_id": release["id"]}), 201)  # fmt: skip
    data(town.admin.post("/api/v1/licenses", {"type": "perpetual"}), 201)
    data(town.admin.post("/api/v1/entitlements", {"user_id": "member-1", "module": "app"}), 201)
    relay.hang()  # the download lasts until it is let go
    runners = {}
    for clock in CLOCKS:
        machine = machine_with(clock, tmp_path / f"runner{clock}", served.port)
        machine.variables = {**machine.variables, "MOORAGE_TOKEN": town.member.token}
        runners[clock] = machine, machine.start(
            "runner", "fetch", "--server", machine.server, "--vm-uuid", f"vm-clock-{clock + 1000}", "--module", "app",
            "--platform", "linux", "--output", str(machine.folder / "app.bin"), "--json",
        )  # fmt: skip
    until(lambda: len(beats(town)) == len(CLOCKS))
    began = time.monotonic()
    time.sleep(LEASE_SECONDS / 3 - 8)
    assert not any(beats(town)), "by a clock that is ahead, each lease would seem to be over"
    until(lambda: all(beats(town)), LEASE_SECONDS / 3)
    assert time.monotonic() - began < LEASE_SECONDS / 2, "by a clock that is behind, none would end for long"
    relay.resume()
    for clock, (machine, process) in runners.items():
        assert process.wait(60) == 0, machine.said()
        is_wrong(machine, clock)
        assert json.loads(machine.said().splitlines()[-1])["sha256"] == hashlib.sha256(body).hexdigest()
        assert (machine.folder / "app.bin").read_bytes() == body
    verified = [row for row in data(town.infra.get("/api/v1/artifacts/audit")) if row["event"] == "download_reported"]
    assert [row["outcome"] for row in verified] == ["verified"] * len(CLOCKS)


def beats(town: Town) -> list[bool]:
    """Of each lease, whether its runner has beaten."""
    with its(town.app).database.transaction(town.tenant) as session:
        rows = session.execute(text("SELECT last_heartbeat_at IS NOT NULL FROM licensing_leases"))
        return [bool(beaten) for (beaten,) in rows]
