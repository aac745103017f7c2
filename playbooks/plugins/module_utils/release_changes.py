"""What a release changes: for each unit from what to what, in which slot. Pure functions of data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class NoWayBack(Exception):
    """There is no release to go back to; the text says why and what to do."""


def change(
    unit: str, release: dict[str, Any], image: str, tag: str, definition: dict[str, Any], *, anew: bool = False
) -> dict[str, Any]:
    """``{from, to, slot, previous, tag, definition}`` of one unit; empty where it is so already.

    Args:
        anew: also where it is so already.
    """
    state = release["units"].get(unit, {})
    active = state.get("active", "")
    current = state.get("images", {}).get(active, "")
    if not anew and current == image and state.get("definitions", {}).get(active) == definition:
        return {}
    return {
        "from": current,
        "to": image,
        "slot": {"": "blue", "blue": "green", "green": "blue"}[active],
        "previous": active,
        "tag": tag,
        "definition": definition,
    }


def states(release: dict[str, Any], changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """release.json's units while both slots run, and after the switch."""

    def units(switched: bool) -> dict[str, Any]:
        out: dict[str, Any] = json.loads(json.dumps(release["units"]))
        for unit, new in changes.items():
            state = out.setdefault(unit, {"active": "", "images": {}, "tags": {}})
            state["images"][new["slot"]] = new["to"]
            state["tags"][new["slot"]] = new["tag"]
            state.setdefault("definitions", {})[new["slot"]] = new["definition"]
            if switched:
                state["active"] = new["slot"]
        return out

    return {**release, "units": units(False)}, {**release, "units": units(True)}


def forward(release: dict[str, Any], changes: dict[str, Any], tag: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both states of a deploy: a new number, with the present one behind it as the way back.

    Args:
        tag: what the release is called by; '' where only the configuration changes: then as the present one.
    """
    both, after = states(release, changes)
    number = release.get("last", 0) + 1
    behind = [release["number"]] if release.get("number") else []
    tag = tag or release.get("tag", "")
    after |= {"number": number, "last": number, "tag": tag, "before": behind + release.get("before", [])}
    after.pop("rolled_back_from", None)
    return both, after


def backward(
    release: dict[str, Any], changes: dict[str, Any], number: int | None, tag: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both states of a rollback: to the release of that number and tag, or (None) to one that the host had not kept."""
    if number is None:
        both, after = forward(release, changes, tag)
    else:
        both, after = states(release, changes)
        after |= {"number": number, "tag": tag, "before": [n for n in release.get("before", []) if n < number]}
    return both, {**after, "rolled_back_from": release.get("number", 0)}


def tag_of(record: dict[str, Any]) -> str:
    """A record's name for a person."""
    return f"{record['tag']} (release {record['number']})"


def target(release: dict[str, Any], records: dict[int, dict[str, Any]], tag: str) -> dict[str, Any] | None:
    """The record to go back to; None where only the registry can have it.

    Args:
        tag: '' for the last good release.

    Raises:
        NoWayBack: there is none, or the host has been rolled back already.
    """
    if tag:
        named = [n for n, record in records.items() if n <= release.get("last", 0) and record["tag"] == tag]
        # The one that runs, where it has that tag: then nothing is to be done.
        named.sort(key=lambda n: (n == release.get("number"), n))
        return records[named[-1]] if named else None
    for number in release.get("before", []):
        if number in records:
            return records[number]
    raise NoWayBack("This host has no earlier good release to go back to. " + choices(release, records))


def choices(release: dict[str, Any], records: dict[int, dict[str, Any]]) -> str:
    """What a person may name."""
    others = [tag_of(record) for n, record in sorted(records.items(), reverse=True) if n != release.get("number")]
    if not others:
        return "A tag that the registry has can be named with -e image_tag=…"
    return f"Kept here: {', '.join(others)}; name one, or any tag that the registry has, with -e image_tag=…"


def describe(unit: str, new: dict[str, Any]) -> str:
    """One line for a person."""
    if new["from"] == new["to"]:
        return f"{unit}: {new['to']} with another configuration, {new['previous']} → {new['slot']}"
    return f"{unit}: {new['from'] or 'nothing'} → {new['to']}, slot {new['slot']}"


def under_way(kind: str, release: dict[str, Any], after: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """What the lock says of a release while it goes on, so that it is recorded should its run be cut off."""
    return {
        "kind": kind,
        "tag": after["tag"],
        "number": after["number"],
        **told(release, changes),
    }


def told(release: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What every line of releases.jsonl says of a change: from which release, and each unit's digests, slot and tag."""
    return {
        "from": {"number": release.get("number"), "tag": release.get("tag")},
        "units": {unit: {name: new[name] for name in ("from", "to", "slot", "tag")} for unit, new in changes.items()},
    }


def astray(slots: Mapping[str, str], release: dict[str, Any]) -> dict[str, str]:
    """Service to slot, where the proxy sends requests to a slot that no sealed release names: a run was cut off.

    Args:
        slots: unit to the slot that gets its requests, as the host says.
    """
    out = {}
    for unit, state in release["units"].items():
        if slots.get(unit, state["active"]) != state["active"]:
            made_from = state.get("definitions", {}).get(state["active"], {})
            out |= dict.fromkeys(made_from.get("services", {}), slots[unit])
    return out


def begun(stray: dict[str, str], images: dict[str, str], changes: dict[str, Any]) -> bool:
    """Whether what serves unsealed is what these changes lead to: a rollback that was cut off, to be gone on with.

    Args:
        stray: service to slot, as `astray` gives them.
        images: service to the image that it runs there.
    """
    to = {
        service: change["to"]
        for change in changes.values()
        for service in change["definition"].get("services", {})
        if change["to"] != change["from"]  # of the same image two configurations cannot be told apart
    }
    return bool(stray) and all(service in to and images.get(service) == to[service] for service in stray)
