"""A websocket client that looks at every frame, and can be as slow or as silent as a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate


class Peer:
    """Connected when made. `refused` is the status of a handshake that was answered with HTTP."""

    def __init__(
        self, port: int, path: str, *, receive_buffer: int = 0, compress: bool = False, token: str = ""
    ) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(20)
        self.sock.connect(("127.0.0.1", port))
        self.pings = 0
        self.answers_pings = True
        self._sending = threading.Lock()
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self.compression = PerMessageDeflate()
        offer = [self.compression] if compress else []
        bearer = [(b"Authorization", f"Bearer {token}".encode())] if token else []
        self.sock.sendall(self._ws.send(Request(host="test", target=path, extensions=offer, extra_headers=bearer)))
        event = self._next()
        self.refused = event.status_code if isinstance(event, RejectConnection) else None
        assert self.refused or isinstance(event, AcceptConnection)
        self.accepted = event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, message: str | bytes) -> None:
        """Used by several threads at once."""
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        with self._sending:
            self.sock.sendall(self._ws.send(event))

    def receive(self) -> str | bytes | CloseConnection:
        """The next whole message, or the close frame (code 1006: the connection ended without one)."""
        parts: list[str | bytes] = []
        while True:
            match self._next():
                case CloseConnection() as close:
                    return close
                case TextMessage() | BytesMessage() as event:
                    parts.append(event.data)
                    if event.message_finished:
                        empty = "" if isinstance(event.data, str) else b""
                        return empty.join(parts)  # type: ignore[arg-type]  # all of one kind

    def close(self, code: int = 1000) -> None:
        self.sock.sendall(self._ws.send(CloseConnection(code)))

    def closed_within(self, seconds: float) -> CloseConnection:
        """The close frame, after whatever messages come before it; answers it as RFC 6455 wants."""
        self.sock.settimeout(seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got = self.receive()
            if isinstance(got, CloseConnection):
                if self._ws.state is ConnectionState.REMOTE_CLOSING:
                    with contextlib.suppress(OSError):  # it does not wait for ever
                        self.sock.sendall(self._ws.send(got.response()))
                return got
        raise AssertionError(f"not closed within {seconds} s")

    def _next(self) -> Event:
        while not self._events:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            self._ws.receive_data(data or None)
            for event in self._ws.events():
                if isinstance(event, Ping):
                    self.pings += 1
                    if self.answers_pings:
                        with self._sending:
                            self.sock.sendall(self._ws.send(event.response()))
                elif not isinstance(event, RejectData):
                    self._events.append(event)
        return self._events.pop(0)
