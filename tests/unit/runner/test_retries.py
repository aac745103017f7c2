"""What is tried again, what never, and until when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from agent.failures import Failure, Refused, Unreachable
from agent.pace import Pace
from agent.runner.fetch import fetch
from agent.runner.order import order
from agent.runner.retries import Remedy, remedy
from tests.unit.agent.serving import Reply, refusal, until
from tests.unit.runner.conftest import Hasty
from tests.unit.runner.depot import MODULE, TOKEN, Depot
from tests.unit.runner.test_fetch import STEPS

Get = Callable[..., dict[str, Any]]

TABLE = [
    (Unreachable("no route"), Remedy.AGAIN),
    (Refused(503, "SERVICE_UNAVAILABLE", ""), Remedy.AGAIN),
    (Refused(502, "STORAGE_ERROR", ""), Remedy.AGAIN),
    (Refused(429, "RATE_LIMITED", ""), Remedy.AGAIN),
    (Refused(409, "LEASE_EXPIRED", ""), Remedy.NEW_LEASE),
    (Refused(409, "LEASE_INACTIVE", ""), Remedy.NEVER),
    (Refused(409, "ARTIFACT_OBJECT_MISMATCH", ""), Remedy.NEVER),
    (Refused(404, "ARTIFACT_ASSIGNMENT_NOT_FOUND", ""), Remedy.NEVER),
    (Refused(403, "LICENSE_INACTIVE", ""), Remedy.NEVER),
    (Refused(401, "TOKEN_INVALID", ""), Remedy.NEVER),
    (Refused(400, "VALIDATION", ""), Remedy.NEVER),
    (Failure("DISK_FULL", ""), Remedy.NEVER),
]


@pytest.mark.parametrize(("failure", "expected"), TABLE, ids=lambda value: getattr(value, "code", None))
def test_the_remedy_of_a_failure(failure: Failure, expected: Remedy) -> None:
    assert remedy(failure) is expected


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/vm/register", 403, "VM_OWNER_MISMATCH"),
        ("/license/lease", 403, "LICENSE_INACTIVE"),
        ("/license/lease", 404, "VM_NOT_REGISTERED"),
        ("/artifacts/resolve-download", 404, "ARTIFACT_RELEASE_NOT_FOUND"),
        ("/artifacts/resolve-download", 409, "LEASE_INACTIVE"),
    ],
)
def test_a_final_refusal_is_asked_for_once(depot: Depot, get: Get, path: str, status: int, code: str) -> None:
    depot.refuses[path] = [refusal(status, code)]
    with pytest.raises(Refused) as caught:
        get()
    assert caught.value.code == code and depot.calls.count(path) == 1


def test_a_wrong_token_is_asked_with_once(depot: Depot, get: Get) -> None:
    with pytest.raises(Refused, match="TOKEN_INVALID"):
        get(token="wrong")
    assert depot.calls == ["/vm/register"]


@pytest.mark.parametrize("path", STEPS)
def test_each_step_outlives_a_server_that_is_down_for_a_moment(depot: Depot, get: Get, path: str) -> None:
    depot.refuses[path] = [refusal(503, "SERVICE_UNAVAILABLE"), Reply(502, b"<html>"), refusal(503, "X")]
    get()
    assert depot.calls.count(path) == 4


def test_retry_after_is_honoured(depot: Depot, get: Get, pace: Hasty) -> None:
    depot.refuses["/license/lease"] = [refusal(429, "RATE_LIMITED", Retry_After="17")]
    depot.store = [Reply(503, b"SlowDown", {"Retry-After": "23"})]
    get()
    assert pace.waits == [17.0, 23.0]


def test_an_expired_lease_is_replaced(depot: Depot, get: Get) -> None:
    depot.refuses["/artifacts/resolve-download"] = [refusal(409, "LEASE_EXPIRED")]
    get()
    assert depot.calls.count("/license/lease") == 2 and depot.reports[-1]["outcome"] == "verified"


def slow(depot: Depot, output: Any, seconds: float = 30) -> dict[str, Any]:
    """At the pace of the real clock."""
    return fetch(order(server=depot.url, token=TOKEN, vm_uuid="vm-0000-1111", module=MODULE, platform="linux",
                       channel="stable", output=output, agent_id="a", runner_id="r", user_id=None, max_seconds=seconds,
                       ca_file=None), pace=Pace())  # fmt: skip


@pytest.mark.parametrize("skew", [0, 600])
def test_the_lease_is_kept_alive_at_a_third_of_its_life_and_its_fresh_token_used(
    depot: Depot, output: Any, skew: float
) -> None:
    depot.server.skew = skew
    depot.lease_seconds, depot.pause = 3.0, 0.05
    slow(depot, output)
    beats = depot.calls.count("/license/heartbeat")
    assert 1 <= beats <= 6, "46 chunks of 50 ms are 2.3 s, and a third of the life is 1 s (a Date has whole seconds)"
    assert depot.reports[-1]["lease_token"] != "lease-token-1", "the first token is not the freshest any more"


def test_a_lease_that_is_revoked_ends_the_download(depot: Depot, output: Any) -> None:
    depot.lease_seconds, depot.pause = 2.0, 0.05
    depot.refuses["/license/heartbeat"] = [refusal(409, "LEASE_INACTIVE")]
    with pytest.raises(Refused, match="LEASE_INACTIVE"):
        slow(depot, output)
    assert not output.exists()


def test_the_time_limit_ends_it_and_keeps_what_is_there(depot: Depot, output: Any) -> None:
    depot.pause = 0.1
    begun = time.monotonic()
    with pytest.raises(Failure, match="TIME_LIMIT") as caught:
        slow(depot, output, seconds=1)
    assert caught.value.exit_code == 4 and time.monotonic() - begun < 10
    assert output.with_name("artifact.bin.part").stat().st_size > 0
    depot.pause = 0
    assert slow(depot, output)["resumed_from"] > 0


def test_a_server_that_is_not_there_is_tried_until_the_time_is_up(depot: Depot, output: Any) -> None:
    depot.close()
    with pytest.raises(Failure, match="TIME_LIMIT") as caught:
        slow(depot, output, seconds=2)
    assert "SERVER_UNREACHABLE" in caught.value.words
    until(lambda: not output.exists())
