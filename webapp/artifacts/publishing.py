"""Publishing: a file into the bucket, in parts, taken up where it was cut off, and looked at before it is believed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from webapp.artifacts.service import TENANTS_KEYS
from webapp.errors import StorageError, StorageUnavailable
from webapp.failures import Failure
from webapp.parts import Parts
from webapp.storage import ObjectNotFound, ObjectStore

# S3 takes parts of 5 MiB and more, and 10,000 of them. One part is all that is held in memory.
PART_BYTES, MOST_PARTS = 8 * 1024 * 1024, 10_000
CHUNK_BYTES = 1024 * 1024
ATTEMPTS, PAUSE_SECONDS = 5, 1.0

Say = Callable[[str], None]


class FileUnfit(Failure):
    code = "FILE_UNFIT"


class DigestMismatch(Failure):
    code = "DIGEST_MISMATCH"


class _Damaged(Exception):
    """A part in the store is not the file's. Not every store takes a part a second time."""


@dataclass(frozen=True)
class Content:
    """A file's size in bytes and its SHA-256."""

    size: int
    sha256: str


def content_of(path: Path) -> Content:
    """Raises FileUnfit for what is no file, cannot be read or is empty."""
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise FileUnfit(f"{path} cannot be read: {error.strerror}.") from error
    if size == 0:
        raise FileUnfit(f"{path} is empty: there is nothing to publish.")
    return Content(size, digest.hexdigest())


def key_of(tenant: str, content: Content, *names: str) -> str:
    """Where the object goes: under the tenant's own prefix, and by its digest, so that other bytes get another key."""
    safe = ["".join(c if c.isalnum() or c in "._-" else "-" for c in name) for name in names]
    return "/".join([f"{TENANTS_KEYS}{tenant}", *safe, content.sha256[:32]])


def upload(
    store: ObjectStore,
    path: Path,
    content: Content,
    key: str,
    *,
    content_type: str,
    metadata: Mapping[str, str],
    say: Say = lambda _words: None,
) -> None:
    """The file is in the bucket under `key` when this returns, byte for byte.

    Raises DigestMismatch (the object is deleted then), StorageUnavailable, StorageError; parts that have arrived stay
    for the next try.
    """
    if not _there(store, key, content):
        facts = {**metadata, "sha256": content.sha256}
        parts = Parts.begin(store, key, content_type=content_type, metadata=facts)
        try:
            etags = dict(_send_all(parts, path, content, say))
        except _Damaged:
            say("a part that was there is not the file's: beginning anew")
            parts.abort()
            parts = Parts.begin(store, key, content_type=content_type, metadata=facts)
            etags = dict(_send_all(parts, path, content, say))
        parts.complete(etags)
    say("reading it back …")
    digest = hashlib.sha256()
    for chunk in store.get(key):
        digest.update(chunk)
    if digest.hexdigest() != content.sha256:
        store.delete(key)
        raise DigestMismatch(
            f"What the store gives back is not what was sent (SHA-256 {digest.hexdigest()}, not {content.sha256}):"
            " the object was deleted and no release made. Did the file change meanwhile? Publish it again."
        )


def part_bytes(size: int) -> int:
    """The size of a part for a file: PART_BYTES, or as much more as MOST_PARTS ask for."""
    return max(PART_BYTES, -(-size // MOST_PARTS))


def _there(store: ObjectStore, key: str, content: Content) -> bool:
    try:
        return store.stat(key).size == content.size
    except ObjectNotFound:
        return False


def _send_all(parts: Parts, path: Path, content: Content, say: Say) -> Iterator[tuple[int, str]]:
    known, step = parts.uploaded(), part_bytes(content.size)
    count = -(-content.size // step)
    with path.open("rb") as file, urllib3.PoolManager(retries=False) as pool:
        for number in range(1, count + 1):
            data = file.read(step)
            there = known.get(number)
            etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
            if there is None:
                yield number, _send(pool, parts, number, data)
                say(f"part {number} of {count}")
            elif (there.size, there.etag) == (len(data), etag):
                say(f"part {number} of {count} was there")
                yield number, there.etag
            else:
                raise _Damaged


def _send(pool: urllib3.PoolManager, parts: Parts, number: int, data: bytes) -> str:
    """The part's ETag. Tries again what may pass: a connection that broke, a store that is busy."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = pool.request("PUT", parts.url(number), body=data, timeout=urllib3.Timeout(connect=5, read=300))
        except (HTTPError, OSError) as error:
            if attempt == ATTEMPTS:
                raise StorageUnavailable(f"Part {number} could not be sent ({type(error).__name__}).") from error
        else:
            if answer.status == 200 and answer.headers.get("ETag"):
                return str(answer.headers["ETag"]).strip('"')
            if answer.status < 500 or attempt == ATTEMPTS:
                raise StorageError(f"The object store answered {answer.status} to part {number}.")
        time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
    raise StorageUnavailable
