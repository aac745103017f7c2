"""No frame makes the sockets' process fail, disturbs another socket, or closes its own but where the protocol says so.

`make fuzz` runs it in its full size.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from wsproto.events import CloseConnection

from tests.api.commands.conftest import sockets
from tests.api.fleet import SOCKET, Line, enlist, on_line, order
from tests.api.fuzz.judge import INNARDS
from tests.api.fuzz.said import burst
from tests.api.fuzz.wire_frames import TEXT, VIOLATIONS, Burst, Violation, frame, violation, whole
from tests.api.people import Town
from tests.api.serving.conftest import Served
from tests.api.serving.peer import Peer
from webapp.commands.flood import BURST

__all__ = ["sockets"]  # a fixture

ANSWERED_SECONDS = 5.0
# A socket that has said nearly as much as one may at once is closed as a flood, which is another test's matter.
MOST_ON_ONE_SOCKET = BURST - 150
ANSWERS = {
    "connected", "error", "agent.heartbeat", "agent.command.assigned", "agent.command.ack", "agent.command.progress",
    "agent.command.result",
}  # fmt: skip


class Speaker:
    """An agent that says odd things, on one socket after the other."""

    def __init__(self, port: int, town: Town) -> None:
        self._port, self._numbers, self.heard = port, itertools.count(), Counter[str]()
        self._town, self.agent = town, enlist(town, town.admin)
        self.commands: list[str] = []
        self._open()
        self._take_work()

    def _open(self) -> None:
        self.peer, self._said = Peer(self._port, SOCKET, token=self.agent.token), 0
        assert self.peer.refused is None
        self.peer.sock.settimeout(ANSWERED_SECONDS)
        assert _heard(self.peer.receive())["type"] == "connected"

    def renewed(self) -> None:
        self.peer.sock.close()
        self._open()
        self._take_work()

    def _take_work(self) -> None:
        """Commands that are its own now. What is said ends them: there is always one to say it of."""
        for _ in range(3):
            order(self._town, self.agent)
            self.peer.send(json.dumps({"type": "next_command", "timeout_ms": 5000}))
            self.commands = [*self.commands[-5:], _heard(self.peer.receive())["command"]["id"]]

    def room_for(self, frames: int) -> None:
        if self._said + frames > MOST_ON_ONE_SOCKET:
            self.renewed()

    def say(self, given: Burst) -> None:
        self._said += given.frames + 1
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # closed before all was taken
            self.peer.sock.sendall(given.data)

    def answers(self) -> str:
        """Whether a heartbeat is answered, after whatever else; else why not."""
        number = f"still-here-{next(self._numbers)}"
        self.peer.sock.sendall(whole(json.dumps({"type": "heartbeat", "request_id": number}).encode()))
        end = time.monotonic() + ANSWERED_SECONDS
        while time.monotonic() < end:
            try:
                got = self.peer.receive()
            except TimeoutError:
                break
            if isinstance(got, CloseConnection):
                return f"closed with {got.code} {got.reason}"
            heard = _heard(got)
            self.heard[str(heard["type"])] += 1
            if heard["type"] not in ANSWERS or INNARDS.search(str(got).encode()):
                return f"answered {got!r}"
            if heard.get("request_id") == number:
                return ""
        return f"a heartbeat is not answered within {ANSWERED_SECONDS} s"

    def closed(self) -> int:
        """The code; -1 where it stays open."""
        try:
            while not isinstance(got := self.peer.receive(), CloseConnection):
                pass
        except TimeoutError:
            return -1
        return int(got.code)


def _heard(got: Any) -> dict[str, Any]:
    assert isinstance(got, str), got
    said: dict[str, Any] = json.loads(got)
    return said


@pytest.fixture
def bystanders(sockets: Served, town: Town, elsewhere: Town) -> Iterator[list[Line]]:
    """Sockets of the same tenant and of another."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(on_line(sockets.port, enlist(where))) for where in (town, elsewhere)]


def test_frames_disturb_nobody(
    sockets: Served, town: Town, app: Flask, bystanders: list[Line], seed: int, size: int
) -> None:
    dice, speaker = random.Random(seed), Speaker(sockets.port, town)
    sent, kinds, began = 0, Counter[str](), time.monotonic()
    while sent < size:
        if dice.random() < 0.35:
            given = violation(dice)
            wrong = _after_violation(speaker, given)
        else:
            given = burst(dice, speaker.agent.id, speaker.commands, dice.randrange(1, 60))
            speaker.room_for(given.frames)
            speaker.say(given)
            wrong = speaker.answers()
        sent += given.frames
        kinds[given.kind] += 1
        wrong = wrong or "; ".join(filter(None, map(_disturbed, bystanders)))
        assert not wrong, f"{given.kind}: {wrong}\n--fuzz-seed={seed}, after {sent} frames: {_shown(given.data)}"
    print(f"{sent} frames in {time.monotonic() - began:.1f} s; {len(kinds)} kinds of bursts; {dict(speaker.heard)}")
    # Else nothing was understood, and only the reader of frames was tried.
    assert speaker.heard.keys() >= ANSWERS - {"connected"}
    _logged_no_fault(sockets)


@pytest.mark.parametrize("one", VIOLATIONS, ids=lambda one: one.kind)
def test_each_violation_closes_its_own_socket_and_no_other(
    one: Violation, sockets: Served, town: Town, bystanders: list[Line], seed: int
) -> None:
    dice, speaker = random.Random(seed), Speaker(sockets.port, town)
    given = one.burst(dice)
    assert _after_violation(speaker, given) == "", f"{given.kind}: {_shown(given.data)}"
    assert list(map(_disturbed, bystanders)) == ["", ""]
    _logged_no_fault(sockets)


def test_a_message_that_never_ends_is_left_to_its_sender(sockets: Served, town: Town, bystanders: list[Line]) -> None:
    """Half a frame, and then the end of the connection: as when a machine is switched off. A header that promises
    exabytes is the beginning of one too: nothing is set aside for it."""
    speaker = Speaker(sockets.port, town)
    exabytes = frame(TEXT, b"x", claims=1 << 62)
    for half in (frame(TEXT, b"{", fin=False), frame(TEXT, b"x" * 100)[:50], frame(TEXT, b"")[:1], exabytes):
        speaker.peer.sock.sendall(half)
        speaker.renewed()
        assert speaker.answers() == ""
    assert list(map(_disturbed, bystanders)) == ["", ""]
    _logged_no_fault(sockets)


def _after_violation(speaker: Speaker, given: Burst) -> str:
    speaker.say(given)
    code = speaker.closed()
    speaker.renewed()
    if code not in given.closes:
        return f"closed with {code}, not with one of {sorted(given.closes)} (-1: not closed)"
    return speaker.answers()


def _disturbed(line: Line) -> str:
    answer = line.ask(type="heartbeat", request_id="b")
    return "" if answer["type"] == "agent.heartbeat" else f"a bystander heard {answer}"


def _logged_no_fault(sockets: Served) -> None:
    text = sockets.output.read_text()
    assert "Traceback" not in text, text[text.index("Traceback") - 500 :][:3000]
    assert [line for line in sockets.lines() if line["level"] in ("error", "critical")] == []


def _shown(data: bytes) -> str:
    return f"bytes.fromhex({data[:2000].hex()!r})" + (f" and {len(data) - 2000} bytes more" if len(data) > 2000 else "")
