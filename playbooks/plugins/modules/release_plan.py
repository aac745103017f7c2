#!/usr/bin/python
"""Works out what a deploy of a tag would change: for each unit, the digest from and to, and the slot to use."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from ansible.module_utils import release_lock
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed
from ansible.module_utils.images import pull, resolved
from ansible.module_utils.release_changes import change, describe, forward, under_way

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
  asked: {type: str, default: "", description: The release's name; empty keeps the present one's}
  release: {type: dict, required: true, description: The host's release.json}
  token: {type: str, required: true, description: This run's, whose lock says what release is under way}
  renew: {type: list, elements: str, default: [], description: Units to release though nothing of them differs}
  verified: {type: dict, default: {}, description: "Image to the only digest its tag may stand for; others are free"}
"""

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def plan(
    units: dict[str, str],
    digests: dict[str, str],
    tag: str,
    release: dict[str, Any],
    definitions: dict[str, Any],
    *,
    renew: Collection[str] = (),
) -> dict[str, Any]:
    """Unit to its change, for those whose image or definition changes, or that are to be renewed. Pure."""
    out = {}
    for unit, image in units.items():
        state = release["units"].get(unit, {})
        active = state.get("active", "")
        wanted = image if "@" in image else f"{image}@{digests[unit]}"
        same = state.get("images", {}).get(active) == wanted
        named = _tag(image, tag, state.get("tags", {}).get(active) if same else None)
        new = change(unit, release, wanted, named, definitions[unit], anew=unit in renew)
        if new:
            out[unit] = new
    return out


def _tag(image: str, tag: str, kept: str | None) -> str:
    """A new configuration keeps the tag of its image; what the inventory fixes is `pinned`; else the tag asked for."""
    return kept or ("pinned" if "@" in image else tag)


def resolve(units: dict[str, str], tag: str, verified: dict[str, str], check_mode: bool) -> dict[str, str]:
    """Unit to digest; pulls, unless in check mode.

    Raises:
        CommandFailed: naming the image that cannot be had, or is not the one that was verified.
    """
    digests = {}
    for unit, image in units.items():
        try:
            if "@" not in image:
                digests[unit] = resolved(image, tag, verified, check_mode)
            elif not check_mode:
                pull(image)
        except (CommandFailed, OSError) as error:
            what = image if "@" in image else f"The tag {tag} of {image}"
            raise CommandFailed(f"{what} cannot be had: {error}. The release that runs was not touched.") from error
    return digests


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "required": True},
            "definitions": {"type": "dict", "required": True},
            "tag": {"type": "str", "required": True},
            "asked": {"type": "str", "default": ""},
            "release": {"type": "dict", "required": True},
            "verified": {"type": "dict", "default": {}},
            "renew": {"type": "list", "elements": "str", "default": []},
            "token": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    args = module.params
    if not TAG.fullmatch(args["tag"]):
        module.fail_json(msg=f"image_tag {args['tag']!r} is not an image tag (letters, digits, _ . -, at most 128).")
    try:
        digests = resolve(args["units"], args["tag"], args["verified"], module.check_mode)
    except CommandFailed as error:
        module.fail_json(msg=str(error))
    changes = plan(args["units"], digests, args["tag"], args["release"], args["definitions"], renew=args["renew"])
    both, after = forward(args["release"], changes, args["asked"])
    if changes and not module.check_mode:
        release_lock.note(args["token"], under_way("deploy", args["release"], after, changes))
    module.exit_json(
        changed=module.check_mode and bool(changes),
        plan=changes,
        both=both,
        after=after,
        would_change=[describe(unit, new) for unit, new in changes.items()],
    )


if __name__ == "__main__":
    main()
