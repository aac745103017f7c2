"""What a workflow's secrets and inputs mean to ansible-playbook. Pure: words in, words or a refusal out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shipping import Refused
from shipping.products import TAG, short_tag

NEEDED = ("VPS_HOST", "VPS_USER", "VPS_SSH_KEY", "VPS_KNOWN_HOSTS")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PATH = re.compile(r"/[A-Za-z0-9._/-]+")


@dataclass(frozen=True)
class Target:
    """Where to deploy and how to get in. `path` is empty where the inventory's own `stack_root` counts."""

    host: str
    user: str
    key: str = field(repr=False)
    known_hosts: str
    path: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Target:
        """The target that the secrets describe. Raises: Refused, naming all that is missing or malformed."""
        given = {name: environment.get(name, "").strip() for name in (*NEEDED, "VPS_DEPLOY_PATH")}
        faults = [f"{name} is not set" for name in NEEDED if not given[name]]
        forms = (("VPS_HOST", _HOST, "a host name or an address"), ("VPS_USER", _USER, "a user's name"))
        for name, form, what in (*forms, ("VPS_DEPLOY_PATH", _PATH, "an absolute path")):
            if given[name] and not form.fullmatch(given[name]):
                faults.append(f"{name} is not {what}")
        if (
            given["VPS_HOST"]
            and given["VPS_KNOWN_HOSTS"]
            and not names_host(given["VPS_KNOWN_HOSTS"], given["VPS_HOST"])
        ):
            faults.append("VPS_KNOWN_HOSTS has no line for VPS_HOST (`ssh-keyscan -t ed25519` prints one)")
        if faults:
            raise Refused("; ".join(faults) + ". See docs/reference/ci-secrets.md. Nothing was changed.")
        # A key that was pasted on Windows, or without its last line break, is no key to ssh.
        key = given["VPS_SSH_KEY"].replace("\r", "") + "\n"
        known = given["VPS_KNOWN_HOSTS"].replace("\r", "") + "\n"
        return cls(given["VPS_HOST"], given["VPS_USER"], key, known, given["VPS_DEPLOY_PATH"])

    def variables(self, key: Path, known_hosts: Path) -> dict[str, str]:
        """Variables of ansible-playbook that beat whatever the inventory says of the connection."""
        options = {
            "UserKnownHostsFile": known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
        }
        out = {
            "ansible_host": self.host,
            "ansible_user": self.user,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": " ".join(f"-o {name}={value}" for name, value in options.items()),
        }
        return out | ({"stack_root": self.path} if self.path else {})


def names_host(known_hosts: str, host: str) -> bool:
    """Whether a known_hosts file pins a key for the host; a hashed line may be about any."""
    for line in known_hosts.splitlines():
        fields = line.split()
        if len(fields) >= 3 and not line.startswith(("#", "@")):
            names = fields[0].split(",")
            if host in names or any(name.startswith((f"[{host}]:", "|1|")) for name in names):
                return True
    return False


def tag_of(environment: Mapping[str, str], *, needed: bool) -> str:
    """IMAGE_TAG, or the tag of IMAGE_COMMIT's images, checked before any command sees it. Raises: Refused."""
    tag = environment.get("IMAGE_TAG", "").strip()
    if not tag and environment.get("IMAGE_COMMIT"):
        tag = short_tag(environment["IMAGE_COMMIT"])
    if not tag and needed:
        raise Refused("IMAGE_TAG names no tag to deploy, such as sha-1a2b3c4. Nothing was changed.")
    if tag and not TAG.fullmatch(tag):
        raise Refused(f"IMAGE_TAG {tag!r} is not an image tag. Nothing was changed.")
    return tag


def the_host(inventory: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the inventory's one host, from `ansible-inventory --list`.

    Raises: Refused for several: the secrets are one host's, and all would be aimed at it.
    """
    hosts = dict(inventory.get("_meta", {}).get("hostvars", {}))
    if len(hosts) != 1:
        raise Refused(f"The inventory must have one host for one VPS_HOST; it has {len(hosts)}. Nothing was changed.")
    return dict(next(iter(hosts.values())))


def images_of(host: Mapping[str, Any]) -> list[str]:
    """The images that a deploy resolves by its tag: those the inventory writes without tag and digest.

    Raises: Refused where a name is an expression: what it means is known only once it is too late.
    """
    services = host.get("stack_services") or {}
    names = [host.get("controlplane_image", ""), *(each.get("image", "") for each in services.values())]
    follow = [name for name in names if name and "@" not in name and ":" not in name.rpartition("/")[2]]
    if [name for name in follow if "{{" in name] or not follow:
        raise Refused(
            "controlplane_image and stack_services.*.image must stand in the inventory as plain names, so that their"
            " signatures can be verified first. Nothing was changed."
        )
    return list(dict.fromkeys(follow))


def reached_at(image: str, places: Mapping[str, str]) -> str:
    """The image's name from this machine, where a registry has another address here than on the host."""
    registry, slash, path = image.partition("/")
    return places.get(registry, registry) + slash + path
