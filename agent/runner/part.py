"""The file while it is not whole yet: `FILE.part`, and `FILE.part.json` that says of what it is a part."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from agent.failures import Failure
from agent.files import lock, sync_folder, write_private

DISK_EXIT = 5
CHUNK = 256 * 1024


@dataclass(frozen=True)
class Resolved:
    """The answer of resolve-download. `etag` of the object is learned with the first bytes."""

    url: str
    resolution_id: str
    release_id: int
    version: str
    sha256: str
    size: int


@contextlib.contextmanager
def disk_words(path: Path) -> Iterator[None]:
    """What the disk refuses, in words: DISK_FULL, OUTPUT_NOT_WRITABLE."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Failure("DISK_FULL", f"The disk of {path.parent} is full. What was downloaded is kept; make room and"
                          " run the same command again to go on.", exit_code=DISK_EXIT) from error
        raise Failure("OUTPUT_NOT_WRITABLE", f"{path} cannot be written ({error.strerror}). Name another --output, or"
                      " run this as a user who may write there.", exit_code=DISK_EXIT) from error


def digest(path: Path) -> str:
    """SHA-256 over the whole file, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


class Part:
    """One process at a time: Failure OUTPUT_IN_USE where another fetches to the same place."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.path = output.with_name(f"{output.name}.part")
        self._note = output.with_name(f"{output.name}.part.json")
        self._file: IO[bytes] | None = None
        self.etag: str | None = None
        # Bytes that were there before this run and are kept, and bytes that this run has received.
        self.resumed_from: int | None = None
        self.received = 0
        self._lock = output.with_name(f".{output.name}.lock")
        with disk_words(self.path):
            self._held = lock(self._lock)
        if self._held is None:
            raise Failure("OUTPUT_IN_USE", f"Another moorage-runner is fetching {output}. Wait for it.")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def open_for(self, resolved: Resolved) -> None:
        """Keeps what is there where it is a part of the same content, else begins anew. Failure DISK_FULL at once where
        the rest will not fit."""
        note = self._read_note()
        if note.get("sha256") != resolved.sha256 or note.get("size") != resolved.size or self.size > resolved.size:
            self.restart()
            note = {}
        self.etag = note.get("etag") if isinstance(note.get("etag"), str) else None
        if self.resumed_from is None:
            self.resumed_from = self.size
        with disk_words(self.path):
            free = shutil.disk_usage(self.output.parent).free
            if free < resolved.size - self.size:
                raise OSError(errno.ENOSPC, f"{resolved.size - self.size} bytes are missing and {free} are free")
            self._write_note(resolved)

    def learn_etag(self, resolved: Resolved, etag: str | None) -> None:
        """Only a strong one can promise that a range continues the same bytes."""
        self.etag = etag if etag and not etag.startswith("W/") else None
        with disk_words(self.path):
            self._write_note(resolved)

    def restart(self) -> None:
        with disk_words(self.path):
            self.close_file()
            self.path.unlink(missing_ok=True)
        self.resumed_from = 0

    def append(self, chunk: bytes) -> None:
        with disk_words(self.path):
            if self._file is None:
                self._file = self.path.open("ab")
            self._file.write(chunk)
            self.received += len(chunk)

    def size_after(self, more: int) -> int:
        """How many bytes there would be with so many more, the ones not yet written out included."""
        return (self._file.tell() if self._file is not None else self.size) + more

    def close_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with disk_words(self.path):
                file.close()

    def seal(self) -> None:
        """Whole and verified: on disk first, under its name last."""
        with disk_words(self.output):
            with self.path.open("ab") as file:
                os.fsync(file.fileno())
            self.path.replace(self.output)
            sync_folder(self.output.parent)
            self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Nothing of it is left."""
        self.restart()
        self._note.unlink(missing_ok=True)

    def release(self) -> None:
        """Lets another fetch to the same place."""
        with contextlib.suppress(Failure):
            self.close_file()
        if self._held is not None:
            with contextlib.suppress(OSError):
                self._lock.unlink()
            self._held.close()

    def _read_note(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, orjson.JSONDecodeError):
            found = orjson.loads(self._note.read_bytes())
            return found if isinstance(found, dict) else {}
        return {}

    def _write_note(self, resolved: Resolved) -> None:
        write_private(
            self._note, orjson.dumps({"sha256": resolved.sha256, "size": resolved.size, "etag": self.etag})
        )
