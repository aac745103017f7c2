"""The load generator's sockets come back when they are told to, and nothing else is forgiven."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.load import sockets
from tests.load.plan import Plan
from tests.load.report import Window
from tests.load.tally import Tally
from tests.unit.load.mischief import closing, echoing


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(sockets, "ECHO_SECONDS", 0.3)
    monkeypatch.setattr(sockets, "JITTER_SECONDS", 0.02)


def live(say: Callable[[int, int], bytes | None], seconds: float = 0.6) -> Window:
    async def run() -> Window:
        async with echoing(say) as port:
            plan = Plan("127.0.0.1", run="run", port=port, sockets=3)
            tally = Tally("run")
            mine = sockets.Sockets(plan, tally)
            await mine.begin()
            await asyncio.sleep(seconds)
            report = tally.report(mine.away)
            await mine.end()
            return report.total()

    return asyncio.run(run())


def test_sockets_that_echo_are_as_they_should_be() -> None:
    window = live(lambda connection, nth: None)
    assert window.echoes > 15 and window.codes == {} and window.faults() == []


def test_a_socket_told_to_come_back_is_back_and_its_time_is_taken() -> None:
    window = live(lambda connection, nth: closing(1012) if connection <= 3 and nth == 3 else None)
    assert window.told == 3 and len(window.back) == 3
    assert max(window.back) < 1
    assert window.faults() == []


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_another_close_code_is_a_fault(code: int) -> None:
    window = live(lambda connection, nth: closing(code) if connection == 1 and nth == 3 else None)
    assert window.codes == {code: 1}
    assert window.faults()


def test_an_echo_that_does_not_come_is_a_fault() -> None:
    window = live(lambda connection, nth: b"" if connection == 1 and nth == 3 else None)
    assert window.echoes_lost == 1
    assert window.faults()


def test_sockets_that_cannot_be_opened_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "OPEN_SECONDS", 0.3)
    with pytest.raises(TimeoutError):
        live(lambda connection, nth: b"")
