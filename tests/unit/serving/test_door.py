"""A listening socket on its way out: newcomers stay outside, who was let in stays in."""

from __future__ import annotations

import socket

import pytest

from webapp.serving.door import turn_away_newcomers


def test_who_was_let_in_is_served_and_newcomers_are_refused_before_they_send_anything() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        early = socket.create_connection(address, timeout=5)
        early.sendall(b"request")
        turn_away_newcomers(listener)

        late = socket.socket()
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.connect(address)

        early.sendall(b" and the rest of it")
        taken, _ = listener.accept()
        assert taken.recv(100) == b"request and the rest of it"
        taken.sendall(b"answer")
        assert early.recv(100) == b"answer"
    late.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    for one in (early, taken):
        one.close()


def test_doing_it_twice_changes_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        turn_away_newcomers(listener)
        turn_away_newcomers(listener)
