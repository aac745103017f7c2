"""The note that a release sends to a chat, made from its line in releases.jsonl. Pure functions of data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

LONGEST_REASON = 300
HEX = 12
HEADLINES = {
    "success": ("✅", "is done"),
    "failed": ("❌", "failed"),
    "interrupted": ("⚠️", "was interrupted"),
}


def short(reference: str | None) -> str:
    """The beginning of a reference's digest, as `docker image ls --digests` is searched by; `-` for none."""
    digest = (reference or "").rpartition("sha256:")[2]
    return digest[:HEX] if reference else "-"


def headline(entry: Mapping[str, Any], domain: str) -> str:
    """What happened, in one line."""
    sign, outcome = HEADLINES.get(entry["verdict"], ("⚠️", str(entry["verdict"])))
    tag = entry.get("tag") or "a changed configuration"
    action = "rollback to" if entry.get("kind") == "rollback" else "deploy of"
    return f"{sign} {domain}: {action} {tag} {outcome}"


def by_and_when(entry: Mapping[str, Any]) -> str:
    """Who, when, which release, how long."""
    when = str(entry["at"])
    with suppress(ValueError):  # an entry that a person has mended is told as it stands
        when = datetime.fromisoformat(when).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    words = [f"by {entry.get('by') or 'somebody'}", when]
    if entry.get("number"):
        words.append(f"release {entry['number']}")
    if entry.get("seconds") is not None:
        words.append(f"{float(entry['seconds']):.1f} s")
    return ", ".join(words)


def tags(entry: Mapping[str, Any]) -> list[str]:
    """From which tag to which; nothing on a first release."""
    before = entry.get("from") or {}
    if not before.get("tag"):
        return []
    number = f" (release {before['number']})" if before.get("number") else ""
    return [f"{before['tag']}{number} → {entry.get('tag')}"]


def digests(entry: Mapping[str, Any]) -> list[str]:
    """Each unit's digest, from and to."""
    out = []
    for unit, change in sorted((entry.get("units") or {}).items()):
        before, after = short(change.get("from")), short(change.get("to"))
        moved = f"{before} → {after}" if before != after else f"{after}, another configuration"
        out.append(f"{unit}: {moved}")
    return out


def cost(entry: Mapping[str, Any]) -> list[str]:
    """What it cost those who used the product meanwhile."""
    requests = entry.get("requests") or {}
    if "answered" in requests:
        return [f"requests: {requests['answered']} answered, {requests['failed']} failed"]
    return ["requests: not known, the proxy's log could not be read"] if requests else []


def reason(entry: Mapping[str, Any]) -> list[str]:
    """Why it failed, in one line, cut."""
    words = " ".join(str(entry.get("reason") or "").split())
    if not words or entry["verdict"] == "success":
        return []
    return [f"reason: {words if len(words) <= LONGEST_REASON else words[:LONGEST_REASON] + '…'}"]


def aftermath(entry: Mapping[str, Any]) -> list[str]:
    """After a failure: whether what ran before serves on, or a person is needed."""
    if entry["verdict"] != "failed":
        return []
    left = entry.get("not_undone") or []
    return [f"NOT undone, do it by hand: {'; '.join(left)}" if left else "what ran before serves on"]


def release_note(entry: Mapping[str, Any], domain: str) -> str:
    """The whole note, plain text, a line for each thing that is known.

    Args:
        entry: a line of releases.jsonl; what is absent is left out.
        domain: the product's domain, which tells the hosts of a chat apart.
    """
    parts = (tags, digests, cost, reason, aftermath)
    return "\n".join([headline(entry, domain), by_and_when(entry), *(line for part in parts for line in part(entry))])


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"release_note": release_note}
