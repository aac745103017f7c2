"""A release's switch as Caddy sees it: a word in a file is another, and nobody's connection notices."""

from __future__ import annotations

import importlib
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.rendering import share_module_utils
from tests.roles.proxying import ROOT, answering, caddy_running, free_port

UNITS = {"shop": {"services": {"shop": {}}}}


class Slot(BaseHTTPRequestHandler):
    """Says which port it has; takes its time where it is asked to."""

    protocol_version = "HTTP/1.1"

    begun = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.begun.set()
            time.sleep(0.5)
        body = str(self.server.server_address[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Switch:
    """The proxy's port, those of both slots, and the file that says which of them gets the requests."""

    port: int
    blue: str
    green: str
    file: Path

    def to(self, slot: str) -> None:
        """As a release does it."""
        share_module_utils()
        write = importlib.import_module("ansible.module_utils.host_state.placing").write
        attributes = importlib.import_module("ansible.module_utils.host_state.attributes").Attributes
        write(str(self.file), slot.encode(), attributes(os.getuid(), os.getgid(), 0o640))

    def client(self) -> HTTPConnection:
        made = HTTPConnection("127.0.0.1", self.port, timeout=10)
        made.connect()
        return made


def said(client: HTTPConnection, path: str = "/") -> str:
    client.request("GET", path)
    return client.getresponse().read().decode()


@pytest.fixture
def switch(render: Callable[..., str], tmp_path: Path) -> Iterator[Switch]:
    """The role's own configuration; slots are ports of this machine, and begin with blue."""
    port, file = free_port(), tmp_path / "slots" / "shop"
    sites = [{"host": f"http://127.0.0.1:{port}", "routes": [{"to": "shop:1"}]}]
    text = render(ROOT / "roles/proxy/templates/Caddyfile.j2", proxy_sites=sites, proxy_units=UNITS)
    for ours, here in (
        ("/var/log/caddy/", f"{tmp_path}/"), ("admin 127.0.0.1:2019", "admin off"),
        ("/etc/caddy/slots", f"{file.parent}"), ("shop-{vars.slot}:1", "127.0.0.1:{vars.slot}"),
    ):  # fmt: skip
        assert ours in text
        text = text.replace(ours, here)
    (tmp_path / "Caddyfile").write_text(text)
    file.parent.mkdir()
    with ExitStack() as running:
        blue, green = (str(running.enter_context(answering(Slot))) for _ in range(2))
        file.write_text(blue)
        running.enter_context(caddy_running(tmp_path / "Caddyfile", port, tmp_path / "out"))
        yield Switch(port, blue, green, file)


def test_the_next_request_goes_to_the_new_slot_also_over_connections_that_were_there(switch):
    kept, opened = switch.client(), switch.client()
    assert said(kept) == switch.blue
    before = kept.sock
    switch.to(switch.green)
    assert said(kept) == said(opened) == said(switch.client()) == switch.green
    assert kept.sock is before, "nobody closed it"
    switch.to(switch.blue)
    assert said(kept) == switch.blue


def test_a_request_that_is_under_way_ends_where_it_began(switch):
    answers: list[str] = []
    Slot.begun.clear()
    asking = threading.Thread(target=lambda: answers.append(said(switch.client(), "/slow")))
    asking.start()
    assert Slot.begun.wait(10)
    switch.to(switch.green)
    asking.join()
    assert answers == [switch.blue]


def test_half_a_request_is_finished_after_the_switch(switch):
    with socket.create_connection(("127.0.0.1", switch.port), 10) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        time.sleep(0.1)
        switch.to(switch.green)
        line.sendall(b"Connection: close\r\n\r\n")
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(switch.green.encode())


def test_while_clients_ask_over_new_connections_and_kept_ones_no_switch_costs_a_request(switch):
    over, asked, wrong = threading.Event(), Counter(), []

    def ask(kept: bool) -> None:
        client = switch.client()
        while not over.is_set():
            try:
                client = client if kept else switch.client()
                asked[said(client)] += 1
            except (OSError, HTTPException) as error:
                wrong.append(repr(error))

    clients = [threading.Thread(target=ask, args=(kept,)) for kept in (True, True, False, False)]
    for client in clients:
        client.start()
    try:
        for number in range(20):
            time.sleep(0.05)
            switch.to(switch.blue if number % 2 else switch.green)
    finally:
        over.set()
        for client in clients:
            client.join()
    assert wrong == [] and set(asked) == {switch.blue, switch.green} and asked.total() > 100


def test_where_the_file_is_gone_the_answer_is_an_error_and_the_proxy_lives(switch):
    switch.file.unlink()
    client = switch.client()
    client.request("GET", "/")
    assert client.getresponse().status in (502, 503)
    switch.to(switch.green)
    assert said(switch.client()) == switch.green
