"""The host's memory of its releases: release.json (what serves), releases/ (what can be gone back to), releases.jsonl.

A record is written before the seal, and the seal before the line in the log: what is cut off in between leaves the
release before as the present one, or lacks a line that the next seal adds.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils import atomic

# So many releases can be gone back to; their images are kept on the host.
KEPT = 5


def replace(path: Path, content: Any) -> None:
    """Write JSON atomically, 0644."""
    atomic.write(path, json.dumps(content, indent=2, sort_keys=True) + "\n", 0o644)


def append(root: Path, entry: dict[str, Any]) -> None:
    """Add a line to releases.jsonl, on the disk when this returns."""
    with (root / "releases.jsonl").open("a") as log:
        log.write(json.dumps(entry, sort_keys=True) + "\n")
        log.flush()
        os.fsync(log.fileno())


def records(root: Path) -> dict[int, dict[str, Any]]:
    """The releases that were good and are kept, by number."""
    found = {}
    for path in (root / "releases").glob("[0-9]*.json"):
        # One that cannot be read is none; it must not keep the others from being gone back to.
        with suppress(ValueError, KeyError, TypeError):
            content = json.loads(path.read_text())
            found[int(content["number"])] = content
    return found


def kept(release: dict[str, Any], numbers: list[int], count: int = KEPT) -> list[int]:
    """Which records stay: the present one, those behind it in the order of a rollback, then the newest others. Pure."""
    line = [number for number in (release.get("number"), *release.get("before", [])) if number in numbers]
    others = sorted(set(numbers) - set(line), reverse=True)
    return (line + others)[:count]


def images_of(record: dict[str, Any]) -> set[str]:
    """References by digest that a record needs. Pure."""
    return {str(unit["image"]) for unit in record["units"].values()}


def record_of(release: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """What it takes to run the present release again. Pure."""
    units = {}
    for name, state in release["units"].items():
        slot = state["active"]
        if slot:
            units[name] = {
                "image": state["images"][slot],
                "tag": state["tags"].get(slot, ""),
                "definition": state.get("definitions", {}).get(slot, {}),
            }
    return {
        "number": release["number"],
        "at": entry["at"],
        "by": entry["by"],
        "tag": release["tag"],
        "units": units,
        "schema": {"head": release.get("schema", {}).get("head")},
    }


def seal(root: Path, release: dict[str, Any], entry: dict[str, Any]) -> list[int]:
    """Make a release the present one: record, then release.json, then the log. Returns the numbers that are kept."""
    folder = root / "releases"
    folder.mkdir(mode=0o755, exist_ok=True)
    present = _present(root)
    _mend(root, present)
    known, number = records(root), release["number"]
    # A rollback to a kept release leaves its record as it was; any other may stand over one that was never sealed.
    if number not in known or number > present.get("last", 0):
        known[number] = record_of(release, entry)
        replace(folder / f"{number:06d}.json", known[number])
    replace(root / "release.json", {**release, "entry": entry})
    append(root, entry)
    stay = kept(release, sorted(known))
    for gone in set(known) - set(stay):
        (folder / f"{gone:06d}.json").unlink(missing_ok=True)
    return stay


def _present(root: Path) -> dict[str, Any]:
    """release.json as it was sealed last; empty before the first seal."""
    try:
        return dict(json.loads((root / "release.json").read_text()))
    except FileNotFoundError:
        return {}


def _mend(root: Path, present: dict[str, Any]) -> None:
    """Add the line that a release lacks because its run was cut off between the seal and the log."""
    try:
        lines = (root / "releases.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return
    entry = present.get("entry")
    if entry and json.dumps(entry, sort_keys=True) not in lines[-50:]:
        append(root, entry)
