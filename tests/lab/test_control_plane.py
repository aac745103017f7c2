"""The control plane as customers meet it: behind Caddy, with a real certificate, websockets and an S3 server."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.lab.lab import PUBLIC_NAMES
from tests.lab.network import DOMAIN, write_names
from tests.lab.serving import release
from webapp.settings import CHECKOUT

API = f"https://api.{DOMAIN}"
SECONDS = 60
TEXT = "moored\n" * 100_000
SCOPE = ("--module", "app", "--platform", "linux")


class Customer:
    """Whoever uses the API from outside, with a bearer token."""

    def __init__(self, certificate: Path, token: str) -> None:
        self.context, self.token = ssl.create_default_context(cafile=str(certificate)), token

    def open(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{API}/api/v1{path}", data, headers, method=method)
        return urllib.request.urlopen(request, timeout=30, context=self.context)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        with self.open(method, path, body) as answer:
            return json.loads(answer.read())["data"]

    def until(self, path: str, *statuses: str) -> Any:
        """The record, once its status is one of these."""
        end = time.monotonic() + SECONDS
        while (seen := self.call("GET", path))["status"] not in statuses:
            assert time.monotonic() < end, seen
            time.sleep(0.3)
        return seen


@pytest.fixture(scope="module")
def certificate(lab: Lab, site: Host) -> Iterator[Path]:
    """The lab's authority; while the tests run, the product's names are this host's."""
    write_names(lab.plan.lab, site.address, list(PUBLIC_NAMES))
    yield lab.folder / "ca.pem"
    write_names(lab.plan.lab)


def moorage(site: Host, *words: str) -> str:
    """The command line where an operator has it: in the container that serves."""
    slot = release(site)["units"]["controlplane"]["active"]
    return site.exec("docker", "exec", f"moorage-api-{slot}", "moorage", *words).strip()


@pytest.fixture(scope="module")
def tenant(site: Host, certificate: Path) -> str:
    return moorage(site, "tenant", "create", "Acme")


@pytest.fixture(scope="module")
def admin(site: Host, certificate: Path, tenant: str) -> Customer:
    token = moorage(site, "token", "issue", "--tenant", tenant, "--user", "ada", "--role", "admin")
    return Customer(certificate, token)


def ours(program: str, *words: object) -> list[str]:
    """moorage-agent or moorage-runner of this checkout."""
    name = program.removeprefix("moorage-")
    return [sys.executable, "-c", f"from agent.cli import {name}; {name}()", *map(str, words)]


@pytest.fixture(scope="module")
def published(site: Host, tenant: str) -> int:
    """The id of a release of TEXT."""
    slot = release(site)["units"]["controlplane"]["active"]
    site.exec("docker", "exec", "-i", f"moorage-api-{slot}", "sh", "-c", "cat > /tmp/app.txt", given=TEXT)
    return int(moorage(site, "artifact", "publish", "/tmp/app.txt", "--tenant", tenant, *SCOPE, "--version", "1.0.0"))


def test_an_artifact_is_published_on_the_host_and_fetched_from_outside(
    site: Host, admin: Customer, certificate: Path, tenant: str, published: int, tmp_path: Path
) -> None:
    admin.call("POST", "/artifacts/assign", {"module": "app", "platform": "linux", "release_id": published})
    moorage(site, "license", "grant", "--tenant", tenant, "--type", "perpetual")
    moorage(site, "entitlement", "set", "--tenant", tenant, "--user", "ada", "--module", "*")
    target = tmp_path / "app.txt"
    fetch = ours("moorage-runner", "fetch", "--server", API, "--token", admin.token, "--vm-uuid", "lab-machine-1",
                 *SCOPE, "--output", target, "--ca-file", certificate, "--max-seconds", "60")  # fmt: skip
    done = subprocess.run(fetch, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert target.read_text() == TEXT
    events = [event["event"] for event in admin.call("GET", "/artifacts/audit")]
    assert events == ["download_reported", "resolve_success"]
    # The worker of the stack seals; nobody asks it to.
    end = time.monotonic() + SECONDS
    while not all(event.get("seq") for event in admin.call("GET", "/artifacts/audit")):
        assert time.monotonic() < end
        time.sleep(1)
    assert moorage(site, "audit", "verify", "--tenant", tenant).startswith("ok ")


def test_everything_that_must_stop_a_download_does(
    site: Host, admin: Customer, certificate: Path, published: int, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    tenant = moorage(site, "tenant", "create", "Another")
    other.write_text(moorage(site, "token", "issue", "--tenant", tenant, "--user", "eve", "--role", "admin"))
    command = [sys.executable, "-m", "webapp", "smoke", "artifacts", "--server", API, "--release", str(published),
               "--ca-file", str(certificate), "--token-file", "-", "--other-token-file", str(other),
               "--max-wait", "0", "--json"]  # fmt: skip
    done = subprocess.run(command, cwd=CHECKOUT, input=admin.token, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = [item["outcome"] for item in json.loads(done.stdout)]
    assert outcomes.count("ok") >= 30 and "FAILED" not in outcomes


@pytest.fixture
def agent(admin: Customer, certificate: Path, tmp_path: Path) -> Iterator[str]:
    """An agent that runs on this machine and talks to the host; its id."""
    state = tmp_path / "agent"
    code = admin.call("POST", "/agents/pairings", {"name": "lab"})["pairing_code"]
    pair = ours("moorage-agent", "pair", "--server", API, "--code", code, "--key-store", "file", "--state-dir", state,
                "--ca-file", certificate, "--json")  # fmt: skip
    made = json.loads(subprocess.run(pair, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout)
    with (tmp_path / "agent.log").open("w") as log:
        running = subprocess.Popen(ours("moorage-agent", "run", "--state-dir", state), cwd=CHECKOUT, stderr=log)
    admin.until(f"/agents/{made['agent_id']}", "active")
    yield made["agent_id"]
    running.terminate()
    running.wait(10)


def run(admin: Customer, agent: str) -> Any:
    body = {"agent_id": agent, "command_type": "agent.status", "offline": "queue_until_expiry"}
    made = admin.call("POST", "/vm-ops/commands", body)
    return admin.until(f"/vm-ops/commands/{made['id']}", "succeeded", "failed", "expired")


def test_commands_go_over_a_websocket_through_caddy_and_through_a_restart(
    site: Host, admin: Customer, agent: str
) -> None:
    assert run(admin, agent)["status"] == "succeeded"
    slot = release(site)["units"]["controlplane"]["active"]
    logged = site.exec("docker", "logs", f"moorage-sockets-{slot}")
    assert "Traceback" not in logged
    site.exec("docker", "restart", f"moorage-sockets-{slot}")
    assert run(admin, agent)["status"] == "succeeded"


def test_events_stream_through_caddy(admin: Customer, agent: str) -> None:
    with admin.open("GET", "/vm-ops/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        command = run(admin, agent)
        end = time.monotonic() + SECONDS
        for line in stream:
            if line.startswith(b"data:") and command["id"].encode() in line:
                break
            assert time.monotonic() < end
        else:
            raise AssertionError("the stream ended")
