"""The folder of the dumps: each a compressed file and, written after it, the manifest that seals it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

PARTIAL = ".partial"
# Left free for PostgreSQL itself, which stops when the disk is full.
RESERVE = 256 * 1024 * 1024
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Seal:
    """What a manifest says of its dump. Times are UTC, sizes bytes.

    `content` is the digest of what the dump says (`dump_stream.ContentDigest`), `sha256` that of the file.
    """

    file: str
    database: str
    at: str
    why: str
    bytes: int
    sha256: str
    content: str
    seconds: float
    revision: str
    server: str

    @property
    def manifest(self) -> str:
        """Name of the manifest's own file."""
        return self.file.removesuffix(".sql.gz") + ".json"


def shortage(database: str, size: int, free: int) -> str:
    """Why a database must not be dumped to a disk, or ''. Pure.

    A plain dump has no indexes and is compressed, so it is smaller than the database; this is on the safe side.
    """
    needed = size + RESERVE
    if free >= needed:
        return ""
    return (
        f"{database} has {size // 2**20} MB, and the disk for its dump {free // 2**20} MB free; {needed // 2**20} MB "
        "are wanted, so that PostgreSQL still has room. Free some, or take a larger disk."
    )


def free_bytes(folder: Path) -> int:
    """Free space of the file system that holds, or will hold, a folder."""
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def sealed(folder: Path, database: str) -> list[Seal]:
    """The sealed dumps of a database, oldest first; what has no manifest, or not its size, is none."""
    found = []
    for path in folder.glob("*.json"):
        try:
            seal = Seal(**json.loads(path.read_text()))
            whole = (folder / Path(seal.file).name).stat().st_size == seal.bytes
        except (ValueError, TypeError, OSError):
            continue
        if seal.database == database and seal.manifest == path.name and whole:
            found.append(seal)
    return sorted(found, key=lambda seal: (seal.at, seal.file))


def intact(folder: Path, seal: Seal) -> bool:
    """Whether a dump still has the bytes that its manifest says."""
    digest = hashlib.sha256()
    with (folder / seal.file).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == seal.sha256


def surplus(seals: list[Seal], keep: int, coming: bool = False) -> list[Seal]:
    """Those beyond the newest `keep`, of which one may only be `coming`. Pure."""
    return seals[: max(0, len(seals) + coming - keep)]


def forget(folder: Path, seal: Seal) -> None:
    """Remove a dump, its manifest first: what is half removed is not believed."""
    (folder / seal.manifest).unlink()
    (folder / seal.file).unlink()


def sweep(folder: Path) -> None:
    """Remove what dumps have left that were killed."""
    for path in folder.glob(f"*{PARTIAL}"):
        path.unlink()


@contextmanager
def new_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """A file for root alone that gets its name when the block ends well, and is gone when it does not."""
    partial = folder / f"{name}{PARTIAL}"
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(folder / name)
    finally:
        partial.unlink(missing_ok=True)


def seal(folder: Path, manifest: Seal) -> None:
    """Write the manifest of a dump that lies there: the last thing, which makes it one."""
    with new_file(folder, manifest.manifest) as file:
        file.write((json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n").encode())
    with suppress(OSError):  # some file systems cannot
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
