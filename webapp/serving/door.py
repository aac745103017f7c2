"""Closing a listening socket so that no connection that was let in is lost.

The kernel lets connections in before a process takes them. Those still waiting when the listening socket is closed
are reset, with whatever request was already sent on them. So: first turn newcomers away, then take what is waiting,
then close. Who was turned away tries again by itself (TCP does, after a second) and is then refused, before a byte
of a request has left.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys
from typing import Protocol

# Between the first and the third packet of a handshake on a network of containers: well under a millisecond.
SETTLE_SECONDS = 0.1

_SO_ATTACH_FILTER = 26
# Classic BPF over the TCP header: drop what has SYN set, pass the rest (a handshake's last packet among it).
_NO_NEWCOMERS = (
    (0x30, 0, 0, 13),  # load the byte with the flags
    (0x45, 0, 1, 0x02),  # SYN?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)


class Listener(Protocol):
    """A listening socket: the standard library's, gevent's or gunicorn's."""

    def setsockopt(self, level: int, name: int, value: bytes, /) -> None: ...


def turn_away_newcomers(listener: Listener) -> None:
    """From now on no new handshake begins; those that have begun end as they should.

    Where the kernel cannot do that (it is Linux's), nothing changes.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_NEWCOMERS))
    described = struct.pack("HL", len(_NO_NEWCOMERS), ctypes.addressof(program))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
