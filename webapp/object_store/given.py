"""Any S3 server whose user is made elsewhere: only the bucket is made, where it is absent."""

from __future__ import annotations

from webapp.object_store.buckets import access, ensure_bucket
from webapp.settings import Settings
from webapp.storage import told


def prepare(settings: Settings) -> bool:
    """True where the bucket was made. Raises StorageUnavailable, StorageRefused, StorageError."""
    client = access(settings, settings.s3_access_key_id, settings.s3_secret_access_key).client()
    with told():
        return ensure_bucket(client, settings.s3_bucket_artifacts)


def retire(settings: Settings) -> bool:
    """False: whoever gave the keys takes them back."""
    return False
