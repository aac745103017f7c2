"""The host's memory of its releases: release.json (what serves), releases/ (what can be gone back to), releases.jsonl.

A record is written before the seal, and the seal before the line in the log: what is cut off in between leaves the
release before as the present one, or lacks a line that the next seal adds.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

# So many releases can be gone back to; their images are kept on the host.
KEPT = 5


def replace(path: Path, content: Any) -> None:
    """Write JSON atomically, 0644."""
    handle, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps(content, indent=2, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(staged).chmod(0o644)
    Path(staged).replace(path)
    # The new name itself must outlive a power cut, not only what it stands for.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
    _mend(root)
    before = records(root)
    # A rollback to a kept release leaves its record as it was; any other may stand over one that was never sealed.
    if release["number"] not in before or release["number"] > _last(root):
        replace(folder / f"{release['number']:06d}.json", record_of(release, entry))
    replace(root / "release.json", {**release, "entry": entry})
    append(root, entry)
    numbers = sorted({*before, release["number"]})
    stay = kept(release, numbers)
    for number in set(numbers) - set(stay):
        (folder / f"{number:06d}.json").unlink(missing_ok=True)
    return stay


def _last(root: Path) -> int:
    """The highest number that was ever sealed."""
    try:
        return int(json.loads((root / "release.json").read_text()).get("last", 0))
    except FileNotFoundError:
        return 0


def _mend(root: Path) -> None:
    """Add the line that a release lacks because its run was cut off between the seal and the log."""
    try:
        entry = json.loads((root / "release.json").read_text()).get("entry")
        lines = (root / "releases.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return
    if entry and json.dumps(entry, sort_keys=True) not in lines[-50:]:
        append(root, entry)
