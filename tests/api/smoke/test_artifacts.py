"""`moorage smoke artifacts` against a server that is well, and against one that has each fault it looks for."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from tests.api.artifacts.conftest import released
from tests.api.people import Town, data, running
from webapp.artifacts import resolving, rules
from webapp.cli import moorage
from webapp.licensing import rules as lease_rules
from webapp.settings import Settings
from webapp.smoke import refusals

# Longer than a trial takes on a slow machine; a minute is the least that an installation may set.
SECONDS = 10


@contextmanager
def served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def server(app: Flask) -> Iterator[str]:
    with served(app) as address:
        yield address


@pytest.fixture
def town(app: Flask) -> Town:
    return Town.found(app)


Run = Callable[..., Result]


def trial(town: Town, server: str) -> Run:
    release = released(town, b"what is handed out")
    fixed = ["smoke", "artifacts", "--server", server, "--release", str(release["id"]), "--token", town.admin.token]
    return lambda *more: CliRunner().invoke(moorage, [*fixed, *more], catch_exceptions=False)


@pytest.fixture
def run(town: Town, server: str) -> Run:
    return trial(town, server)


def outcomes(result: Result, outcome: str) -> dict[str, str]:
    return {item["what"]: item["detail"] for item in json.loads(result.stdout) if item["outcome"] == outcome}


def test_a_server_that_is_well_to_the_end_of_a_lease_and_of_a_url(settings: Settings, tmp_path: Path) -> None:
    hasty = dataclasses.replace(settings, license_lease_ttl_seconds=SECONDS, s3_presign_ttl_seconds=SECONDS)
    other = tmp_path / "other"
    with running(hasty) as app, served(app) as address:
        town = Town.found(app)
        other.write_text(Town.found(app).admin.token)
        result = trial(town, address)("--json", "--other-token-file", str(other))
    assert result.exit_code == 0, result.output
    assert outcomes(result, "FAILED") == {}
    codes = " ".join(outcomes(result, "ok").values())
    assert [code for code in {error.code for error in rules.EVERY} if code not in codes] == []
    assert set(outcomes(result, "not tried")) == {
        what + (f": {error.code}" if error else "") for what, error in refusals.FROM_INSIDE
    }
    assert town.admin.token not in result.output


def test_what_it_made_is_out_of_force_and_what_was_there_is_as_it_was(run: Run, town: Town) -> None:
    assert run("--max-wait", "0").exit_code == 0
    mine = data(town.admin.get("/api/v1/artifacts/releases"))
    assert data(town.admin.get("/api/v1/entitlements")) == []
    assert {one["status"] for one in mine if one["module"] != "app"} == {"archived"}
    assert {one["status"] for one in mine if one["module"] == "app"} == {"active"}
    assert {one["status"] for one in data(town.admin.get("/api/v1/licenses"))} == {"revoked"}
    assert {one["status"] for one in data(town.admin.get("/api/v1/vms"))} == {"revoked"}


def test_a_licence_of_the_whole_tenant_is_not_touched(run: Run, town: Town) -> None:
    data(town.admin.post("/api/v1/licenses", {"type": "perpetual"}), 201)
    result = run("--max-wait", "0")
    assert result.exit_code == 0, result.output
    assert "not tried a licence suspended: the tenant has a licence for everybody" in result.stdout
    assert "not tried a lease past its time: takes" in result.stdout
    assert "not tried another tenant's bearer: give --other-token-file" in result.stdout


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "another machine's UUID": lambda patch: patch.setattr(
        rules, "BEFORE", tuple(rule for rule in rules.BEFORE if rule[0] is not rules.VmUuidMismatch)
    ),
    "a machine paused": lambda patch: patch.setattr(
        lease_rules, "RULES", tuple(rule for rule in lease_rules.RULES if rule[0] is not lease_rules.VmInactive)
    ),
    "a revoked lease": lambda patch: patch.setattr(
        rules, "LEASE", tuple(rule for rule in rules.LEASE if rule[0] is not lease_rules.LeaseInactive)
    ),
    "a release whose object has another size": lambda patch: patch.setattr(resolving, "_look", lambda *_: None),
    "one audit row for each attempt": lambda patch: patch.setattr(resolving, "refused", lambda *_, **__: None),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_server_with_a_fault(run: Run, town: Town, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    FAULTS[what](monkeypatch)
    result = run("--json", "--max-wait", "0")
    assert result.exit_code == 1 and result.stderr.startswith("SMOKE_FAILED: Not as it should be: ")
    assert what in outcomes(result, "FAILED")
    assert "taken out of force again" in outcomes(result, "ok")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--release", "999999"], 1, "SMOKE_UNPREPARED: Release 999999 cannot be read with this token (404"),
        (["--server", "moorage.example.org"], 1, "SERVER_UNREACHABLE: 'moorage.example.org' is no address"),
        (["--server", "http://127.0.0.1:9"], 1, "SERVER_UNREACHABLE: GET http://127.0.0.1:9/api/v1/artifacts/releases"),
        (["--token", " "], 2, "Give --token-file or --token: "),
        (["--max-wait", "-1"], 2, "--max-wait"),
    ],
)
def test_wrong_input(run: Run, arguments: list[str], code: int, words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code and words in result.stderr, result.output
    assert "Traceback" not in result.output


def test_a_token_that_may_not(run: Run, town: Town) -> None:
    result = run("--token", town.member.token)
    assert result.exit_code == 1 and "SMOKE_UNPREPARED: " in result.stderr and "403" in result.stderr
    assert "with an admin's token" in result.stderr


def test_something_that_is_no_moorage(run: Run, settings: Settings) -> None:
    result = run("--server", settings.s3_endpoint)
    assert result.exit_code == 1 and "SERVER_NONSENSE: " in result.stderr
