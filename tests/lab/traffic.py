"""Those who read and write records the whole time, and remember what they were promised."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.lab.network import DOMAIN

Call = Callable[..., tuple[int, Any]]
NOTES = "/api/v1/workspace/notes"
SECONDS = 30.0
FROZEN = "WRITES_FROZEN"


class Api:
    """Asks the control plane at an address, each time over a connection of its own, as somebody with a token."""

    def __init__(self, address: str, root: str, token: str) -> None:
        self._address, self._token = address, token
        self._context = ssl.create_default_context(cadata=root)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The answer's status and content. Raises OSError, http.client.HTTPException."""
        with self.kept() as call:
            return call(method, path, body)

    @contextmanager
    def kept(self) -> Iterator[Call]:
        """The same over one connection, for who has many questions."""
        raw = socket.create_connection((self._address, 443), timeout=SECONDS)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._context.wrap_socket(raw, server_hostname=f"api.{DOMAIN}") as secure:
            connection = http.client.HTTPConnection(f"api.{DOMAIN}", 443, timeout=SECONDS)
            connection.sock = secure
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}

            def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read() or b"null")

            yield call


@dataclass
class Traffic:
    """Runs while the block does.

    Args:
        known: a record that is there all the time, and is read.
        promised: id to the title that was acknowledged last. doubtful: ids whose last write had no answer.
        frozen: when writes were refused because they were frozen. trouble: what else was no right answer, with when.
    """

    api: Api
    known: str
    writers: int = 4
    readers: int = 2
    pause: float = 0.05
    promised: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    frozen: list[float] = field(default_factory=list)
    trouble: list[tuple[float, str]] = field(default_factory=list)
    reads: int = 0
    writes: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(self.writers)]
        self._threads += [threading.Thread(target=self._read) for _ in range(self.readers)]

    @property
    def frozen_seconds(self) -> float:
        """From the first refusal to the last of those that lie together: what users saw of the last freeze."""
        begun = ended = None
        for at in reversed(self.frozen):
            if begun is not None and begun - at > 5:
                break
            begun, ended = at, ended or at
        return (ended or 0.0) - (begun or 0.0)

    def lost(self, api: Api) -> list[str]:
        """Ids of promised writes that are not there now, or are as they were before."""
        out = []
        with api.kept() as call:
            for name, title in self.promised.items():
                status, said = call("GET", f"{NOTES}/{name}")
                if name not in self.doubtful and (status != 200 or said["data"]["title"] != title):
                    out.append(f"{name}: {status}, {title!r} was promised: {said}")
        return out

    def _write(self, number: int) -> None:
        """Of two turns one makes a record, and one changes it."""
        turn = 0
        while not self._stop.wait(self.pause):
            name, title = f"w{number}-{turn // 2}", f"turn {turn}"
            ask: tuple[Any, ...] = ("POST", NOTES, {"id": name, "title": title})
            if turn % 2:
                ask = ("PATCH", f"{NOTES}/{name}", {"title": title})
            if (turn % 2 and name not in self.promised) or self._asked(name, title, *ask):
                turn += 1

    def _asked(self, name: str, title: str, *ask: Any) -> bool:
        """Whether the turn is over: a frozen write is tried again."""
        try:
            status, said = self.api.call(*ask)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.doubtful.add(name)
            self.trouble.append((time.time(), f"write {name}: {error!r}"))
            return True
        if status in (200, 201):
            self.writes += 1
            self.promised[name] = title
            return True
        if said and (said.get("error") or {}).get("code") == FROZEN:
            self.frozen.append(time.time())
            return False
        self.trouble.append((time.time(), f"write {name}: {status} {said}"))
        return True

    def _read(self) -> None:
        while not self._stop.wait(self.pause):
            try:
                status, said = self.api.call("GET", f"{NOTES}/{self.known}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.trouble.append((time.time(), f"read: {error!r}"))
                continue
            self.reads += 1
            if status != 200 or said["data"]["id"] != self.known:
                self.trouble.append((time.time(), f"read: {status} {said}"))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
