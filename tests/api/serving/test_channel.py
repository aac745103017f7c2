"""The channel on the servers that serve it: whole messages, told to come back, and no stop that waits for a peer.

What flask-sock and simple-websocket do by themselves is shown first (`/ws/bare`), so that the day a newer version does
better is noticed.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from wsproto.utilities import LocalProtocolError

from tests.api.serving.conftest import Serve, Served
from tests.api.serving.peer import Peer
from tests.api.serving.practice import EACH, LARGE, SENDERS

KINDS = pytest.mark.parametrize("process", ["api", "sockets"])
ECHO, BARE = "/ws/practice", "/ws/bare"


@pytest.fixture(params=["api", "sockets"])
def served(serve: Serve, request: pytest.FixtureRequest) -> Served:
    return serve(request.param, practice=True)


@pytest.fixture
def greenlets(serve: Serve) -> Served:
    return serve("sockets", practice=True)


def stop(served: Served) -> float:
    """Seconds from SIGTERM to the end."""
    began = time.monotonic()
    served.popen.send_signal(signal.SIGTERM)
    assert served.popen.wait(35) == 0
    return time.monotonic() - began


def storm_of(port: int, path: str) -> list[str]:
    """What arrives while several threads of the server send at once to a peer that reads slowly."""
    with Peer(port, path, receive_buffer=4096) as peer:
        peer.send("storm")
        time.sleep(0.3)
        peer.sock.settimeout(3)
        got: list[str] = []
        with contextlib.suppress(TimeoutError):
            while len(got) < SENDERS * EACH:
                message = peer.receive()
                if not isinstance(message, str):
                    break  # what came was no frame
                got.append(message)
        return got


def whole(messages: list[str]) -> bool:
    """Every message as one of the senders made it, and each sender's in its order."""
    if len(messages) != SENDERS * EACH:
        return False
    by_sender = {n: [one for one in messages if one.startswith(f"{n}.")] for n in range(SENDERS)}
    return all(got == [f"{n}.{turn} " + str(n) * 40_000 for turn in range(EACH)] for n, got in by_sender.items())


def test_bare_frames_of_several_senders_are_mixed_up(served: Served) -> None:
    assert not whole(storm_of(served.port, BARE))


def test_messages_of_several_senders_arrive_whole_and_in_order(served: Served) -> None:
    assert whole(storm_of(served.port, ECHO))


def large_of(port: int, path: str) -> int:
    with Peer(port, path, receive_buffer=4096) as peer:
        peer.send("large")
        time.sleep(0.3)
        peer.sock.settimeout(3)
        got = peer.receive()
        return len(got) if isinstance(got, bytes) else 0


def test_bare_a_large_message_is_cut_short_under_gevent(greenlets: Served) -> None:
    with pytest.raises(TimeoutError):
        large_of(greenlets.port, BARE)


def test_a_large_message_arrives_whole(served: Served) -> None:
    assert large_of(served.port, ECHO) == LARGE


def test_bare_a_stop_waits_for_open_sockets(greenlets: Served) -> None:
    with Peer(greenlets.port, BARE):
        greenlets.popen.send_signal(signal.SIGTERM)
        time.sleep(6)
        assert greenlets.popen.poll() is None


def test_at_a_stop_every_socket_is_told_to_come_back_at_once(greenlets: Served) -> None:
    peers = [Peer(greenlets.port, ECHO) for _ in range(500)]
    peers[0].send("slow")  # its handler is busy and not receiving
    slow = ThreadPoolExecutor().submit(greenlets.get, "/practice?seconds=2")
    time.sleep(0.3)
    began = time.monotonic()
    greenlets.popen.send_signal(signal.SIGTERM)
    closes = [peer.closed_within(4) for peer in peers]
    assert {close.code for close in closes} == {1012}
    assert time.monotonic() - began < 4
    assert slow.result()[0] == 200, "a request that runs is finished all the same"
    assert greenlets.popen.wait(10) == 0
    assert time.monotonic() - began < 5
    for peer in peers:
        peer.sock.close()


@KINDS
def test_a_stop_waits_for_no_peer_that_is_silent_or_takes_nothing(serve: Serve, process: str) -> None:
    served = serve(process, practice=True)
    silent = Peer(served.port, ECHO)
    deaf = Peer(served.port, ECHO, receive_buffer=4096)
    deaf.send("large")
    time.sleep(0.5)
    assert stop(served) < 5
    assert silent.closed_within(1).code == 1012
    for peer in (silent, deaf):
        peer.sock.close()


def test_a_peer_that_was_sending_still_reads_why_it_is_closed(served: Served) -> None:
    """Unread bytes at a close reset the connection, and a reset destroys what was sent last."""
    with Peer(served.port, ECHO) as peer:
        pouring = threading.Event()

        def pour() -> None:
            try:
                while not pouring.is_set():
                    peer.send("slow")
            except (OSError, LocalProtocolError):
                return

        thread = threading.Thread(target=pour)
        thread.start()
        time.sleep(0.5)
        served.popen.send_signal(signal.SIGTERM)
        assert peer.closed_within(3).code == 1012
        pouring.set()
        thread.join()


def test_who_is_not_admitted_gets_http(served: Served) -> None:
    assert Peer(served.port, "/ws/refused").refused == 401
    assert served.get("/ws/refused")[0] == 401


def test_what_is_no_handshake_is_said(served: Served) -> None:
    status, body = served.get(ECHO)
    assert (status, body["error"]["code"]) == (426, "UPGRADE_REQUIRED")
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as raw:
        raw.sendall(f"GET {ECHO} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode())
        assert raw.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_handler_knows_whom_it_was_given_and_waits_as_long_as_it_likes(served: Served) -> None:
    with Peer(served.port, f"{ECHO}?who=agent-7") as peer:
        peer.send("who")
        assert peer.receive() == "agent-7"
        peer.send("wait")
        assert peer.receive() == "None"
        peer.send(b"\x00\xff")
        assert peer.receive() == b"\x00\xff"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("leave", 1000),
        ("break", 1011),
        ("x" * (1024 * 1024 + 1), 1009),
        (b"x" * (3 * 1024 * 1024), 1009),
        ("\u00e9" * (600 * 1024), 1009),
    ],
    ids=["returned", "failed", "too large", "much too large", "too large in bytes"],
)
def test_how_a_socket_ends_is_said_in_its_code(served: Served, message: str | bytes, code: int) -> None:
    with Peer(served.port, ECHO) as peer:
        sending = threading.Thread(target=peer.send, args=(message,))
        sending.start()
        assert peer.closed_within(3).code == code
        sending.join()
    with Peer(served.port, ECHO) as peer:
        peer.send("after")
        assert peer.receive() == "after"
        peer.close(4000)
        assert peer.closed_within(3).code == 4000, "its own code comes back"


def test_a_peer_that_answers_no_ping_is_given_up(served: Served) -> None:
    with Peer(served.port, ECHO) as deaf, Peer(served.port, ECHO) as alive:
        deaf.answers_pings = False
        began = time.monotonic()
        reading = ThreadPoolExecutor().submit(alive.receive)
        assert deaf.closed_within(6).code == 1008
        assert deaf.pings == 2, "one that was missed is not yet the end"
        assert time.monotonic() - began > 2.5
        alive.send("still here")
        assert reading.result() == "still here" and alive.pings >= 1


def test_a_peer_that_takes_nothing_is_given_up(served: Served) -> None:
    with Peer(served.port, ECHO, receive_buffer=4096) as deaf:
        deaf.send("large")
        time.sleep(1)
        assert "moorage_sockets_open 1.0" in served.get("/metrics")[1]
        end = time.monotonic() + 10
        while "moorage_sockets_open 0.0" not in served.get("/metrics")[1]:
            assert time.monotonic() < end, "whoever sends to it waits for ever"
            time.sleep(0.2)


def test_who_sends_faster_than_it_is_handled_has_to_wait(greenlets: Served) -> None:
    with Peer(greenlets.port, ECHO) as peer:
        peer.sock.settimeout(1)
        peer.send("slow")
        with pytest.raises(TimeoutError):
            for _ in range(200):
                peer.send(b"x" * 500_000)


def test_no_compression_is_agreed_to(served: Served) -> None:
    with Peer(served.port, ECHO, compress=True) as peer:
        assert not peer.compression.enabled()
        peer.send("plain")
        assert peer.receive() == "plain"


def test_open_sockets_are_counted_and_their_hours_are_no_time_to_an_answer(served: Served) -> None:
    with Peer(served.port, ECHO) as one, Peer(served.port, ECHO) as two:
        for peer in (one, two):
            peer.send("here")
            assert peer.receive() == "here"
        assert "moorage_sockets_open 2.0" in served.get("/metrics")[1]
        one.close()
        assert one.closed_within(3).code == 1000
        one.sock.close()
        time.sleep(0.2)
        metrics = served.get("/metrics")[1]
        assert "moorage_sockets_open 1.0" in metrics
        assert f'moorage_http_requests_total{{method="GET",route="{ECHO}",status="101"}} 1.0' in metrics
        assert f'moorage_http_request_duration_seconds_count{{route="{ECHO}"}}' not in metrics
