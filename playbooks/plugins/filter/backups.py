"""Filters that turn the inventory's backup targets into what the stack needs of them. Pure functions of data."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

ROLES = Path(__file__).parents[3] / "roles"
DEFAULTS = {"prefix": "moorage", "region": "us-east-1", "key": "S3_BACKUP"}
HALVES = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")


def filled_targets(targets: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """The targets with their defaults filled in: a folder each, or a bucket each.

    Raises:
        AnsibleFilterError: one is both or neither, or two have one name.
    """
    out: list[dict[str, str]] = []
    for target in targets:
        name = target["name"]
        if name in {known["name"] for known in out}:
            raise AnsibleFilterError(f"backup_targets has two targets named {name}")
        if ("path" in target) == ("bucket" in target):
            raise AnsibleFilterError(f"backup_targets: {name} needs either a path or a bucket with its endpoint")
        if "bucket" in target and not str(target.get("endpoint", "")).startswith(("https://", "http://")):
            raise AnsibleFilterError(f"backup_targets: {name} needs an endpoint such as https://s3.example.net")
        out.append(dict(target) if "path" in target else {**DEFAULTS, **target})
    if not out:
        raise AnsibleFilterError("backup_targets is empty: a backup that is stored nowhere is none")
    return out


def target_secrets(targets: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The secrets that the targets want, as the role stack ensures them: none of a bucket's can be made up."""
    return [{"name": name} for name in _keys(targets)]


def target_environment(targets: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The same as variables of a container, taken from the host's .env."""
    return {name: f"${{{name}:?set it with playbooks/set_secret.yml}}" for name in _keys(targets)}


def _keys(targets: Iterable[Mapping[str, str]]) -> list[str]:
    prefixes = {target["key"] for target in filled_targets(targets) if "bucket" in target}
    return [f"{prefix}_{half}" for prefix in sorted(prefixes) for half in HALVES]


def audited_targets(targets: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The targets as an audit asks for them: everything is encrypted before it is sent."""
    return [{"name": target["name"], "encrypted": True} for target in targets]


def from_environment(names: Iterable[str]) -> list[dict[str, str]]:
    """Variables of the controller's environment as ``{key, value}``; the value is empty where one is not set."""
    return [{"key": name, "value": os.environ.get(name, "")} for name in names]


def program_digest(folder: str) -> str:
    """A digest of the Python files in a folder of this repository's roles (``backup/files/moorage_backup``)."""
    digest = hashlib.sha256()
    for path in sorted((ROLES / folder).glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def placed_files(folder: str, there: str, source: str) -> list[dict[str, str]]:
    """The same files as entries of `host_state`.

    Args:
        there: the folder on the host.
        source: the folder as the role knows it, below its `files`.
    """
    names = sorted(path.name for path in (ROLES / folder).glob("*.py"))
    return [{"path": f"{there}/{name}", "src": f"{source}/{name}"} for name in names]


def backup_lines(facts: Mapping[str, Any]) -> list[str]:
    """What a person is told of a backup that was made.

    Args:
        facts: what `moorage-backup run` printed.
    """
    out = [f"{name}: {count} rows" for name, count in facts["rows"].items()]
    out += [f"{bucket}: {held['objects']} objects, {held['bytes']} bytes" for bucket, held in facts["objects"].items()]
    out += [f"{name}: {kept['id'][:8]}, {kept['grown']} bytes added" for name, kept in facts["targets"].items()]
    return out


def rebuild_lines(facts: Mapping[str, Any], now: float, begun: float) -> list[str]:
    """What a person is told of a host that was rebuilt.

    Args:
        facts: what `moorage-backup restore-server` printed.
        now, begun: seconds since the epoch.
    """
    size = sum(facts["databases"].values())
    return [
        f"The product runs again, {(now - begun) / 60:.1f} minutes after this run began"
        f" ({size / 1e6:.0f} MB of databases, back in {facts['seconds']:.0f} s).",
        f"Everything that was acknowledged before {facts['as_of']} is there."
        " What came after was not in the target yet.",
    ]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "audited_targets": audited_targets,
            "target_environment": target_environment,
            "backup_lines": backup_lines,
            "target_secrets": target_secrets,
            "filled_targets": filled_targets,
            "from_environment": from_environment,
            "placed_files": placed_files,
            "rebuild_lines": rebuild_lines,
            "program_digest": program_digest,
        }
