#!/usr/bin/env python3
"""Deploys, rolls back or looks after the host that VPS_* describe: signatures first, then the playbook; one host key.

What the workflows call, with their secrets and inputs in the environment: VPS_HOST, VPS_USER, VPS_SSH_KEY,
VPS_KNOWN_HOSTS, VPS_DEPLOY_PATH, IMAGE_TAG; VERIFY_KEY or SIGNED_BRANCHES say whose signature counts; BREAK_LOCK names
a dead run's lock. What follows `--` goes to ansible-playbook.
"""

# ruff: noqa: T201 - a command's output is what it is for

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from shipping import ROOT, Refused, cosign, run
from shipping.deploying import Target, images_of, reached_at, tag_of, the_host

# Whatever else CI does to a host, by its playbook: with which arguments. None of them brings an image.
UPKEEP = {"rotate_secrets": [], "drift": ["--check"], "audit": []}
BIN = Path(sys.executable).parent
# The key reaches ssh as a file; no playbook needs it.
GIVEN = {name: value for name, value in os.environ.items() if name != "VPS_SSH_KEY"}
ENVIRONMENT = {**GIVEN, "PATH": f"{BIN}:{os.environ['PATH']}"}


def verify(inventory: str, tag: str, places: dict[str, str]) -> dict[str, str]:
    """Digests of the images that the tag will be resolved for, each signed as that tag by who may. Raises: Refused."""
    listing = run(["ansible-inventory", "-i", inventory, "--list"], "Reading the inventory", ENVIRONMENT)
    who = cosign.signer(os.environ)
    digests = {}
    for image in images_of(the_host(json.loads(listing))):
        digests[image] = cosign.verify(reached_at(image, places), tag, who)
        print(f"{image}:{tag}: signature, bill of materials and provenance are right ({digests[image]})", flush=True)
    return digests


def checked_key(path: Path) -> None:
    """Refuse what ssh would ask a password for, or cannot read, with the reason."""
    done = subprocess.run(
        ["ssh-keygen", "-y", "-P", "", "-f", path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().replace(str(path), "the key")
        raise Refused(f"VPS_SSH_KEY is not a private key without a passphrase: {said}. Nothing was changed.")


def play(playbook: str, inventory: str, target: Target, release: dict[str, Any], extra: list[str]) -> int:
    """Run the playbook; its exit code. The key is on the disk only meanwhile, readable by this user alone.

    Args:
        release: the playbook's variables of what to release.
        extra: further arguments of ansible-playbook.
    """
    folder = Path(tempfile.mkdtemp(prefix="moorage-"))
    try:
        files = {"key": target.key, "known_hosts": target.known_hosts}
        variables = {**target.variables(folder / "key", folder / "known_hosts"), **release}
        for name, content in {**files, "variables.json": json.dumps(variables)}.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(content)
        checked_key(folder / "key")
        command = ["ansible-playbook", "-i", inventory, *extra, "-e", f"@{folder}/variables.json"]
        # Connections of its own: one that is open already would not ask for the host's key.
        environment = {**ENVIRONMENT, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp")}
        done = subprocess.run([*command, f"playbooks/{playbook}.yml"], cwd=ROOT, env=environment, check=False)
        return done.returncode
    finally:
        for socket in folder.glob("cp/*"):
            subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "x"], capture_output=True, check=False)
        shutil.rmtree(folder)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    root = argparse.ArgumentParser(prog="deploy", description=__doc__)
    root.add_argument("verb", choices=("deploy", "rollback", *UPKEEP))
    root.add_argument("inventory", help="as inventories/production")
    root.add_argument(
        "--registry-at",
        action="append",
        default=[],
        metavar="NAME=ADDRESS",
        help="a registry's address from here, where it is not the name that the host knows it by",
    )
    return root


def main() -> int:
    """Verify, then play; what goes wrong before the playbook is said in one paragraph."""
    words = sys.argv[1:]
    border = words.index("--") if "--" in words else len(words)
    options, extra = parser().parse_args(words[:border]), words[border + 1 :]
    try:
        if not (ROOT / options.inventory).is_dir():
            raise Refused(
                f"There is no {options.inventory}: copy inventories/example and change it. Nothing was changed."
            )
        tag = "" if options.verb in UPKEEP else tag_of(os.environ, needed=options.verb == "deploy")
        target = Target.of(os.environ)
        # A rollback without a tag takes what the host has kept, and was verified when it came there.
        release: dict[str, Any] = {}
        if os.environ.get("BREAK_LOCK"):
            release["break_lock"] = os.environ["BREAK_LOCK"]
        if tag:
            places = dict(pair.split("=", 1) for pair in options.registry_at)
            release |= {"image_tag": tag, "image_digests": verify(options.inventory, tag, places)}
        return play(options.verb, options.inventory, target, release, [*UPKEEP.get(options.verb, []), *extra])
    except Refused as refused:
        print(f"deploy: {refused}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
