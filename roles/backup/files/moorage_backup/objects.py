"""The object store, mirrored bucket by bucket: what has not changed is not read again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from moorage_backup import sealing
from moorage_backup.running import run
from moorage_backup.settings import Objects, Settings

# Object to bytes, mtime_ns and sha256.
Index = dict[str, dict[str, Any]]
_REMOTE = "store"


def environment(objects: Objects) -> dict[str, str]:
    """The live store as rclone is told of a remote, named `store`."""
    facts = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": objects.endpoint,
        "REGION": objects.region,
        "ACCESS_KEY_ID": objects.access_key,
        "SECRET_ACCESS_KEY": objects.secret_key,
        "FORCE_PATH_STYLE": "true",
        # Buckets are made by `moorage setup`, with their policies.
        "NO_CHECK_BUCKET": "true",
    }
    named = {f"RCLONE_CONFIG_{_REMOTE.upper()}_{name}": value for name, value in facts.items()}
    return {**named, "RCLONE_CONFIG": "/dev/null"}


def rclone(objects: Objects, *words: str, seconds: float | None = None) -> str:
    """One run of rclone; what it printed.

    Raises:
        CommandFailed: with its words.
    """
    return run(
        ["rclone", "--retries", "3", "--low-level-retries", "3", *words], env=environment(objects), seconds=seconds
    )


def mirror(settings: Settings) -> dict[str, Any]:
    """Bring the mirror of each bucket to what the bucket holds: objects and bytes of each, and a digest of its index.

    Raises:
        CommandFailed: what was mirrored before the failure stays and is gone on from.
    """
    facts: dict[str, Any] = {}
    for bucket in settings.objects.buckets if settings.objects else ():
        assert settings.objects  # noqa: S101 - the loop has none without
        folder = settings.mirror / bucket
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        limit = ["--bwlimit", f"{settings.rate_mib}M"] if settings.rate_mib else []
        rclone(settings.objects, "sync", "--metadata", *limit, f"{_REMOTE}:{bucket}", str(folder))
        facts[bucket] = summed(indexed(folder))
    return facts


def index_of(folder: Path) -> Path:
    """Where it is written down what a mirrored bucket holds."""
    return folder.with_name(f"{folder.name}.json")


def indexed(folder: Path) -> Index:
    """Write down every object of a mirrored bucket; one that looks untouched is not read again."""
    known = read_index(folder)
    found: Index = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, status = str(path.relative_to(folder)), path.stat()
        before = known.get(name)
        same = before and (before["bytes"], before["mtime_ns"]) == (status.st_size, status.st_mtime_ns)
        digest = before["sha256"] if before and same else sealing.file_digest(path)
        found[name] = {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": digest}
    sealing.write(index_of(folder), json.dumps(found))
    return found


def read_index(folder: Path) -> Index:
    """What was written down of a mirrored bucket; nothing where it never was."""
    try:
        found: Index = json.loads(index_of(folder).read_text())
    except (OSError, ValueError):
        return {}
    return found


def summed(index: Index) -> dict[str, Any]:
    """Count, bytes, and a SHA-256 over names and contents. Pure."""
    lines = "".join(f"{entry['sha256']}  {name}\n" for name, entry in sorted(index.items()))
    digest = hashlib.sha256(lines.encode()).hexdigest()
    return {"objects": len(index), "bytes": sum(entry["bytes"] for entry in index.values()), "sha256": digest}


def damaged(folder: Path, index: Index) -> list[str]:
    """Names of objects that are not as it was written down."""
    return [
        name
        for name, entry in index.items()
        if not (folder / name).is_file() or sealing.file_digest(folder / name) != entry["sha256"]
    ]


def put(objects: Objects, folder: Path, bucket: str, prefix: str = "") -> None:
    """Copy a folder into a bucket, below a prefix; and look whether all of it is there, byte for byte."""
    there = f"{_REMOTE}:{bucket}/{prefix}".rstrip("/")
    rclone(objects, "copy", "--metadata", "--no-update-modtime", str(folder), there)
    rclone(objects, "check", "--one-way", "--download", str(folder), there)


def any_below(objects: Objects, bucket: str, prefix: str) -> bool:
    """Whether a bucket holds anything below a prefix."""
    found = rclone(objects, "lsf", "--recursive", "--files-only", f"{_REMOTE}:{bucket}/{prefix}".rstrip("/"))
    return bool(found.strip())
