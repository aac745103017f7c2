"""The commands as people run them: pair, run, stop, status, unpair."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent.plane import CODE, DAY, Plane
from tests.unit.agent.serving import refusal, until

ROOT = Path(__file__).parents[3]
AGENT = [sys.executable, "-c", "from agent.cli import agent; agent()"]


def call(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    command = [*AGENT, *arguments, "--state-dir", str(state)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def state(tmp_path: Path, plane: Plane) -> Path:
    done = call("pair", "--server", plane.url, "--code", CODE, "--key-store", "file", "--json", state=tmp_path / "s")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agent_id"] == "a1"
    return tmp_path / "s"


@pytest.fixture
def process(state: Path, plane: Plane) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [*AGENT, "run", "--state-dir", str(state)], cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    yield started
    if started.poll() is None:
        started.kill()
        started.communicate()


def test_pairing_sends_a_public_key_and_keeps_the_private_one_to_itself(plane: Plane, state: Path) -> None:
    sent = plane.registered
    assert sent["public_key"] and sent["version"] and "proxmox.start" in sent["capabilities"]
    private = (state / "keys/private-key").read_text().strip()
    assert private not in json.dumps(sent) and private not in (state / "agent.json").read_text()
    assert plane.tokens[0] not in (state / "agent.json").read_text()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [state, *state.rglob("*")]}
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes


def test_a_lost_answer_to_a_pairing_is_asked_for_again_with_the_same_key(plane: Plane, tmp_path: Path) -> None:
    plane.refuses["/agents/register"] = refusal(503, "SERVICE_UNAVAILABLE")
    started = subprocess.Popen(
        [*AGENT, "pair", "--server", plane.url, "--code", CODE, "--key-store", "file", "--state-dir", str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: plane.calls)
    del plane.refuses["/agents/register"]
    assert started.wait(20) == 0
    started.communicate()
    keys = {asked.headers["idempotency-key"] for asked in plane.calls}
    assert len(plane.calls) >= 2 and len(keys) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["pair", "--server", "SERVER", "--code", "WRONG"], "PAIRING_NOT_FOUND"),
        (["pair", "--server", "ftp://x", "--code", "C"], "INVALID_URL"),
        (["run"], "NOT_PAIRED"),
        (["status"], "NOT_PAIRED"),
    ],
)
def test_failures_are_one_line_with_a_code(plane: Plane, tmp_path: Path, arguments: list[str], code: str) -> None:
    done = call(*[plane.url if word == "SERVER" else word for word in arguments], state=tmp_path / "s")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"{code}: ") and "Traceback" not in done.stderr


def test_a_second_pairing_needs_to_be_asked_for(plane: Plane, state: Path) -> None:
    done = call("pair", "--server", plane.url, "--code", CODE, state=state)
    assert done.returncode == 1 and done.stderr.startswith("ALREADY_PAIRED: ")


def test_sigterm_ends_the_agent_within_two_seconds_and_it_ran_its_command(
    plane: Plane, process: subprocess.Popen[str], state: Path
) -> None:
    plane.send("c1", "unknown.action")
    assert "UNKNOWN_COMMAND" in until(lambda: plane.outcome("c1"))["error_message"]
    assert json.loads(call("status", "--json", state=state).stdout)["running"] is True
    second = call("run", state=state)
    assert second.returncode == 1 and "ALREADY_RUNNING: " in second.stderr
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert time.monotonic() - begun < 2
    lines = [json.loads(line) for line in process.communicate()[1].splitlines()]
    assert {"ts", "level", "logger", "message"} <= set(lines[0]) and lines[-1]["message"] == "The agent stops"
    assert plane.tokens[0] not in json.dumps(lines)


def test_a_revoked_agent_ends_with_three(plane: Plane, state: Path) -> None:
    plane.upgrade = refusal(409, "AGENT_REVOKED")
    done = call("run", state=state)
    assert done.returncode == 3 and done.stderr.splitlines()[-1].startswith("AGENT_REVOKED: ")


def test_status_shows_what_may_be_shown(plane: Plane, state: Path) -> None:
    done = call("status", "--json", state=state)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["agent_id"] == "a1" and found["key_id"].startswith("x25519:") and found["running"] is False
    assert plane.tokens[0] not in done.stdout and (state / "keys/private-key").read_text().strip() not in done.stdout


def test_unpair_leaves_no_secret(state: Path) -> None:
    assert call("unpair", "--yes", state=state).returncode == 0
    assert [path.name for path in state.rglob("*") if path.is_file() and path.name != "running.lock"] == []
    assert call("status", state=state).returncode == 1


def test_a_token_is_renewed_before_it_expires_and_the_new_one_is_used(plane: Plane, paired: Path) -> None:
    from agent.control_plane import ControlPlane
    from agent.identity import Credentials, load
    from agent.pace import Pace, ServerClock
    from agent.tokens import TokenKeeper

    credentials, clock = Credentials(paired, load(paired)), ServerClock(Pace())
    keeper = TokenKeeper(ControlPlane(plane.url, token=credentials.token, clock=clock), credentials, clock)
    assert not keeper.renew_if_due(), "nothing is known of the server's time yet"
    clock.heard(plane.now() + 19 * DAY)
    assert not keeper.renew_if_due()
    clock.heard(plane.now() + 21 * DAY)
    assert keeper.renew_if_due() and credentials.token().reveal() == "agent-token-1"
    assert Credentials(paired, load(paired)).token().reveal() == "agent-token-1", "kept, not only held"
    assert not keeper.renew_if_due()
