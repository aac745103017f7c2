"""Records of rehearsals as a lab or staging leaves them, with real keys and signatures."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.rendering import load

IMAGE = "ghcr.io/example/controlplane@sha256:" + "a" * 64
OTHER = "ghcr.io/example/controlplane@sha256:" + "b" * 64
WHO = "ci@example.org"


def new_key(folder: Path, name: str) -> Path:
    """A key pair without a passphrase; its private part's file."""
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)
    return key


def let_sign(signers: Path, key: Path) -> None:
    """The one line of an allowed_signers file."""
    public = key.with_name(f"{key.name}.pub").read_text()
    signers.write_text(f'{WHO} namespaces="moorage-cutover" {public}')


def line(step: str, *, image: str = IMAGE, days_ago: float = 1, **facts: Any) -> dict[str, Any]:
    """A step's line in the release log."""
    at = (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "cutover", "step": step, "verdict": "success", "begun_at": at, "image": image, "version": "sha-1",
        "at": at, "by": "ada", "frozen_seconds": 3.5, "proof": {"verdict": "go"}, "number": 3, **facts,
    }  # fmt: skip


@dataclass(frozen=True)
class Rehearsed:
    """A folder of records, who may sign, and the key that they sign with."""

    records: Path
    signers: Path
    key: Path

    def record(self, *, key: Path | None = None, **facts: Any) -> Path:
        """One more record."""
        rehearsals = load("module_utils", "rehearsals")
        record = rehearsals.record_of(
            line("switch", **facts), line("revert", **facts), {"inventory": "staging", "host": "vps"}
        )
        path: Path = rehearsals.sign(record, self.records, str(key or self.key))
        return path
