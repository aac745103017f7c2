#!/usr/bin/python
"""Removes old images of our own repositories, and nothing that anybody else could miss."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import PROJECT_LABEL, CommandFailed, run

DOCUMENTATION = """
module: image_prune
short_description: Remove images that are no longer needed
description: >-
  Removes the images of the named repositories, under whatever tag or digest, except those that are kept or that a
  container (running or not) was made from. An image that another repository's name stands for too only loses our names.
  Of images without any name, those that Compose built for the project go. What cannot be removed is a warning.
options:
  repositories: {type: list, elements: str, required: true, description: "Image names, without a tag"}
  keep: {type: list, elements: str, required: true, description: References by digest that stay}
  project: {type: str, default: moorage, description: Compose project whose nameless images go}
"""

HUB = ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/")


class Image(NamedTuple):
    """An image as the engine knows it: its id, and every `name:tag` and `name@digest` that stands for it."""

    identity: str
    names: tuple[str, ...]
    project: str = ""


def familiar(name: str) -> str:
    """A name as the engine writes it: images of the Docker Hub without its host. Pure."""
    return next((name.removeprefix(prefix) for prefix in HUB if name.startswith(prefix)), name)


def repository(name: str) -> str:
    """What is left of `name:tag` or `name@digest` without either; a registry's port is no tag. Pure."""
    bare = name.partition("@")[0]
    head, colon, tag = bare.rpartition(":")
    return bare if not colon or "/" in tag else head


def doomed(
    images: list[Image], used: set[str], repositories: list[str], keep: list[str], project: str
) -> dict[str, list[str]]:
    """Image id to the names (or the id itself) that are to be removed. Pure.

    Args:
        used: ids of the images, and the names, that containers were made from.
    """
    ours = {familiar(name) for name in repositories}
    kept = {familiar(reference) for reference in keep}
    out = {}
    for image in images:
        mine = [name for name in image.names if repository(name) in ours]
        if image.identity in used or used & set(image.names) or kept & set(image.names):
            continue
        if mine:
            # Digests first: with the last tag of a repository the engine takes its digests too.
            out[image.identity] = sorted(mine, key=lambda name: "@" not in name)
        elif not image.names and image.project == project:
            out[image.identity] = [image.identity]
    return out


def inspect_all(kind: str, listing: list[str]) -> list[dict[str, Any]]:
    """What the engine knows of all that a command lists the ids of.

    Raises:
        CommandFailed: also when thrice something went away between listing and looking.
    """
    for last in (False, False, True):
        identities = sorted(set(run(["docker", *listing, "-q", "--no-trunc"], "/").split()))
        try:
            return json.loads(run(["docker", kind, "inspect", *identities], "/")) if identities else []
        except CommandFailed:
            if last:
                raise
    return []


def read_images() -> list[Image]:
    """Every image of the engine that is not merely a layer of another one."""
    found = []
    for entry in inspect_all("image", ["image", "ls"]):
        labels = (entry.get("Config") or {}).get("Labels") or {}
        names = [*(entry.get("RepoTags") or []), *(entry.get("RepoDigests") or [])]
        known = tuple(name for name in names if not name.startswith("<none>"))
        found.append(Image(entry["Id"], known, labels.get(PROJECT_LABEL, "")))
    return found


def read_used() -> set[str]:
    """Ids and names of the images of every container, whoever's, in whatever state."""
    entries = inspect_all("container", ["ps", "-a"])
    return {familiar(name) for entry in entries for name in (entry["Image"], entry["Config"]["Image"])}


def free_bytes() -> int:
    """Free space where the engine keeps its images."""
    status = os.statvfs(run(["docker", "info", "--format", "{{.DockerRootDir}}"], "/").strip())
    return status.f_bavail * status.f_frsize


def remove(names: list[str]) -> str:
    """Remove an image by its names, never by force; why it failed, or ''."""
    for name in names:
        try:
            run(["docker", "image", "rm", name], "/")
        except CommandFailed as error:
            if "No such image" not in str(error):  # gone with the name before
                return str(error).splitlines()[-1]
    return ""


def prune(module: AnsibleModule, args: dict[str, Any]) -> None:
    """Look, remove, say; ends the module."""
    images = doomed(read_images(), read_used(), args["repositories"], args["keep"], args["project"])
    if module.check_mode or not images:
        planned = sorted(name for names in images.values() for name in names)
        module.exit_json(changed=bool(images), removed=planned, freed_bytes=0)
    before = free_bytes()
    removed: list[str] = []
    for names in images.values():
        problem = remove(names)
        if problem:
            module.warn(f"{names[0]} could not be removed, and stays: {problem}")
        else:
            removed += names
    module.exit_json(changed=bool(removed), removed=sorted(removed), freed_bytes=max(0, free_bytes() - before))


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "repositories": {"type": "list", "elements": "str", "required": True},
            "keep": {"type": "list", "elements": "str", "required": True},
            "project": {"type": "str", "default": "moorage"},
        },
        supports_check_mode=True,
    )
    args = module.params
    vague = [reference for reference in args["keep"] if "@sha256:" not in reference]
    if vague:
        module.fail_json(msg=f"{', '.join(vague)} to be kept: name it by its digest. Nothing was removed.")
    try:
        prune(module, args)
    except CommandFailed as error:
        module.fail_json(msg=f"The engine did not say what there is: {error}")
    except FileNotFoundError as error:
        if module.check_mode:  # a bare host: no engine yet, so no images
            module.exit_json(changed=False, removed=[], freed_bytes=0)
        module.fail_json(msg=f"Docker is not installed here ({error}). Run playbooks/provision.yml first.")


if __name__ == "__main__":
    main()
