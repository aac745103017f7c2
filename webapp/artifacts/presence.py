"""Is the object there, and how large? Asked of the store, and remembered a moment: a HEAD costs more than the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from webapp.storage import ObjectNotFound, ObjectStore

# The contract's: as seen at most 10 s ago. What is missing is looked for again soon, because it is being uploaded.
SEEN_SECONDS, MISSING_SECONDS = 10.0, 1.0
REMEMBERED = 10_000
# Somebody waits for an answer: a store that takes longer is down.
ANSWERS_WITHIN_SECONDS = 3.0


class Presence:
    """Sizes of objects as this process saw them last."""

    def __init__(self, store: ObjectStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._seen: dict[str, tuple[float, int | None]] = {}
        self._lock = threading.Lock()

    def size(self, key: str) -> int | None:
        """Bytes; None where there is no such object. Raises StorageUnavailable, StorageError."""
        known = self._seen.get(key)
        if known is not None and self._clock() < known[0]:
            return known[1]
        try:
            size: int | None = self._store.stat(key).size
        except ObjectNotFound:
            size = None
        until = self._clock() + (MISSING_SECONDS if size is None else SEEN_SECONDS)
        with self._lock:
            while len(self._seen) >= REMEMBERED:
                self._seen.pop(next(iter(self._seen)))
            self._seen[key] = (until, size)
        return size
