#!/usr/bin/python
"""Works out what a deploy of a tag would change: for each unit, the digest from and to, and the slot to use."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed, run
from ansible.module_utils.engine_api import registry_digest

DOCUMENTATION = """
module: release_plan
short_description: Resolve a tag to digests and plan the slots
description: >-
  Asks the registry for the digest of each unit's image under the tag. Where it differs from the active slot's, the
  unit is planned into its other slot. Pulls the images (not in check mode), so that a missing one fails here, before
  anything else was touched.
options:
  units: {type: dict, required: true, description: "Unit to image name without a tag, or to a reference by digest"}
  definitions: {type: dict, required: true, description: "Unit to what its slot is to be made from: services, jobs"}
  tag: {type: str, required: true, description: The tag to deploy}
  release: {type: dict, required: true, description: The host's release.json}
"""


def pulled_digest(image: str, tag: str, root: str) -> str:
    """Pull a tag; the digest it stood for."""
    run(["docker", "pull", "--quiet", f"{image}:{tag}"], root, timeout=1800)
    known = json.loads(run(["docker", "image", "inspect", f"{image}:{tag}"], root))[0]["RepoDigests"]
    for reference in known:
        name, _, digest = reference.partition("@")
        if name == image:
            return str(digest)
    raise CommandFailed(f"{image}:{tag} was pulled but the engine names no digest for it (only {known})")


def plan(
    units: dict[str, str], digests: dict[str, str], tag: str, release: dict[str, Any], definitions: dict[str, Any]
) -> dict[str, Any]:
    """Unit to ``{from, to, slot, previous, tag, definition}`` for those whose image or definition changes. Pure."""
    out = {}
    for unit, image in units.items():
        state = release["units"].get(unit, {})
        active = state.get("active", "")
        current = state.get("images", {}).get(active, "")
        wanted = image if "@" in image else f"{image}@{digests[unit]}"
        if current == wanted and state.get("definitions", {}).get(active) == definitions[unit]:
            continue
        out[unit] = {
            "from": current,
            "to": wanted,
            "slot": {"": "blue", "blue": "green", "green": "blue"}[active],
            "previous": active,
            "tag": _tag(image, tag, state.get("tags", {}).get(active) if current == wanted else None),
            "definition": definitions[unit],
        }
    return out


def _tag(image: str, tag: str, kept: str | None) -> str:
    """A new configuration keeps the tag of its image; what the inventory fixes is `pinned`; else the tag asked for."""
    return kept or ("pinned" if "@" in image else tag)


def describe(unit: str, change: dict[str, Any]) -> str:
    """One line for a person. Pure."""
    if change["from"] == change["to"]:
        return f"{unit}: {change['to']} with another configuration, {change['previous']} → {change['slot']}"
    return f"{unit}: {change['from'] or 'nothing'} → {change['to']}, slot {change['slot']}"


def planned_release(release: dict[str, Any], changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The release's state while both slots run, and after the switch. Pure."""

    def with_images(active: str) -> dict[str, Any]:
        units = {name: json.loads(json.dumps(state)) for name, state in release["units"].items()}
        for unit, change in changes.items():
            state = units.setdefault(unit, {"active": "", "images": {}, "tags": {}})
            state["images"][change["slot"]] = change["to"]
            state["tags"][change["slot"]] = change["tag"]
            state.setdefault("definitions", {})[change["slot"]] = change["definition"]
            if active == "new":
                state["active"] = change["slot"]
        return {**release, "units": units}

    return with_images("old"), with_images("new")


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "required": True},
            "definitions": {"type": "dict", "required": True},
            "tag": {"type": "str", "required": True},
            "release": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    args = module.params
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", args["tag"]):
        module.fail_json(msg=f"image_tag {args['tag']!r} is not an image tag (letters, digits, _ . -, at most 128).")
    digests = {}
    try:
        for unit, image in args["units"].items():
            if "@" in image:
                if not module.check_mode:
                    run(["docker", "pull", "--quiet", image], "/", timeout=1800)
                continue
            digests[unit] = (
                registry_digest(f"{image}:{args['tag']}")
                if module.check_mode
                else pulled_digest(image, args["tag"], "/")
            )
    except (CommandFailed, OSError) as error:
        module.fail_json(
            msg=f"The tag {args['tag']} of {image} cannot be had: {error}. The release that runs was not touched."
        )
    changes = plan(args["units"], digests, args["tag"], args["release"], args["definitions"])
    both, after = planned_release(args["release"], changes)
    lines = [describe(unit, change) for unit, change in changes.items()]
    module.exit_json(
        changed=module.check_mode and bool(changes), plan=changes, both=both, after=after, would_change=lines
    )


if __name__ == "__main__":
    main()
