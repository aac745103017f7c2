"""`moorage up` as a person runs it, in a checkout of its own: it starts, serves, stops, and recovers from a crash."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from pathlib import Path

from tests.api.local.conftest import Up, moorage, processes, wait_until_ready
from webapp.local.ports import free_port


def test_it_comes_up_serves_and_stops(checkout: Path, up: Up, port: int) -> None:
    popen = up()
    said = wait_until_ready(popen, port)
    assert f"http://127.0.0.1:{port}/" in said and "PostgreSQL" in said

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health/ready") as answer:
        assert json.load(answer)["data"]["ready"] is True
    assert (checkout / ".moorage" / "local.env").stat().st_mode & 0o777 == 0o600

    # With nothing to configure, the command line is in the same database and store.
    for command in (["tenant", "create", "Acme"], ["store", "check"], ["db", "current"], ["health"]):
        done = moorage(checkout, *command)
        output, _ = done.communicate(timeout=30)
        assert done.returncode == 0, output

    second = moorage(checkout, "up", PORT=str(free_port()))
    output, _ = second.communicate(timeout=30)
    assert second.returncode == 1 and output.startswith("ALREADY_RUNNING: ") and str(popen.pid) in output

    popen.send_signal(signal.SIGINT)
    popen.communicate(timeout=40)
    assert popen.returncode == 0
    assert processes(checkout) == set()
    assert not list((checkout / ".moorage" / "processes").glob("*"))


def test_after_a_kill_the_next_start_finds_what_was_left_and_keeps_the_data(checkout: Path, up: Up, port: int) -> None:
    killed = up()
    wait_until_ready(killed, port)
    made = moorage(checkout, "tenant", "create", "Survivor")
    assert made.communicate(timeout=30) and made.returncode == 0
    secrets_before = (checkout / ".moorage" / "local.env").read_text()
    killed.kill()
    killed.wait()
    assert processes(checkout), "its servers outlive it: that is what this is about"

    popen = up()
    said = wait_until_ready(popen, port)
    assert "Stopped postgres, left behind" in said
    assert "migrations: unchanged" in said and "roles: unchanged" in said
    keep = [line for line in secrets_before.splitlines() if "SECRET" in line or "PASSWORD" in line]
    assert all(line in (checkout / ".moorage" / "local.env").read_text() for line in keep)

    popen.terminate()
    popen.communicate(timeout=40)
    assert popen.returncode == 0
    assert processes(checkout) == set()


def test_a_port_that_is_taken_is_named(checkout: Path, up: Up, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        popen = up()
        output, _ = popen.communicate(timeout=30)
    assert popen.returncode == 1
    assert f"PORT_IN_USE: Port {port}" in output and f"PORT={port + 1} make up" in output
    assert processes(checkout) == set()


def test_a_port_that_is_none_is_refused(checkout: Path) -> None:
    popen = moorage(checkout, "up", PORT="http")
    output, _ = popen.communicate(timeout=30)
    assert popen.returncode == 1 and output.startswith("SETTINGS_INVALID: PORT must be a whole number")


def test_a_file_of_secrets_that_others_may_read_is_refused(checkout: Path) -> None:
    path = checkout / ".moorage" / "local.env"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.chmod(0o644)
    popen = moorage(checkout, "db", "current")
    output, _ = popen.communicate(timeout=30)
    path.chmod(0o600)
    assert popen.returncode == 1 and "chmod 600" in output
