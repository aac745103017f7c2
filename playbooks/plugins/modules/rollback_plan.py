#!/usr/bin/python
"""Works out what a rollback would change: to the last good release, which this host has kept, or to a named one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils import release_lock
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed, run
from ansible.module_utils.images import pull, resolved
from ansible.module_utils.release_changes import (
    NoWayBack,
    astray,
    backward,
    begun,
    change,
    choices,
    describe,
    tag_of,
    target,
    under_way,
)
from ansible.module_utils.release_store import images_of, records

DOCUMENTATION = """
module: rollback_plan
short_description: Plan the slots of a rollback
description: >-
  Without a tag, the newest good release before the present one; after a rollback there is nothing more to do. With a
  tag, the kept release of that tag, or else what the registry has under it. A kept release needs no registry: its
  images are on the host.
options:
  root: {type: path, default: /opt/moorage, description: Folder of the stack}
  release: {type: dict, required: true, description: The host's release.json}
  declared: {type: list, elements: str, required: true, description: Units that the inventory declares}
  images: {type: dict, required: true, description: "Unit that follows the release's tag to its image, without a tag"}
  tag: {type: str, default: "", description: Tag to go back to; empty takes the last good release}
  project: {type: str, default: moorage, description: Compose project}
  token: {type: str, required: true, description: This run's, whose lock says what release is under way}
  verified: {type: dict, default: {}, description: "Image to the only digest its tag may stand for; others are free"}
"""


def to_record(release: dict[str, Any], record: dict[str, Any], declared: list[str]) -> dict[str, Any]:
    """Unit to its change; one that the record does not know stays as it is, one no longer declared stays away. Pure."""
    changes = {
        unit: change(unit, release, kept["image"], kept["tag"], kept["definition"])
        for unit, kept in record["units"].items()
        if unit in release["units"] and unit in declared
    }
    return {unit: new for unit, new in changes.items() if new}


def to_digests(release: dict[str, Any], images: dict[str, str], digests: dict[str, str], tag: str) -> dict[str, Any]:
    """Unit to its change, for a release that was not kept: its images, as today's slots are configured. Pure."""
    changes = {}
    for unit, digest in digests.items():
        state = release["units"][unit]
        definition = state.get("definitions", {}).get(state["active"], {})
        changes[unit] = change(unit, release, f"{images[unit]}@{digest}", tag, definition)
    return {unit: new for unit, new in changes.items() if new}


def fetched(module: AnsibleModule, known: dict[int, dict[str, Any]]) -> dict[str, str]:
    """Digests of a tag that is not kept here, from the registry; ends the module where it has none."""
    args, digests = module.params, {}
    running = {
        unit: image for unit, image in args["images"].items() if args["release"]["units"].get(unit, {}).get("active")
    }
    for unit, image in running.items():
        try:
            digests[unit] = resolved(image, args["tag"], args["verified"], module.check_mode)
        except (CommandFailed, OSError) as error:
            module.fail_json(
                msg=f"No release kept on this host has the tag {args['tag']}, and the registry cannot give {image} "
                f"under it: {error}. {choices(args['release'], known)}. The release that runs was not touched."
            )
    return digests


def slots_of(root: Path, declared: list[str]) -> dict[str, str]:
    """Declared unit to the slot that the proxy sends its requests to. A file of another unit is of nobody's concern.

    Raises:
        FileNotFoundError: the host's routes are of a version that had none of these files.
    """
    files = {file.name: file for file in (root / "caddy/conf/slots").iterdir()}
    return {unit: files[unit].read_text().strip() for unit in declared if unit in files}


def serving(project: str, stray: dict[str, str]) -> dict[str, str]:
    """Service to the image of its container in a slot; without those that have none."""
    found = {}
    for service, slot in stray.items():
        with suppress(CommandFailed):
            form = ["docker", "inspect", "--format", "{{.Config.Image}}", f"{project}-{service}-{slot}"]
            found[service] = run(form, "/").strip()
    return found


def fetch(module: AnsibleModule, record: dict[str, Any] | None) -> None:
    """Make sure that a kept release's images are here; ends the module where one is not to be had."""
    if record is None or module.check_mode:
        return
    try:
        for image in sorted(images_of(record)):
            pull(image)
    except CommandFailed as error:
        module.fail_json(
            msg=f"{tag_of(record)} is known, but an image of it is no longer here: {error}. Nothing was changed."
        )


def as_it_is(release: dict[str, Any], known: dict[int, dict[str, Any]], stray: dict[str, str]) -> str:
    """Why a rollback without a tag goes to the release that is the present one already. Pure."""
    if stray:
        return (
            f"A run that was cut off had sent the requests for {', '.join(stray)} to a release that was never sealed. "
            f"They go to release {release.get('number')} again, the last good one; run again to go behind it."
        )
    return (
        f"Nothing to do: release {release['number']} runs since the rollback from release "
        f"{release['rolled_back_from']}. {choices(release, known)}."
    )


def unchanged(release: dict[str, Any], record: dict[str, Any] | None, tag: str) -> str:
    """Why nothing changes, for a person. Pure."""
    if record is None or record["number"] == release.get("number"):
        return f"Nothing to do: {tag} is what runs."
    more = sorted(set(release["units"]) - set(record["units"]))
    return (
        f"Nothing to do: what {tag_of(record)} consists of is what runs. It does not know {', '.join(more) or 'more'}; "
        "what is to go is taken out of the inventory, and goes with the next deploy."
    )


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/moorage"},
            "release": {"type": "dict", "required": True},
            "declared": {"type": "list", "elements": "str", "required": True},
            "images": {"type": "dict", "required": True},
            "tag": {"type": "str", "default": ""},
            "project": {"type": "str", "default": "moorage"},
            "verified": {"type": "dict", "default": {}},
            "token": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    args = module.params
    release, known = args["release"], records(Path(args["root"]))
    try:
        stray = astray(slots_of(Path(args["root"]), args["declared"]), release)
    except FileNotFoundError as error:
        module.fail_json(
            msg=f"{error.filename} is not there: this host's routes were written by a version before this one. Run "
            "playbooks/site.yml once, which keeps the release that runs; then go back. Nothing was changed."
        )
    record: dict[str, Any] | None = None
    try:
        if args["tag"] or not release.get("rolled_back_from"):
            record = target(release, known, args["tag"])
    except NoWayBack as reason:
        if not stray:
            module.fail_json(msg=str(reason))
    if record:
        changes, number = to_record(release, record, args["declared"]), record["number"]
    elif args["tag"]:
        changes, number = to_digests(release, args["images"], fetched(module, known), args["tag"]), None
    else:
        changes, number = {}, release.get("number")
    if begun(stray, serving(args["project"], stray), changes):
        stray = {}
    if not args["tag"] and (stray or not record):
        # To the release that is the present one already: it was sealed last, or went back itself.
        said = as_it_is(release, known, stray)
        module.exit_json(changed=False, plan={}, would_change=[], record={}, astray=stray, said=said)
    fetch(module, record)
    tag = record["tag"] if record else args["tag"]
    both, after = backward(release, changes, number, tag)
    if changes and not module.check_mode:
        release_lock.note(args["token"], under_way("rollback", release, after, changes))
    module.exit_json(
        changed=module.check_mode and bool(changes),
        plan=changes,
        both=both,
        after=after,
        record=record or {},
        astray=stray,
        would_change=[describe(unit, new) for unit, new in changes.items()],
        said="" if changes else unchanged(release, record, tag),
    )


if __name__ == "__main__":
    main()
