"""The load generator tells apart what a release may do to a request."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any

import pytest

from tests.load.generator import Generator
from tests.load.plan import Ask, Plan
from tests.load.report import Report
from tests.unit.load.mischief import Behaviour, Request, Server, answer, serving

GET = (Ask("GET", "a.test", "/", holds="fine"),)
POST = (Ask("POST", "a.test", "/", 201),)


def created(request: Request) -> bytes:
    return answer(json.dumps(json.loads(request.body)).encode(), 201)


async def loaded(port: int, seconds: float, **changes: Any) -> Report:
    plan = Plan("127.0.0.1", **{"run": "run", "port": port, "rate": 100, "connections": 2, "sockets": 0, **changes})
    generator = Generator(plan)
    await generator.begin()
    await asyncio.sleep(seconds)
    return await generator.end()


def load(behaviour: Behaviour, seconds: float = 0.3, **changes: Any) -> tuple[Report, Server]:
    async def run() -> tuple[Report, Server]:
        async with serving(behaviour) as server:
            return await loaded(server.port, seconds, **{"asks": GET, **changes}), server

    return asyncio.run(run())


def test_what_is_answered_rightly_is_answered_and_the_rate_is_held() -> None:
    begun = time.monotonic()
    report, server = load(lambda request: (answer(), False), 0.5)
    total = report.total()
    assert total.sent == total.answered == len(server.requests)
    assert 45 <= total.sent <= 100 * (time.monotonic() - begun) + 1
    assert {request.connection for request in server.requests} == {1, 2}, "kept, and all of them used"
    assert 0 < total.p50 <= total.worst
    assert report.windows[0].failures == []


@pytest.mark.parametrize(
    ("said", "closing", "words"),
    [
        (answer(b"fine", 502), False, "502"),
        (answer(b"another product"), False, "another product"),
        (answer()[:-2], True, "broken: closed after 46 bytes"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", False, "broken: b'SSH-2.0"),
        (b"", True, "broken: closed after 0 bytes"),
    ],
)
def test_a_wrong_or_broken_answer_is_a_failure(said: bytes, closing: bool, words: str) -> None:
    report, _ = load(lambda request: (said, closing))
    total = report.total()
    assert total.failed == total.sent > 20 and total.answered == 0
    assert total.resent == 0, "a new connection that is closed was not an idle one"
    assert words in report.windows[0].failures[0]
    assert report.faults()


def test_a_kept_connection_that_is_closed_before_any_answer_is_counted_apart_and_the_same_post_sent_again() -> None:
    def behaviour(request: Request) -> tuple[bytes, bool]:
        return (b"", True) if request.nth == 3 else (created(request), False)

    report, server = load(behaviour, asks=POST)
    total = report.total()
    assert total.failed == 0 and total.answered == total.sent
    assert total.resent == total.idle_closed == sum(request.nth == 3 for request in server.requests) > 3
    unheard = [request for request in server.requests if request.nth == 3]
    for one in unheard:
        again = [request for request in server.requests if request.body == one.body]
        assert len(again) == 2 and again[0].connection != again[1].connection
    assert report.unanswered == []


def test_one_request_of_so_many_has_a_connection_of_its_own() -> None:
    report, server = load(lambda request: (answer(), False), 0.5, fresh=3)
    total = report.total()
    assert total.answered == total.sent == len(server.requests)
    asked = Counter(request.connection for request in server.requests)
    apart = sum(count == 1 for count in asked.values())
    assert apart > 10
    # What waits for a kept connection at the end is withdrawn.
    assert 0 <= 3 * apart - total.sent <= 12, "the first one, and every third after it"


def test_a_connection_that_is_closed_before_its_request_is_a_failure_at_once() -> None:
    async def run() -> Report:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            return await loaded(server.sockets[0].getsockname()[1], 0.3, asks=GET, fresh=1, distance=0.05)

    report = asyncio.run(run())
    total = report.total()
    assert total.failed == total.sent > 10 and total.resent == 0
    assert "closed before anything was asked" in report.windows[0].failures[0]
    assert total.worst < 5_000, "not the whole time-out"


def test_a_connection_that_ends_when_it_said_so_is_no_failure() -> None:
    closing = answer().replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    total = load(lambda request: (closing, True))[0].total()
    assert total.answered == total.sent and total.idle_closed == total.resent == 0


def test_no_answer_in_time_is_a_failure_and_the_post_is_named() -> None:
    report, _ = load(
        lambda request: (b"", False) if request.nth == 2 else (created(request), False), timeout=0.2, asks=POST
    )
    assert "timeout" in report.windows[0].failures[0]
    assert 0 < report.total().failed <= len(report.unanswered)


def test_a_refused_connection_is_a_failure() -> None:
    async def run() -> Report:
        async with serving(lambda request: (answer(), False)) as server:
            port = server.port
        return await loaded(port, 0.2, asks=GET)

    report = asyncio.run(run())
    assert report.total().failed == report.total().sent > 10
    assert "refused" in report.windows[0].failures[0]


def test_a_stall_counts_for_every_request_that_it_kept_waiting() -> None:
    """Latency from when a request was due: a stall of 0.4 s hides nothing because the client waited too."""
    stalled = False

    def behaviour(request: Request) -> tuple[bytes, bool]:
        nonlocal stalled
        if not stalled:
            stalled = True
            time.sleep(0.4)
        return answer(), False

    window = load(behaviour, 0.6, connections=1)[0].total()
    assert window.sent >= 55, "what could not be sent in time is sent late, not left out"
    assert window.worst >= 380 and window.p50 > 20


def test_what_still_waits_for_a_connection_at_the_end_was_never_sent() -> None:
    report, server = load(lambda request: (b"", False), 0.3, asks=POST, connections=2, timeout=0.5)
    assert report.total().sent == report.total().failed == len(server.requests) == 2
    assert len(report.unanswered) == report.windows[-1].posts[1] > 20, "the ledger must not call them lost"


def test_a_request_belongs_to_the_window_it_was_due_in() -> None:
    async def run() -> Report:
        async with serving(lambda request: (created(request), False)) as server:
            plan = Plan("127.0.0.1", run="run", port=server.port, rate=100, connections=2, sockets=0, asks=POST)
            generator = Generator(plan)
            await generator.begin()
            await asyncio.sleep(0.2)
            generator.tally.mark("second")
            await asyncio.sleep(0.2)
            return await generator.end()

    first, second = Report.from_json(asyncio.run(run()).to_json()).windows
    assert second.name == "second"
    assert first.posts == (0, first.sent)
    assert second.posts[0] == first.sent
    assert second.posts[1] - second.posts[0] - second.sent in (0, 1), (
        "the last may have had its number and not its turn"
    )
