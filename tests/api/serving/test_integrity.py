"""The channel under load: nothing is cut or mixed up in either direction, and a stop is quick whoever is connected."""

from __future__ import annotations

import signal
import time

import pytest

from tests.api.serving import pouring
from tests.api.serving.conftest import Serve
from tests.api.serving.peer import Peer

KINDS = pytest.mark.parametrize("process", ["sockets", "api"])
# From SIGTERM to the close frame, and to the end of the process where no request runs.
# 2 s where nothing else runs; this is for a machine that runs a whole suite and a lab beside it.
STOP_SECONDS = 6.0


@KINDS
def test_a_thousand_frames_of_several_threads_arrive_whole_in_both_directions_at_once(
    serve: Serve, process: str
) -> None:
    served = serve(process, practice=True)
    tally = pouring.Tally()
    with Peer(served.port, "/ws/both-ways", receive_buffer=64 * 1024) as peer:
        threads = pouring.pour(peer.send)
        while not tally.complete:
            message = peer.receive()
            assert isinstance(message, str), message
            tally.take(message)
        for thread in threads:
            thread.join(30)
        assert peer.receive() == f"whole {pouring.FRAMES} of {pouring.FRAMES}"
    assert tally.whole == pouring.FRAMES and tally.in_order


@KINDS
def test_a_stop_with_open_sockets_takes_two_seconds_and_each_is_told_to_come_back(serve: Serve, process: str) -> None:
    served = serve(process, practice=True)
    count = 100 if process == "sockets" else 5  # each holds one of eight threads
    peers = [Peer(served.port, "/ws/practice") for _ in range(count)]
    deaf = Peer(served.port, "/ws/practice", receive_buffer=4096)
    deaf.send("large")  # in the middle of a message that it does not take: it cannot be told, and must not delay
    time.sleep(0.5)
    began = time.monotonic()
    served.popen.send_signal(signal.SIGTERM)
    assert {peer.closed_within(STOP_SECONDS).code for peer in peers} == {1012}
    assert time.monotonic() - began < STOP_SECONDS
    assert served.popen.wait(10) == 0
    assert time.monotonic() - began < STOP_SECONDS
    for peer in (*peers, deaf):
        peer.sock.close()
