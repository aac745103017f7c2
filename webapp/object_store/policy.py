"""What the restricted user may do, as S3 policies say it."""

from __future__ import annotations

import json
from typing import Any


def policy_of(bucket: str, principal: str | None = None) -> str:
    """What the restricted user may do: its one bucket's objects, nothing about the bucket itself.

    With `principal` (an ARN) it is a bucket's policy, without it a user's (MinIO).
    """
    who = {"Principal": {"AWS": [principal]}} if principal else {}
    objects = [
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ]
    whole = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    statements = [
        {"Effect": "Allow", **who, "Action": objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        {"Effect": "Allow", **who, "Action": whole, "Resource": [f"arn:aws:s3:::{bucket}"]},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, sort_keys=True)


def same(one: str, other: str) -> bool:
    """Do two policies say the same, in whatever order a store gives them back?"""
    return bool(_ordered(json.loads(one)) == _ordered(json.loads(other)))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_ordered(item) for item in value]
        # One of something may be given back without its list.
        return items[0] if len(items) == 1 else sorted(items, key=json.dumps)
    return value
