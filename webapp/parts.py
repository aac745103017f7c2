"""Uploads in parts: the part of ObjectStore's interface that only publishing needs.

The bytes go by presigned URL, so whoever sends them need not be whoever may sign. minio's own upload keeps everything
to itself; its calls for single steps begin with an underscore, and are used here alone (versions are locked).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from minio.api import Minio
from minio.datatypes import Part

from webapp.storage import ObjectNotFound, ObjectStore, told

# A part on a slow line takes long; the URL must outlive it.
PART_URL_LIVES = timedelta(hours=1)


@dataclass(frozen=True)
class Uploaded:
    """A part as the store has it: bytes, and the ETag (for most stores the MD5 of the bytes)."""

    number: int
    size: int
    etag: str


class Parts:
    """One object's upload. Every method raises StorageUnavailable, StorageRefused or StorageError."""

    def __init__(self, client: Minio, bucket: str, key: str, upload_id: str) -> None:
        self._client, self._bucket, self.key, self.upload_id = client, bucket, key, upload_id

    @classmethod
    def begin(cls, store: ObjectStore, key: str, *, content_type: str, metadata: Mapping[str, str]) -> Parts:
        """The upload of this key that was begun and never ended, the newest; else a new one."""
        client = store.inside
        if known := _pending(store, key):
            return cls(client, store.bucket, key, known)
        with told():
            headers = {"Content-Type": content_type, **{f"x-amz-meta-{k}": v for k, v in metadata.items()}}
            made = client._create_multipart_upload(store.bucket, key, headers)  # type: ignore[arg-type]  # str is one
        return cls(client, store.bucket, key, made)

    def uploaded(self) -> dict[int, Uploaded]:
        """The parts that the store has, by number."""
        found: dict[int, Uploaded] = {}
        marker: int | None = None
        while True:
            with told():
                page = self._client._list_parts(
                    self._bucket, self.key, self.upload_id, part_number_marker=None if marker is None else str(marker)
                )
            for part in page.parts:
                found[part.part_number] = Uploaded(part.part_number, part.size or 0, part.etag.strip('"'))
            if not page.is_truncated or not page.next_part_number_marker:
                return found
            marker = int(page.next_part_number_marker)

    def url(self, number: int) -> str:
        """Where to PUT a part's bytes."""
        with told():
            return self._client.get_presigned_url(
                "PUT",
                self._bucket,
                self.key,
                expires=PART_URL_LIVES,
                extra_query_params={"partNumber": str(number), "uploadId": self.upload_id},
            )

    def complete(self, etags: Mapping[int, str]) -> None:
        """Make the object out of its parts."""
        parts = [Part(number, etag) for number, etag in sorted(etags.items())]
        with told():
            self._client._complete_multipart_upload(self._bucket, self.key, self.upload_id, parts)

    def abort(self) -> None:
        """Forget the parts that have arrived."""
        with told():
            self._client._abort_multipart_upload(self._bucket, self.key, self.upload_id)


def _pending(store: ObjectStore, key: str) -> str | None:
    try:
        with told():
            found = store.inside._list_multipart_uploads(store.bucket, prefix=key).uploads
    except ObjectNotFound:  # some servers' way to say that none is under way
        return None
    mine = sorted(
        (one.initiated_time.timestamp() if one.initiated_time else 0.0, one.upload_id)
        for one in found
        if one.object_name == key and one.upload_id
    )
    return mine[-1][1] if mine else None
