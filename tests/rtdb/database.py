"""The data: written at a place, listened to at a place, kept in an export file."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.rtdb.values import Refused, at, etag_of, kept, refuse_key, shown

Keys = tuple[str, ...]


class Stale(Exception):
    """The data is not what `if-match` says. Carries what it is."""

    def __init__(self, current: Any) -> None:
        super().__init__("ETag mismatch")
        self.current = current


@dataclass(frozen=True)
class Event:
    """`put` or `patch`; `path` is relative to whoever listens."""

    kind: str
    path: str
    data: Any


@dataclass
class Database:
    """`file`: an export, read at the beginning and written by `save`; without one, nothing is kept."""

    file: Path | None = None
    _data: Any = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _listeners: dict[int, tuple[Keys, queue.SimpleQueue[Event]]] = field(default_factory=dict)
    _number: int = 0
    _saved: Any = None

    def __post_init__(self) -> None:
        if self.file is not None and self.file.exists() and self.file.stat().st_size:
            self._data = self._saved = kept(orjson.loads(self.file.read_bytes()))

    def save(self) -> None:
        """Write the file, where anything has changed since. What is written is never half of something."""
        data = self._data  # never changed in place
        if self.file is None or data is self._saved:
            return
        beside = self.file.with_name(self.file.name + ".new")
        beside.write_bytes(orjson.dumps(shown(data), option=orjson.OPT_INDENT_2))
        beside.replace(self.file)
        self._saved = data

    def get(self, keys: Keys) -> Any:
        """The inner form of what is there; not to be changed."""
        with self._lock:
            return at(self._data, keys)

    def put(self, keys: Keys, value: Any, if_match: str | None = None) -> Any:
        """The data at the place from now on. Raises Refused, Stale."""
        inner = kept(value, len(keys))
        with self._lock:
            self._match(keys, if_match)
            self._set(keys, inner)
            self._tell("put", keys, inner)
            return inner

    def patch(self, keys: Keys, changes: Any) -> None:
        """Several places beneath this one at once: a key may be a path. Raises Refused."""
        if not isinstance(changes, dict):
            raise Refused(
                "Invalid data; couldn't parse JSON object. Are you sending a JSON object with valid key names?"
            )
        wanted = {tuple(name.strip("/").split("/")): value for name, value in changes.items()}
        for below in wanted:
            for key in below:
                refuse_key(key)
        inner = {below: kept(value, len(keys) + len(below)) for below, value in wanted.items()}
        with self._lock:
            for below, value in inner.items():
                self._set((*keys, *below), value)
            self._tell("patch", keys, {"/".join(below): shown(value) for below, value in inner.items()})

    @contextlib.contextmanager
    def listening(self, keys: Keys) -> Iterator[Callable[[float], Event | None]]:
        """A function that waits so many seconds for the next event, the first of which is all that is there."""
        heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
        with self._lock:
            self._number += 1
            number = self._number
            self._listeners[number] = keys, heard
            heard.put(Event("put", "/", shown(at(self._data, keys))))

        def following(seconds: float) -> Event | None:
            try:
                return heard.get(timeout=seconds)
            except queue.Empty:
                return None

        try:
            yield following
        finally:
            with self._lock:
                del self._listeners[number]

    def _match(self, keys: Keys, if_match: str | None) -> None:
        current = at(self._data, keys)
        if if_match is not None and if_match not in ("*", etag_of(current)):
            raise Stale(current)

    def _set(self, keys: Keys, inner: Any) -> None:
        self._data = _replaced(self._data, keys, inner)

    def _tell(self, kind: str, keys: Keys, data: Any) -> None:
        for where, heard in self._listeners.values():
            if keys[: len(where)] == where:
                path = "/" + "/".join(keys[len(where) :])
                heard.put(Event(kind, path, shown(data) if kind == "put" else data))
            elif where[: len(keys)] == keys:
                # Above whoever listens: to them, all of theirs may be another.
                heard.put(Event("put", "/", shown(at(self._data, where))))


def _replaced(value: Any, keys: Keys, inner: Any) -> Any:
    """A copy along the path: what somebody is reading just now stays as it is. What is left empty goes."""
    if not keys:
        return inner
    here = dict(value) if isinstance(value, dict) else {}
    below = _replaced(here.get(keys[0]), keys[1:], inner)
    if below is None:
        here.pop(keys[0], None)
        # Nothing written beneath a value leaves it alone.
        return here or (value if not isinstance(value, dict) else None)
    here[keys[0]] = below
    return here
