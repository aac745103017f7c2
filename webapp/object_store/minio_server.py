"""MinIO: user, policy and bucket through its own administration."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import urllib3
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error
from minio.minioadmin import MinioAdmin

from webapp.errors import StorageError
from webapp.object_store import policy
from webapp.object_store.buckets import access, administrator, ensure_bucket
from webapp.settings import Settings
from webapp.storage import Access, StorageRefused, told


def prepare(settings: Settings) -> bool:
    """True where anything changed. Raises SettingsError, StorageUnavailable, StorageRefused, StorageError."""
    boss = administrator(settings)
    admin, name = _administration(boss), _policy_name(settings)
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


def retire(settings: Settings) -> bool:
    """Only S3_ACCESS_KEY_ID opens the store from now on; True where another user did. Raises as `prepare`.

    A user of MinIO has one secret, so a rotation makes another user with the same policy.
    """
    admin, name = _administration(administrator(settings)), _policy_name(settings)
    with told():
        users = _asked(admin.user_list) or {}
        policies = {user: (facts.get("policyName") or "").split(",") for user, facts in users.items()}
        others = [user for user, held in policies.items() if name in held and user != settings.s3_access_key_id]
        for user in sorted(others):
            _done(partial(admin.user_remove, user))
    return bool(others)


def _administration(boss: Access) -> MinioAdmin:
    return MinioAdmin(
        endpoint=boss.endpoint.netloc,
        credentials=StaticProvider(boss.access_key, boss.secret_key.reveal()),
        region=boss.region,
        secure=boss.endpoint.secure,
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=20), retries=False),
    )


def _policy_name(settings: Settings) -> str:
    return f"moorage-{settings.s3_bucket_artifacts}"


def _ensure_policy(admin: MinioAdmin, name: str, wanted: str) -> bool:
    known = _asked(lambda: admin.policy_info(name)) or {}
    document = known.get("Policy", known)  # newer servers wrap it in facts about it
    if document and policy.same(json.dumps(document), wanted):
        return False
    _done(lambda: admin.policy_add(name, policy=json.loads(wanted)))
    return True


def _ensure_user(admin: MinioAdmin, user: Access) -> bool:
    """MinIO does not give a secret back: whether it is the right one is seen by using it."""
    if _asked(lambda: admin.user_info(user.access_key)) is not None and _gets_in(user):
        return False
    _done(lambda: admin.user_add(user.access_key, user.secret_key.reveal()))
    return True


def _gets_in(user: Access) -> bool:
    try:
        user.client().list_buckets()
    except S3Error as error:
        return error.code == "AccessDenied"  # the signature was right; only listing is not allowed
    return True


def _ensure_attached(admin: MinioAdmin, name: str, user: str) -> bool:
    facts = _asked(lambda: admin.user_info(user)) or {}
    if facts.get("policyName") == name:
        return False
    # Set and not attached: it takes away whatever other policy the user had.
    _done(lambda: admin.policy_set(name, user=user))
    return True


def _asked(question: Callable[[], str]) -> dict[str, Any] | None:
    """The answer's JSON, None where MinIO does not know what was asked for."""
    try:
        answer: dict[str, Any] = json.loads(question())
    except MinioAdminException as error:
        if "404" in str(error).partition(", Body")[0]:
            return None
        raise _meant(error) from error
    return answer


def _done(order: Callable[[], str]) -> None:
    try:
        order()
    except MinioAdminException as error:
        raise _meant(error) from error


def _meant(error: MinioAdminException) -> StorageError:
    # The status alone: a body may repeat what was sent.
    status = str(error).partition(", Body")[0]
    if "403" in status or "401" in status:
        return StorageRefused("MinIO refused S3_ADMIN_ACCESS_KEY_ID: it must be an administrator's.")
    return StorageError(f"MinIO's administration: {status}.")
