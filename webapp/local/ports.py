"""Ports on the loopback address."""

from __future__ import annotations

import contextlib
import socket

from webapp.local.failures import PortInUse

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """The preferred port where it is free (links made before keep working), else any."""
    if preferred and is_free(preferred):
        return preferred
    with contextlib.closing(socket.socket()) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Raises PortInUse."""
    if not is_free(port):
        raise PortInUse(
            f"Port {port} on {LOOPBACK} is taken by another program. Stop that one, or choose another port: "
            f"PORT={port + 1 if port < 65535 else 8000} make up"
        )
