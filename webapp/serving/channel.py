"""Websockets for rooms: `@channel.route(blueprint, path, admit=…)` gives a handler its Channel.

Who may enter is decided before the upgrade, so that whoever may not gets an HTTP answer. When the process is told to
stop, every open socket is told to come back (1012): a peer reconnects and reaches the slot that serves now.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar

from flask import Blueprint, Flask, Response, current_app, g, request
from simple_websocket import ConnectionClosed  # type: ignore[import-untyped]  # it has no types
from simple_websocket.errors import SimpleWebsocketError  # type: ignore[import-untyped]  # it has no types
from wsproto.utilities import ProtocolError

from webapp.errors import MoorageError, ServiceUnavailable
from webapp.serving.handshakes import Handshake, declare
from webapp.serving.wire import Wire

log = logging.getLogger("moorage.sockets")

MAX_MESSAGE_BYTES = 1024 * 1024
# Proxies and NATs forget a silent connection after 30 s at the earliest.
PING_SECONDS = 25.0
# Fits into what the kernel takes from a socket with little waiting in it. Characters.
SMALL = 8 * 1024
# A socket in the middle of a large message may finish it before it is told to come back.
RECALL_SECONDS = 1.0

NORMAL, LOST, FAILED, COME_BACK = 1000, 1006, 1011, 1012
COME_BACK_REASON = "Restarting: come back now."

T = TypeVar("T")
EXTENSION = "moorage.channels"


class Closing(NamedTuple):
    """Why a socket is closed: RFC 6455's code (1005: none given, 1006: the connection was lost) and words."""

    code: int
    reason: str


class ChannelClosed(Exception):
    """There is no one to send to or receive from any more. A handler may let it fly."""

    def __init__(self, closing: Closing) -> None:
        super().__init__(f"closed with {closing.code} {closing.reason}".rstrip())
        self.closing = closing


class UpgradeRequired(MoorageError):
    status, code, message = 426, "UPGRADE_REQUIRED", "This path is a websocket: ask for an upgrade."

    def headers(self) -> dict[str, str]:
        return {"Upgrade": "websocket", "Connection": "Upgrade"}


class UpgradeInvalid(MoorageError):
    status, code, message = 400, "UPGRADE_INVALID", "This is no handshake of a websocket of version 13."


class Restarting(ServiceUnavailable):
    message = "This process is stopping; another one takes over. Try again shortly."


class Channel:
    """One open websocket. One thread or greenlet receives; any number of them may send."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def closed(self) -> Closing | None:
        """Why it is closed, None while it is open."""
        if self._wire.connected:
            return None
        return Closing(int(self._wire.close_reason), self._wire.close_message or "")

    def send(self, message: str | bytes) -> None:
        """A text message for str, a binary one for bytes. Returns when the kernel has taken all of it, and waits
        at most wire.SEND_SECONDS for a peer that takes nothing. Raises ChannelClosed."""
        try:
            self._wire.send(message)
        except (ConnectionClosed, ProtocolError, OSError):
            self._wire.end()
            raise ChannelClosed(self.closed or Closing(LOST, "")) from None

    def send_soon(self, message: str) -> None:
        """Like `send`, for whoever must not wait for this peer: what the kernel does not take at once is sent by a
        thread of its own, and lost where the peer goes away meanwhile. Raises ChannelClosed."""
        frames = self._wire.frames
        if len(message) <= SMALL and frames.lock.acquire(blocking=False):
            try:
                if self.closed is not None or frames.writable():
                    self.send(message)
                    return
            finally:
                frames.lock.release()
        if self.closed is not None:
            raise ChannelClosed(self.closed)
        threading.Thread(target=self._send_quietly, args=(message,), daemon=True).start()

    def _send_quietly(self, message: str) -> None:
        with contextlib.suppress(ChannelClosed):
            self.send(message)

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """The next message; None where none came within `timeout` seconds. Raises ChannelClosed.

        What the peer sent before it closed is still given; after a close of our own nothing is.
        """
        try:
            return self._wire.receive(timeout)
        except ConnectionClosed:
            raise ChannelClosed(self.closed or Closing(LOST, "")) from None

    def __iter__(self) -> Iterator[str | bytes]:
        """Every message until the socket is closed."""
        with contextlib.suppress(ChannelClosed):
            while True:
                if (message := self.receive()) is not None:
                    yield message

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Closing what is closed changes nothing. `reason`: at most 123 bytes, for people."""
        with contextlib.suppress(ConnectionClosed, ProtocolError, OSError):
            self._wire.close(code, reason)

    def close_now(self, code: int, reason: str) -> bool:
        """`close`, if that is possible without waiting for anyone; False where it is not."""
        frames = self._wire.frames
        if not frames.lock.acquire(blocking=False):
            return False
        try:
            if self.closed is None and not frames.writable():
                return False
            self.close(code, reason)
            return True
        finally:
            frames.lock.release()

    def cut(self) -> None:
        """End it without a word."""
        self._wire.frames.cut()
        self._wire.end()


class Count(Protocol):
    """A gauge. Given and not imported: metrics must not be loaded before gunicorn's workers know where they go."""

    def inc(self) -> None: ...

    def dec(self) -> None: ...


class Channels:
    """The open sockets of this process."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._open: set[Channel] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def stopping(self) -> bool:
        """Whether this process has been told to stop: what goes on for ever should end now."""
        return self._stopping

    def recall(self) -> None:
        """Tell every peer to come back, and take no new ones. Those in mid-message get RECALL_SECONDS, then are cut."""
        self._stopping = True
        end = time.monotonic() + RECALL_SECONDS
        log.info("sockets are told to come back", extra={"sockets": len(self)})
        left = self._still_open(self._open)
        while left and time.monotonic() < end:
            time.sleep(0.05)
            left = self._still_open(left)
        for channel in left:
            channel.cut()

    def _still_open(self, channels: Iterable[Channel]) -> list[Channel]:
        return [channel for channel in tuple(channels) if not channel.close_now(COME_BACK, COME_BACK_REASON)]

    @contextlib.contextmanager
    def opened(self, max_message_size: int, ping_interval: float) -> Iterator[Channel]:
        """The websocket that this request becomes; closed at the end. Raises UpgradeInvalid, Restarting."""
        if self._stopping:
            raise Restarting
        try:
            wire = Wire(
                request.environ, max_message_size=max_message_size, ping_interval=ping_interval, headers=_ids()
            )
        except (ProtocolError, SimpleWebsocketError, KeyError):
            raise UpgradeInvalid from None
        channel = Channel(wire)
        self._open.add(channel)
        self._count.inc()
        if self._stopping:  # it came while the others were being told
            channel.close(COME_BACK, COME_BACK_REASON)
        try:
            yield channel
        except ChannelClosed:
            pass
        except Exception:
            log.exception("a socket's handler failed")
            channel.close(FAILED, "Something went wrong here.")
        finally:
            channel.close()
            self._open.discard(channel)
            self._count.dec()
            wire.finish()


def _ids() -> dict[str, str]:
    """What every answer carries (access.py), also this one, which is written past Flask."""
    ids = {"X-Request-ID": g.get("request_id"), "X-Correlation-ID": g.get("correlation_id")}
    return {name: value for name, value in ids.items() if value}


class Switched(Response):
    """The answer that was given when the protocols were switched: there is nothing more to write."""

    default_status = 101

    def __call__(self, *_: Any) -> NoReturn:
        raise StopIteration  # gunicorn's workers take this as the end of a connection


def register(app: Flask, count: Count) -> None:
    app.extensions[EXTENSION] = Channels(count)


def channels_of(app: Flask) -> Channels:
    channels: Channels = app.extensions[EXTENSION]
    return channels


def route(
    blueprint: Blueprint,
    path: str,
    *,
    admit: Callable[..., T],
    max_message_size: int = MAX_MESSAGE_BYTES,
    ping_interval: float = PING_SECONDS,
    name: str | None = None,
    handshake: Handshake | None = None,
) -> Callable[[Callable[[Channel, T], None]], Callable[[Channel, T], None]]:
    """Serve a websocket at `path`.

    `admit` is called before the upgrade with the path's values. It raises what the client is to be told (401 …);
    what it returns is the handler's second argument. The handler runs as long as the socket is open and closes it by
    returning. `max_message_size` in bytes (a longer message closes with 1009).
    `ping_interval` in seconds. `name`: the end point's, where one handler serves several paths. `handshake`: what
    the OpenAPI document says of it.
    """

    def serving(handler: Callable[[Channel, T], None]) -> Callable[[Channel, T], None]:
        def upgrade(**values: Any) -> Response:
            admitted = admit(**values)
            with channels_of(current_app).opened(max_message_size, ping_interval) as channel:
                handler(channel, admitted)
            return Switched()

        def plain(**values: Any) -> NoReturn:
            admit(**values)
            raise UpgradeRequired

        declare(upgrade, handshake)
        called = name or handler.__name__
        blueprint.add_url_rule(path, called, upgrade, methods=["GET"], websocket=True)
        blueprint.add_url_rule(path, f"{called}_without_upgrade", plain, methods=["GET"], websocket=False)
        return handler

    return serving
