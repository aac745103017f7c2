"""Answers, frames and percentiles, read off bytes and numbers."""

from __future__ import annotations

import pytest

from tests.load import frames
from tests.load.answers import Answer, NotHttp, parse
from tests.load.report import Report, Window
from tests.load.tally import percentile

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n2;x=y\r\n!!\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("received", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine", Answer(200, b"fine", True)),
        (b"HTTP/1.1 503 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", Answer(503, b"", False)),
        (b"HTTP/1.1 204 No Content\r\nX-Content-Length: 9\r\n\r\n", Answer(204, b"", True)),
        (CHUNKED, Answer(200, b"fine!!", True)),
    ],
)
def test_an_answer_is_whole_at_its_last_byte_and_not_before(received: bytes, answer: Answer) -> None:
    assert parse(bytearray(received)) == answer
    assert [parse(bytearray(received[:end])) for end in range(len(received))] == [None] * len(received)


@pytest.mark.parametrize(
    "received",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ],
)
def test_what_does_not_say_where_it_ends_is_no_answer(received: bytes) -> None:
    with pytest.raises(NotHttp):
        parse(bytearray(received))


@pytest.mark.parametrize(
    ("size", "length"), [(0, "00"), (1, "01"), (125, "7d"), (126, "7e007e"), (70_000, "7f0000000000011170")]
)
def test_a_frame_is_taken_when_it_is_whole(size: int, length: str) -> None:
    whole = b"\x81" + bytes.fromhex(length) + b"x" * size
    received = bytearray(whole[:-1])
    assert frames.take(received) is None
    received = bytearray(whole + b"\x88\x02\x03\xf4")
    assert frames.take(received) == frames.Frame(frames.TEXT, b"x" * size)
    last = frames.take(received)
    assert last and last.code == 1012 and not received


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentiles_are_values_that_were_seen(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], share) == value
    assert percentile([], share) == 0
    assert percentile([7.0], share) == 7


def test_a_report_adds_up_and_survives_its_journey() -> None:
    one = Window("one", sent=2, answered=2, codes={1012: 2}, back=[0.5], twice=0, lost=0, worst=5)
    two = Window("two", sent=3, answered=2, failed=1, codes={1012: 1, 1006: 1}, back=[6.0], twice=1, lost=0, worst=9)
    two.failures = ["GET: 502"]
    report = Report.from_json(Report("run", [one, two], [3], 0.2).to_json())
    total = report.total()
    assert (total.sent, total.failed, total.told, total.codes[1006], total.worst) == (5, 1, 3, 1, 9)
    assert len(report.faults()) == 5 and report.faults()[-1] == "  GET: 502"
    assert report.faults(["one"]) == []
    assert "| two | 3 | 2 | 1 | 1 | 0 |" in report.table()
