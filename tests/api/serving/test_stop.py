"""A stop under load loses nothing: a request that was sent is answered, or its connection never was."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.api.machines import until
from tests.api.serving.conftest import Serve, Served

CLIENTS = 12
PATH = "/practice"


class Client(threading.Thread):
    """Sends one request after the other until it is refused; tells what became of each.

    `refused` is what a proxy tries elsewhere, whatever the method: not a byte of the request had left. `lost` is what
    it may not repeat: sent, and never answered.
    """

    def __init__(self, port: int, *, kept: bool) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self._port, self._kept = port, kept

    def run(self) -> None:
        connection = None
        while True:
            try:
                connection = connection or self._connect()
            except OSError:
                self.seen["refused"] += 1
                return
            try:
                connection.request("POST", PATH, body="x" * 50)
                answer = connection.getresponse()
                answer.read()
                self.seen["answered" if answer.status == 200 else f"status {answer.status}"] += 1
            except (OSError, http.client.HTTPException) as error:
                self.seen[f"lost: {error!r}"] += 1
                connection.close()
                connection = None
                continue
            if not self._kept or answer.will_close:
                connection.close()
                connection = None

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        connection.connect()
        return connection


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("process", ["api", "sockets"])
def test_no_request_is_lost_at_a_stop(serve: Serve, process: str, turn: int) -> None:
    served = serve(process, practice=True, API_WORKERS=str(1 + turn % 2))
    clients = [Client(served.port, kept=number % 2 == 0) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(1)
    began = time.monotonic()
    served.popen.send_signal(signal.SIGTERM)
    assert served.popen.wait(30) == 0
    took = time.monotonic() - began
    for client in clients:
        client.join(20)
    seen = sum((client.seen for client in clients), Counter())
    assert set(seen) == {"answered", "refused"}, seen
    assert seen["answered"] > 50 and seen["refused"] == CLIENTS
    assert took < 5, "nothing that is idle holds up a stop"


@pytest.mark.parametrize("process", ["api", "sockets"])
def test_what_was_let_in_but_not_yet_taken_is_answered(serve: Serve, process: str) -> None:
    """Connections that the kernel has accepted while the process was busy elsewhere, requests already in them."""
    served = serve(process, practice=True)
    served.popen.send_signal(signal.SIGSTOP)  # gunicorn's master: the workers run on
    workers = children(served.popen.pid)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    waiting = [raw_request(served.port) for _ in range(20)]
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, signal.SIGCONT)
    served.popen.send_signal(signal.SIGTERM)
    served.popen.send_signal(signal.SIGCONT)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(first_line, waiting))
    assert answers == ["HTTP/1.1 200 OK"] * 20
    assert served.popen.wait(10) == 0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def raw_request(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".encode())
    return connection


def first_line(connection: socket.socket) -> str:
    with contextlib.closing(connection):
        try:
            return connection.recv(4096).decode().splitlines()[0]
        except (OSError, IndexError) as error:
            return repr(error)


@pytest.mark.parametrize("process", ["api", "sockets"])
def test_idle_connections_do_not_delay_a_stop_and_are_answered_meanwhile(serve: Serve, process: str) -> None:
    served: Served = serve(process, practice=True)
    kept = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=10) for _ in range(30)]
    for connection in kept:
        connection.request("GET", "/practice?seconds=0")
        connection.getresponse().read()
    began = time.monotonic()
    served.popen.send_signal(signal.SIGTERM)

    def told_to_close(connection: http.client.HTTPConnection) -> bool:
        connection.request("POST", "/practice?seconds=0", body="x")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        return answer.will_close

    for connection in kept[:5]:
        # On a busy machine the worker itself may not have heard of its end yet.
        until(partial(told_to_close, connection), 10)
    assert served.popen.wait(30) == 0
    assert time.monotonic() - began < 5
    for connection in kept:
        connection.close()
