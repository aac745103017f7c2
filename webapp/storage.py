"""ObjectStore: the narrow interface to any S3 server, over the minio client. There is no second implementation.

Two clients: one for the address inside, one for the public address that presigned URLs are signed for (the
signature covers the host). Both are given their region, so that signing asks nobody.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from http.client import BadStatusLine, LineTooLong, RemoteDisconnected, UnknownProtocol
from typing import BinaryIO

import urllib3
from minio.api import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from webapp.errors import StorageError, StorageUnavailable
from webapp.redaction import Secret
from webapp.settings import Settings
from webapp.variables import Endpoint

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 20.0
CHUNK_BYTES = 256 * 1024

_NOT_THERE = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NoSuchVersion"})
_REFUSED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_BUSY = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "XMinioServerNotInitialized"})
# What stands before a store says so where the store is away or too busy.
_GATEWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class ObjectNotFound(StorageError):
    status, code, message = 404, "OBJECT_NOT_FOUND", "There is no such object."


class StorageRefused(StorageError):
    """The store knows us and says no: the key lacks a right, or is not the store's."""

    message = "The object store refused this process's key."


@dataclass(frozen=True)
class ObjectFacts:
    """What the store says about an object without giving its bytes. `size` in bytes."""

    key: str
    size: int
    etag: str
    content_type: str
    modified: datetime | None
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Access:
    """Whose key, where, and how long to wait for it (seconds; `attempts` 1 means no second try)."""

    endpoint: Endpoint
    region: str
    access_key: str
    secret_key: Secret
    path_style: bool = True
    connect_seconds: float = CONNECT_TIMEOUT_SECONDS
    read_seconds: float = READ_TIMEOUT_SECONDS
    attempts: int = 3

    def client(self) -> Minio:
        """A minio client; connects to nothing until it is used."""
        timeout = urllib3.Timeout(connect=self.connect_seconds, read=self.read_seconds)
        retries = urllib3.Retry(
            total=self.attempts - 1,
            redirect=False,  # a signature holds for one host: a store that sends us elsewhere is none
            backoff_factor=0.2,
            status_forcelist=(500, 502, 503, 504),
            raise_on_status=False,
        )
        client = Minio(
            self.endpoint.netloc,
            access_key=self.access_key,
            secret_key=self.secret_key.reveal(),
            secure=self.endpoint.secure,
            region=self.region,
            http_client=urllib3.PoolManager(timeout=timeout, retries=retries, maxsize=16),
        )
        if self.path_style:
            client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]  # minio's omission
        else:
            client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]  # minio's omission
        return client


class ObjectStore:
    """One private bucket. Every method raises StorageUnavailable (down), StorageRefused or StorageError (nonsense)."""

    def __init__(self, inside: Access, public: Endpoint, *, bucket: str, presign_seconds: int) -> None:
        self.bucket = bucket
        self._inside = inside.client()
        self._public = Access(public, inside.region, inside.access_key, inside.secret_key, inside.path_style).client()
        self._presign_for = timedelta(seconds=presign_seconds)

    @classmethod
    def of(cls, settings: Settings, *, answers_within: float | None = None) -> ObjectStore:
        """The store of these settings. With `answers_within` (seconds) it tries once and waits no longer."""
        limits = {} if answers_within is None else {"connect": answers_within, "read": answers_within}
        inside = Access(
            settings.s3_endpoint,
            settings.s3_region,
            settings.s3_access_key_id,
            settings.s3_secret_access_key,
            settings.s3_force_path_style,
            connect_seconds=limits.get("connect", CONNECT_TIMEOUT_SECONDS),
            read_seconds=limits.get("read", READ_TIMEOUT_SECONDS),
            attempts=1 if limits else 3,
        )
        return cls(
            inside,
            settings.public_endpoint,
            bucket=settings.s3_bucket_artifacts,
            presign_seconds=settings.s3_presign_ttl_seconds,
        )

    @property
    def inside(self) -> Minio:
        """The client itself, for webapp/parts.py and nobody else."""
        return self._inside

    def presign_get(self, key: str) -> str:
        """A URL that gives the object to whoever holds it until it expires. Needs no network."""
        with told():
            return self._public.presigned_get_object(self.bucket, key, expires=self._presign_for)

    def presign_put(self, key: str) -> str:
        """A URL that takes the object's bytes. Needs no network."""
        with told():
            return self._public.presigned_put_object(self.bucket, key, expires=self._presign_for)

    def stat(self, key: str) -> ObjectFacts:
        """Raises ObjectNotFound."""
        with told():
            seen = self._inside.stat_object(self.bucket, key)
            if seen.size is None or not seen.etag:
                raise StorageError("The object store's answer names neither size nor tag: this is no S3 server.")
        return ObjectFacts(
            key=key,
            size=seen.size,
            etag=seen.etag.strip('"'),
            content_type=seen.content_type or "",
            modified=seen.last_modified,
            metadata=dict(seen.metadata or {}),
        )

    def put(
        self,
        key: str,
        data: BinaryIO | bytes,
        *,
        size: int | None = None,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """`size` in bytes is needed where `data` is a stream."""
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        length = len(data) if isinstance(data, bytes) else -1 if size is None else size
        part = 0 if length >= 0 else 10 * 1024 * 1024
        with told():
            self._inside.put_object(
                self.bucket, key, stream, length, content_type, dict(metadata or {}), part_size=part
            )

    def get(self, key: str) -> Iterator[bytes]:
        """The object's bytes in chunks. Raises ObjectNotFound at the first."""
        with told():
            answer = self._inside.get_object(self.bucket, key)
            try:
                yield from answer.stream(CHUNK_BYTES)
            finally:
                answer.close()
                answer.release_conn()

    def delete(self, key: str) -> None:
        """An object that is not there counts as deleted."""
        with told():
            self._inside.remove_object(self.bucket, key)

    def check(self) -> None:
        """Returns where the bucket is there and this key may see it."""
        with told():
            if not self._inside.bucket_exists(self.bucket):
                raise StorageError(f"There is no bucket {self.bucket}. `moorage store prepare` makes it.")


@contextmanager
def told() -> Iterator[None]:
    """Whatever the client raises, in our words: not there, no right, down, or nonsense."""
    try:
        yield
    except S3Error as error:
        raise _meant(error.code or "", error.response.status if error.response is not None else 0) from error
    except InvalidResponseError as error:
        # Some servers send S3's own errors as text/xml, which minio does not read.
        code = re.search(r"<Code>(\w+)</Code>", str(error))
        raise _meant(code[1] if code else "nonsense", 0) from error
    except ServerError as error:
        if error.status_code in _GATEWAY:
            raise StorageUnavailable from error
        raise StorageError(f"The object store answered HTTP {error.status_code} and no more.") from error
    except (HTTPError, OSError) as error:
        if _is_no_http(error):
            raise StorageError("The object store's answer is no HTTP.") from error
        raise StorageUnavailable from error
    except (MinioException, ValueError) as error:
        raise StorageError(f"The object store's answer could not be understood ({type(error).__name__}).") from error


def _is_no_http(error: BaseException) -> bool:
    """Did something answer that does not speak HTTP? A connection that was cut is no answer."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, BadStatusLine | LineTooLong | UnknownProtocol):
            return not isinstance(seen, RemoteDisconnected)
        inner = getattr(seen, "reason", None)
        inner = inner if isinstance(inner, BaseException) else next(reversed(seen.args), None)
        seen = inner if isinstance(inner, BaseException) else None
    return False


def _meant(code: str, status: int) -> StorageError | StorageUnavailable:
    """What an S3 error code (and the HTTP status, where it is known) means here."""
    if code in _NOT_THERE:
        return ObjectNotFound()
    if code in _REFUSED or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return StorageRefused(f"The object store refused this process's key ({code}).")
    if code in _BUSY or status >= 500:
        return StorageUnavailable()
    return StorageError(f"The object store answered {code}.")
