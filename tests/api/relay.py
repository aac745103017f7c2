"""A TCP relay that can stop (connections are refused and cut) or hang (taken, but nothing is ever answered)."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self


class Relay:
    """Listens on a port of its own and passes everything on, until told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._hanging = threading.Event()
        self._closed = threading.Event()
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._serve()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._accepting.is_alive():
            self.stop()

    def stop(self) -> None:
        """As if the server had been stopped."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts: closing alone would not
        self._accepting.join()
        self._listener.close()
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._open.clear()

    def start(self) -> None:
        """As if it had been started again, on the same port."""
        self._hanging.clear()
        self._listener = _listen(self.port)
        self._serve()

    def hang(self) -> None:
        """Connections stay and new ones are taken, but no byte passes any more."""
        self._hanging.set()

    def resume(self) -> None:
        self._hanging.clear()

    def _serve(self) -> None:
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepting.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.append(client)
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        with contextlib.suppress(OSError, ValueError):
            while not self._closed.is_set():
                if self._hanging.is_set():
                    self._closed.wait(0.05)
                    continue
                if server is None:
                    server = socket.create_connection(self._target)
                    with self._lock:
                        self._open.append(server)
                for one in select.select([client, server], [], [], 0.05)[0]:
                    if self._hanging.is_set():
                        break
                    data = one.recv(65536)
                    if not data:
                        return
                    (server if one is client else client).sendall(data)
        for one in (client, server):
            if one is not None:
                one.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener
