"""Sorting more than fits in memory: sorted runs in temporary files, merged while they are read."""

from __future__ import annotations

import heapq
import os
import pickle
import tempfile
from collections.abc import Iterator
from typing import IO, Any

# Entries in memory at once: with ids of 20 characters, and a position and a length, about 60 MB.
RUN = 200_000
RUN_BYTES = 16 * 1024 * 1024
# Entries of a run that are read at once while runs are merged.
_BLOCK = 200
_HEAD = 8


class Spool:
    """Entries `(id, …)` that go in as they come and come out in the order of their ids, equal ones in the order in
    which they came. What does not fit lies in the folder for temporary files."""

    def __init__(self, run: int | None = None) -> None:
        self._run, self._size = run or RUN, 0
        self._waiting: list[tuple[Any, ...]] = []
        self._files: list[IO[bytes]] = []

    def add(self, entry: tuple[Any, ...], *, size: int = 0) -> None:
        """`size`: of what is in it beside a few numbers, in bytes."""
        self._waiting.append(entry)
        self._size += size
        if len(self._waiting) >= self._run or self._size >= RUN_BYTES:
            self._write()

    def _write(self) -> None:
        self._waiting.sort(key=_id_of)
        file = tempfile.TemporaryFile(prefix="moorage-cutover-")  # noqa: SIM115 - lives as long as the spool
        for begin in range(0, len(self._waiting), _BLOCK):
            block = pickle.dumps(self._waiting[begin : begin + _BLOCK], protocol=pickle.HIGHEST_PROTOCOL)
            file.write(len(block).to_bytes(_HEAD, "big") + block)
        file.flush()
        self._files.append(file)
        self._waiting, self._size = [], 0

    def entries(self) -> Iterator[tuple[Any, ...]]:
        """All of them, in order. May be asked again, also while another reader has not come to its end."""
        self._waiting.sort(key=_id_of)
        runs = [_blocks(file) for file in self._files]
        yield from heapq.merge(*runs, iter(list(self._waiting)), key=_id_of)


def _id_of(entry: tuple[Any, ...]) -> str:
    text: str = entry[0]
    return text


def _blocks(file: IO[bytes]) -> Iterator[tuple[Any, ...]]:
    # By position: the file's own one is shared with every process that was forked off.
    number, position = file.fileno(), 0
    while head := os.pread(number, _HEAD, position):
        length = int.from_bytes(head, "big")
        block = os.pread(number, length, position + _HEAD)
        position += _HEAD + length
        yield from pickle.loads(block)  # noqa: S301 - written by this process, in a file that has no name
