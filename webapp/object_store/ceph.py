"""Ceph's object gateway: the user through its Admin Ops API, the bucket and its policy through S3.

The administrator is a gateway user with the capability `users=*`. It owns the bucket, so that the restricted user
can do with the objects what the policy says, and with the bucket nothing.
Source: docs.ceph.com/en/reef/radosgw/adminops (create user, get user info, modify user, create key).
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from minio.credentials.credentials import Credentials
from minio.signer import sign_v4_s3

from webapp.errors import StorageError
from webapp.object_store import policy
from webapp.object_store.buckets import administrator, ensure_bucket, ensure_policy
from webapp.settings import Settings
from webapp.storage import Access, StorageRefused, told

UID = "moorage"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
# Anything below zero forbids making buckets; 0 would mean no limit.
NO_BUCKETS = "-1"


def prepare(settings: Settings) -> bool:
    """True where anything changed. Raises SettingsError, StorageUnavailable, StorageRefused, StorageError."""
    boss = administrator(settings)
    bucket = settings.s3_bucket_artifacts
    wanted = policy.policy_of(bucket, f"arn:aws:iam:::user/{UID}")
    with told():
        gateway = Gateway(boss)
        changes = [
            gateway.ensure_user(settings.s3_access_key_id, settings.s3_secret_access_key.reveal()),
            ensure_bucket(boss.client(), bucket),
            ensure_policy(boss.client(), bucket, wanted),
        ]
    return any(changes)


def retire(settings: Settings) -> bool:
    """Only S3_ACCESS_KEY_ID opens the store from now on; True where another key did. Raises as `prepare`."""
    with told():
        return Gateway(administrator(settings)).drop_other_keys(settings.s3_access_key_id)


class Gateway:
    """The Admin Ops API, signed like any S3 request."""

    def __init__(self, boss: Access) -> None:
        self._boss = boss
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=20), retries=False)

    def ensure_user(self, access_key: str, secret_key: str) -> bool:
        """The user with this key, and no right to make buckets. True where anything had to be done.

        Other keys stay until `drop_other_keys`: what runs may still sign with one.
        """
        key = {"uid": UID, "access-key": access_key, "secret-key": secret_key, "key-type": "s3"}
        known = self._call("GET", {"uid": UID}, missing_is_none=True)
        if known is None:
            self._call("PUT", key | {"display-name": "Moorage", "max-buckets": NO_BUCKETS, "generate-key": "false"})
            return True
        keys = {item["access_key"]: item["secret_key"] for item in known["keys"]}
        changed = False
        if keys.get(access_key) != secret_key:
            self._call("PUT", {"key": ""} | key | {"generate-key": "false"})
            changed = True
        if str(known["max_buckets"]) != NO_BUCKETS:
            self._call("POST", {"uid": UID, "max-buckets": NO_BUCKETS})
            changed = True
        return changed

    def drop_other_keys(self, access_key: str) -> bool:
        """True where there was another."""
        known = self._call("GET", {"uid": UID}, missing_is_none=True) or {"keys": []}
        others = {item["access_key"] for item in known["keys"]} - {access_key}
        for old in sorted(others):
            self._call("DELETE", {"key": "", "uid": UID, "access-key": old})
        return bool(others)

    def _call(self, method: str, query: dict[str, str], *, missing_is_none: bool = False) -> Any:
        """The answer's JSON. A secret travels in the query, as the API wants it: only over the inside network."""
        url = urlsplit(f"{self._boss.endpoint}/admin/user?{urlencode(sorted({'format': 'json', **query}.items()))}")
        now = datetime.now(UTC)
        headers = {
            "Host": url.netloc,
            "x-amz-content-sha256": EMPTY_SHA256,
            "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
        }
        signed = sign_v4_s3(
            method=method,
            url=url,
            region=self._boss.region,
            headers=dict(headers),
            credentials=Credentials(self._boss.access_key, self._boss.secret_key.reveal()),
            content_sha256=EMPTY_SHA256,
            date=now,
        )
        answer = self._http.request(method, url.geturl(), headers={name: str(value) for name, value in signed.items()})
        if answer.status == HTTPStatus.NOT_FOUND and missing_is_none:
            return None
        if answer.status == HTTPStatus.FORBIDDEN:
            raise StorageRefused("The gateway refused S3_ADMIN_ACCESS_KEY_ID: it needs the capability users=*.")
        if answer.status >= 300:
            raise StorageError(f"The gateway answered {answer.status} to {method} /admin/user.")
        return json.loads(answer.data) if answer.data else None
