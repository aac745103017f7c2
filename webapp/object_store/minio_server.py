"""MinIO: user, policy and bucket through its own administration."""

from __future__ import annotations

import json
import tempfile

from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error
from minio.minioadmin import MinioAdmin

from webapp.object_store import policy
from webapp.object_store.buckets import access, administrator, ensure_bucket
from webapp.settings import Settings
from webapp.storage import Access, told


def prepare(settings: Settings) -> bool:
    """True where anything changed. Raises SettingsError, StorageUnavailable, StorageError."""
    boss = administrator(settings)
    admin = MinioAdmin(
        endpoint=boss.endpoint.netloc,
        credentials=StaticProvider(boss.access_key, boss.secret_key.reveal()),
        region=boss.region,
        secure=boss.endpoint.secure,
    )
    name = f"moorage-{settings.s3_bucket_artifacts}"
    user = access(settings, settings.s3_access_key_id, settings.s3_secret_access_key)
    with told():
        # A list and not any(): every step has to run.
        changes = [
            ensure_bucket(boss.client(), settings.s3_bucket_artifacts),
            _ensure_policy(admin, name, policy.policy_of(settings.s3_bucket_artifacts)),
            _ensure_user(admin, user),
            _ensure_attached(admin, name, user.access_key),
        ]
    return any(changes)


def _ensure_policy(admin: MinioAdmin, name: str, wanted: str) -> bool:
    try:
        known = json.loads(admin.policy_info(name))
    except MinioAdminException:
        known = {}
    document = known.get("Policy", known)
    if document and policy.same(json.dumps(document), wanted):
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # the client takes a path, not a document
        file.write(wanted)
        file.flush()
        admin.policy_add(name, file.name)
    return True


def _ensure_user(admin: MinioAdmin, user: Access) -> bool:
    """MinIO does not give a secret back: whether it is the right one is seen by using it."""
    try:
        admin.user_info(user.access_key)
        user.client().list_buckets()
    except MinioAdminException:
        pass  # no such user
    except S3Error as error:
        if error.code == "AccessDenied":
            return False  # the signature was right; only listing is not allowed
    else:
        return False
    admin.user_add(user.access_key, user.secret_key.reveal())
    return True


def _ensure_attached(admin: MinioAdmin, name: str, user: str) -> bool:
    facts = json.loads(admin.user_info(user))
    if name == facts.get("policyName"):
        return False
    admin.policy_set(name, user=user)
    return True
