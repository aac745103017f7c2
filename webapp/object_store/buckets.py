"""What every adapter does with a bucket, as the administrator or as whoever was given the right."""

from __future__ import annotations

from minio.api import Minio
from minio.error import S3Error

from webapp.object_store import policy
from webapp.redaction import Secret
from webapp.settings import Settings, SettingsError
from webapp.storage import Access


def administrator(settings: Settings) -> Access:
    """Raises SettingsError where this process has not been given the administrator's key."""
    if settings.s3_admin_access_key_id is None or settings.s3_admin_secret_access_key is None:
        raise SettingsError(
            f"S3_ADMIN_ACCESS_KEY_ID and S3_ADMIN_SECRET_ACCESS_KEY are missing: S3_ADMIN_KIND={settings.s3_admin_kind}"
            " makes the user and the bucket with them. Where both exist already, S3_ADMIN_KIND=given needs neither."
        )
    return access(settings, settings.s3_admin_access_key_id, settings.s3_admin_secret_access_key)


def access(settings: Settings, key: str, secret: Secret) -> Access:
    return Access(settings.s3_endpoint, settings.s3_region, key, secret, settings.s3_force_path_style)


def ensure_bucket(client: Minio, bucket: str) -> bool:
    """True where it was made."""
    if client.bucket_exists(bucket):
        return False
    client.make_bucket(bucket)
    return True


def ensure_policy(client: Minio, bucket: str, wanted: str) -> bool:
    """True where the bucket's policy was another."""
    try:
        if policy.same(client.get_bucket_policy(bucket), wanted):
            return False
    except S3Error as error:
        if error.code != "NoSuchBucketPolicy":
            raise
    client.set_bucket_policy(bucket, wanted)
    return True
