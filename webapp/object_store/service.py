"""The bucket, the restricted user and the policy: made by an adapter per kind of store (S3_ADMIN_KIND)."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from types import ModuleType
from uuid import uuid4

from webapp.errors import StorageError
from webapp.object_store import ceph, given, minio_server
from webapp.settings import Settings
from webapp.storage import ObjectNotFound, ObjectStore

ADAPTERS: dict[str, ModuleType] = {"minio": minio_server, "ceph": ceph, "given": given}


def prepare(settings: Settings) -> bool:
    """Bring bucket, user and policy to what S3_* says; True where that changed anything. Can run again.

    Raises SettingsError where the administrator's key is missing, StorageUnavailable, StorageError.
    """
    changed: bool = ADAPTERS[settings.s3_admin_kind].prepare(settings)
    return changed


def retire(settings: Settings) -> bool:
    """Take every key of the restricted user's away but S3_ACCESS_KEY_ID; True where one was. Raises as `prepare`."""
    changed: bool = ADAPTERS[settings.s3_admin_kind].retire(settings)
    return changed


@dataclass(frozen=True)
class Seen:
    """One thing that `check` tried, and how it went."""

    what: str
    ok: bool
    detail: str = ""


def check(settings: Settings, *, answers_within: float | None = None) -> list[Seen]:
    """Put, look at, read, refuse to a stranger, delete: one object that is gone again afterwards.

    With `answers_within` (seconds) each call is tried once and waited for no longer.
    Raises StorageUnavailable, StorageError at the first signed call that fails.
    """
    store = ObjectStore.of(settings, answers_within=answers_within)
    key, body = f"moorage-check/{uuid4()}", b"moored"
    store.put(key, body, content_type="text/plain")
    try:
        seen = [
            Seen("put", True, f"{settings.s3_endpoint}/{store.bucket}/{key}"),
            Seen("stat", store.stat(key).size == len(body), f"{len(body)} bytes"),
            Seen("get", b"".join(store.get(key)) == body),
            _stranger(f"{settings.s3_endpoint}/{store.bucket}/{key}"),
        ]
    finally:
        store.delete(key)
    return [*seen, Seen("delete", _gone(store, key))]


def _stranger(url: str) -> Seen:
    """An unsigned GET must be refused: the bucket is private."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - S3_ENDPOINT is http(s) by its parser
            return Seen("anonymous read refused", False, f"answered {answer.status}: the bucket is open to anyone")
    except urllib.error.HTTPError as refusal:
        return Seen("anonymous read refused", refusal.code in (400, 401, 403), f"answered {refusal.code}")
    except OSError as error:
        raise StorageError(f"{url} does not answer plain HTTP ({type(error).__name__}).") from error


def _gone(store: ObjectStore, key: str) -> bool:
    try:
        store.stat(key)
    except ObjectNotFound:
        return True
    return False
