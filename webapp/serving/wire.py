"""simple-websocket made whole: what its 1.1 gets wrong, put right in one place (docs/explanation/websockets.md).

* It writes with `send`, which under gevent may take only a part, from any thread at once: here every write is a
  `sendall` under the connection's lock.
* It buffers messages without end, takes a peer's offer to compress (300 KB for each connection), and closes the TCP
  connection with unread bytes in it, which resets it and destroys the close frame that was just sent.
* A reader that ends for whatever reason must be noticed by whoever waits for a message.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import socket
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from simple_websocket import ConnectionClosed, Server  # type: ignore[import-untyped]  # it has no types
from wsproto.events import AcceptConnection
from wsproto.frame_protocol import CloseReason

log = logging.getLogger("moorage.sockets")

# A peer that takes no byte for this long is gone: whoever sends to it must not wait for ever. Kept by the kernel.
SEND_SECONDS = 20.0
# What a peer is given to read our last words and answer them.
LINGER_SECONDS = 1.0
# Received and not yet handled; beyond, the peer has to wait (TCP holds it back).
WAITING_MESSAGES = 16
READ_BYTES = 16 * 1024
# Pings without an answer, after which a peer is gone.
MISSED_PINGS = 2

TOO_BIG = "Message is too big"
_SOCKET, _EXTENSIONS = "gunicorn.socket", "HTTP_SEC_WEBSOCKET_EXTENSIONS"


class WholeWrites:
    """The connection's socket as simple-websocket sees it: a frame leaves whole, and never amid another."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.lock = threading.RLock()
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; elsewhere a dead peer is found by its missing pong
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SEND_SECONDS * 1000))

    def send(self, data: bytes) -> int:
        """All of it, or OSError; after that the stream is cut, because nobody knows how much of a frame left."""
        with self.lock:
            try:
                self._sock.sendall(data)
            except BaseException:
                self.cut()
                raise
        return len(data)

    def recv(self, size: int) -> bytes:
        return self._sock.recv(size)

    def fileno(self) -> int:
        return self._sock.fileno()

    def writable(self) -> bool:
        """Whether a small frame would leave without waiting: no more than a quarter of the kernel's room is taken."""
        if sys.platform != "linux":
            return True
        # Not select.poll: gevent's takes a turn of its loop, which for 5,000 sockets is seconds.
        queued = int.from_bytes(fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return queued * 4 < self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)

    def cut(self) -> None:
        """Wakes whoever reads or writes; the peer sees the end of the stream."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Say that nothing follows and read on until the peer has done the same, or for LINGER_SECONDS.

        The descriptor stays: gunicorn closes it, and counts its connections by that.
        """
        end = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            while (left := end - time.monotonic()) > 0:
                self._sock.settimeout(left)
                if not self._sock.recv(READ_BYTES):
                    return


def _bytes_of(text: str, enough: int) -> int:
    """A text's length as it was on the wire, where that can be more than `enough`: the library counts characters."""
    return len(text) if text.isascii() or len(text) * 4 <= enough else len(text.encode())


class Wire(Server):  # type: ignore[misc]  # simple-websocket has no types
    """The server's end of one websocket. Raises wsproto's ProtocolError and simple-websocket's ConnectionError
    where the request is no handshake; nothing has been answered then. `headers` are the answer's, beside its own."""

    close_reason: int
    close_message: str | None
    _answered, _missed = True, 0

    def __init__(
        self,
        environ: Mapping[str, Any],
        *,
        max_message_size: int,
        ping_interval: float,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.frames = WholeWrites(environ[_SOCKET])
        self._ended = self._ended_here = False
        self._room = threading.Event()
        offered = {name: value for name, value in environ.items() if name != _EXTENSIONS}
        super().__init__(
            offered | {_SOCKET: self.frames},
            receive_bytes=READ_BYTES,
            max_message_size=max_message_size,
            ping_interval=ping_interval,
        )

    @property
    def pong_received(self) -> bool:
        """Asked once before each ping: whether to go on. The library's own answer is no after the first one missed."""
        self._missed = 0 if self._answered else self._missed + 1
        return self._missed < MISSED_PINGS

    @pong_received.setter
    def pong_received(self, answered: bool) -> None:
        self._answered = answered

    def handshake(self) -> None:
        send = self.ws.send
        self.ws.send = lambda event: send(
            replace(event, extra_headers=self._headers) if isinstance(event, AcceptConnection) else event
        )
        super().handshake()
        self.ws.send = send
        self.close_reason = int(CloseReason.ABNORMAL_CLOSURE)  # until either side says another: the connection was lost

    def send(self, data: str | bytes) -> None:
        # Framed and written under one lock: no data frame after a close frame.
        with self.frames.lock:
            super().send(data)

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        if self._ended_here:
            raise ConnectionClosed(self.close_reason, self.close_message)
        message: str | bytes | None = super().receive(timeout)
        self._room.set()
        if isinstance(message, str) and _bytes_of(message, self.max_message_size) > self.max_message_size:
            self.close(CloseReason.MESSAGE_TOO_BIG, TOO_BIG)
            raise ConnectionClosed(self.close_reason, self.close_message)
        return message

    def close(self, reason: int | None = None, message: str | None = None) -> None:
        with self.frames.lock:
            if not self.connected:
                raise ConnectionClosed(self.close_reason, self.close_message)
            self._ended_here = True
            self.close_reason, self.close_message = reason or CloseReason.NORMAL_CLOSURE, message
            try:
                super().close(reason, message)
            finally:
                self.end()

    def end(self) -> None:
        """No more messages: wakes the handler and the reader."""
        self._ended, self.connected = True, False
        self.event.set()
        self._room.set()

    def finish(self) -> None:
        """Returns when the peer has answered our close frame, or has been given the time to; the socket is closed."""
        self.thread.join(LINGER_SECONDS)
        if self.thread.is_alive():
            self.frames.cut()
            self.thread.join(2 * LINGER_SECONDS)

    def _thread(self) -> None:
        with self._noticed():
            super()._thread()

    @contextlib.contextmanager
    def _noticed(self) -> Iterator[None]:
        try:
            yield
        except ConnectionClosed:
            pass  # closed by the handler while this was about to ping
        except Exception:
            log.exception("the reader of a socket failed")
            self.frames.cut()
        finally:
            self.end()

    def _handle_events(self) -> bool:
        going: bool = super()._handle_events()
        if self.incoming_message_len > self.max_message_size:
            self.close_reason, self.close_message = CloseReason.MESSAGE_TOO_BIG, TOO_BIG
        while going and not self._ended and len(self.input_buffer) >= WAITING_MESSAGES:
            self._room.clear()
            if len(self.input_buffer) >= WAITING_MESSAGES:
                self._room.wait()
            self.pong_received = True  # it may be behind what was held back
        if not going:
            self.end()
        # simple-websocket takes this for `connected`, also where it was closed in the meantime.
        return going and not self._ended
