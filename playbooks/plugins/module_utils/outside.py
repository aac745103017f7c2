"""How a host looks from outside: its certificates, its answers' headers, and which of its TCP ports answer."""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import time
from collections.abc import Collection
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

# A port that is filtered says nothing: so long it is waited for, and so many at once (below the usual limit of files).
SECONDS, AT_ONCE = 1.0, 900


def certificate(name: str, address: str, ca: str, seconds: float = 10.0) -> dict[str, Any]:
    """`{ends}` of a name's certificate, or `{problem}` where there is no handshake or the chain leads to no root.

    Args:
        address: where to connect; '' resolves the name.
        ca: PEM of a root to trust besides the system's.
    """
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(cadata=ca)
    try:
        with (
            socket.create_connection((address or name, 443), timeout=seconds) as raw,
            context.wrap_socket(raw, server_hostname=name) as secure,
        ):
            said = secure.getpeercert() or {}
    except (OSError, ValueError) as error:
        return {"problem": f"no certificate that counts: {error}"}
    return {"ends": datetime.fromtimestamp(ssl.cert_time_to_seconds(str(said["notAfter"])), UTC)}


def ports_of(text: str) -> list[int]:
    """`22,80,8000-8010` as numbers.

    Raises:
        ValueError: naming the part that is none.
    """
    out: set[int] = set()
    for part in filter(None, text.replace(" ", "").split(",")):
        first, _, last = part.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[0] < 1 or numbers[-1] > 65535:
            raise ValueError(f"{part!r} is no port and no range of ports")
        out.update(numbers)
    return sorted(out)


def open_ports(address: str, numbers: Collection[int], seconds: float = SECONDS) -> list[int]:
    """Which of these TCP ports accept a connection. All 65,535 of a host that drops the others take some 70 s.

    Raises:
        OSError: the address is none.
    """
    family, *_, place = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)[0]
    ordered = sorted(numbers)
    batches = [ordered[at : at + AT_ONCE] for at in range(0, len(ordered), AT_ONCE)]
    return [number for batch in batches for number in _knock(family, str(place[0]), batch, seconds)]


def _knock(family: int, address: str, numbers: Collection[int], seconds: float) -> list[int]:
    """The time counts from the last knock, however long this machine took to get there."""
    answered = []
    with ExitStack() as doors, selectors.DefaultSelector() as waiting:
        for number in numbers:
            door = doors.enter_context(socket.socket(family, socket.SOCK_STREAM))
            door.setblocking(False)
            if door.connect_ex((address, number)) in (0, errno.EINPROGRESS):
                waiting.register(door, selectors.EVENT_WRITE, number)
        end = time.monotonic() + seconds
        while waiting.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                waiting.unregister(key.fileobj)
                if not _refused(key.fileobj):
                    answered.append(int(key.data))
    return sorted(answered)


def _refused(door: Any) -> int:
    """0 where the connection stands."""
    return int(door.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
