"""Legacy direct calls: not there unless enabled; then each is a command that is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.api.fleet import Fleeted, enlist
from tests.api.people import Town, data, refusal
from webapp import create_app
from webapp.commands import infra
from webapp.settings import Settings

LINES = ("GET /api/v1/infra/proxmox/status", "POST /api/v1/infra/proxmox/start", "POST /api/v1/infra/ssh/exec")


@pytest.fixture
def legacy(town: Town, environment: dict[str, str]) -> Iterator[tuple[Town, Fleeted]]:
    """The tenant in an application that has legacy calls enabled, and its agent."""
    agent = enlist(town)
    changes = {"INFRA_LEGACY_ENABLED": "true", "INFRA_LEGACY_AGENT_ID": agent.id}
    app = create_app(Settings.parse(environment | changes))
    yield Town(app, town.tenant), agent
    app.extensions["moorage"].database.engine.dispose()


def serve(agent: Fleeted, seen: list[Any], status: str = "succeeded", **said: Any) -> threading.Thread:
    def work() -> None:
        command = agent.next(10_000)
        seen.append((command["command_type"], command["payload"]))
        agent.told(command["id"], status, **said)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("line", LINES)
def test_disabled_it_is_not_there_for_anyone(town: Town, app: Flask, line: str) -> None:
    assert refusal(town.admin.call(line)) == (404, "NOT_FOUND")
    _, path = line.split()
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert app.test_client().open(path, method=method).status_code == 404


@pytest.mark.parametrize(
    ("line", "kind", "params"),
    [
        ("GET /api/v1/infra/proxmox/status?vmid=100", "proxmox.status", {"vmid": "100"}),
        ("POST /api/v1/infra/proxmox/start", "proxmox.start", {"vmid": 100}),
        ("POST /api/v1/infra/ssh/exec", "ssh.exec", {"command": "uptime"}),
    ],
)
def test_a_call_is_a_command_and_its_answer_the_result(
    legacy: tuple[Town, Fleeted], line: str, kind: str, params: dict[str, Any]
) -> None:
    town, agent = legacy
    seen: list[Any] = []
    thread = serve(agent, seen, result={"up": True})
    answer = town.infra.call(line, {"params": params} if line.startswith("POST") else None)
    thread.join()
    assert data(answer) == {"up": True} and seen == [(kind, params)]


def test_an_idempotency_key_stands_for_one_command(legacy: tuple[Town, Fleeted]) -> None:
    town, agent = legacy
    seen: list[Any] = []
    thread = serve(agent, seen, result={"task": "UPID:1"})
    path, key = "/api/v1/infra/proxmox/clone", {"Idempotency-Key": "clone-it-once"}
    first = town.infra.post(path, {"params": {"vmid": 1}}, headers=key)
    again = town.infra.post(path, {"params": {"vmid": 1}}, headers=key)
    thread.join()
    assert data(first) == data(again) == {"task": "UPID:1"} and len(seen) == 1
    assert "Idempotency-Replayed" not in first.headers and again.headers["Idempotency-Replayed"] == "true"
    other = town.infra.post(path, {"params": {"vmid": 2}}, headers=key)
    assert refusal(other) == (409, "IDEMPOTENCY_KEY_REUSED")


def test_a_failure_is_said(legacy: tuple[Town, Fleeted]) -> None:
    town, agent = legacy
    thread = serve(agent, [], "failed", error_message="no such VM")
    answer = town.admin.post("/api/v1/infra/proxmox/start", {"params": {"vmid": 1}})
    thread.join()
    assert refusal(answer) == (502, "AGENT_COMMAND_FAILED") and "no such VM" in answer.json["error"]["message"]


def test_an_agent_that_does_not_answer(legacy: tuple[Town, Fleeted], monkeypatch: pytest.MonkeyPatch) -> None:
    town, _ = legacy
    monkeypatch.setattr(infra, "WAIT_SECONDS", 1)
    answer = town.admin.post("/api/v1/infra/proxmox/start", {})
    assert refusal(answer) == (504, "AGENT_TIMEOUT") and answer.json["error"]["details"]["command_id"]


def test_what_is_refused(legacy: tuple[Town, Fleeted], elsewhere: Town) -> None:
    town, _ = legacy
    for line in LINES:
        for role in ("member", "viewer"):
            assert refusal(town.person(role).call(line, {} if line.startswith("POST") else None)) == (403, "FORBIDDEN")
    assert refusal(town.admin.get("/api/v1/infra/proxmox/start")) == (400, "VM_OPS_INVALID_ACTION")
    assert refusal(town.admin.post("/api/v1/infra/ssh/reboot", {})) == (400, "VM_OPS_INVALID_ACTION")
    secret = {"params": {"password": "canary"}}
    assert refusal(town.admin.post("/api/v1/infra/ssh/exec", secret)) == (400, "PLAINTEXT_SECRET_REFUSED")
    assert refusal(town.admin.get("/api/v1/infra/proxmox/status?token=x")) == (400, "PLAINTEXT_SECRET_REFUSED")
    others = Town(town.app, elsewhere.tenant)
    assert refusal(others.admin.post("/api/v1/infra/proxmox/start", {})) == (404, "AGENT_NOT_FOUND")
