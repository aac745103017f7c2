#!/usr/bin/python
"""Walks a rotation of the host's secrets through its steps; the values are made here and never leave the host."""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils import rotation, superuser
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed
from ansible.module_utils.env_reader import unquote
from ansible.module_utils.env_writer import parse, quote, rewrite, write
from ansible.module_utils.release_lock import at_work

DOCUMENTATION = """
module: secret_rotation
short_description: Begin a rotation of secrets or go on with one, and say what is to be done next
description: >-
  C(begin) makes new secrets in .env, or finds a rotation that was cut off. C(advance) goes to the next step, once the
  slot that serves was started with the new secrets. Returns C(step), C(groups), whether a release is C(due), the
  C(slot) that serves, C(wait) in seconds, and release.json anew as a fact. No value is ever returned.
options:
  root: {type: path, default: /opt/moorage, description: Folder of .env and release.json}
  container: {type: str, default: moorage-postgres, description: "PostgreSQL's, where the superuser's password is set"}
  do: {type: str, choices: [begin, advance], required: true, description: What to do}
  only: {type: str, default: "", description: "Groups, with commas between; empty for all"}
  store: {type: bool, default: true, description: "Whether the store's keys are ours to make"}
  by: {type: str, default: "", description: "Who rotates, for the report"}
  accept_seconds: {type: int, default: 90000, description: How long the signing secrets of before are accepted}
  presigned_seconds: {type: int, default: 300, description: The longest life of an address that the store signed}
"""

ARGUMENTS = {
    "root": {"type": "path", "default": "/opt/moorage"},
    "container": {"type": "str", "default": "moorage-postgres"},
    "do": {"type": "str", "choices": ["begin", "advance"], "required": True},
    "only": {"type": "str", "default": ""},
    "store": {"type": "bool", "default": True},
    "by": {"type": "str", "default": ""},
    "accept_seconds": {"type": "int", "default": 90000},
    "presigned_seconds": {"type": "int", "default": 300},
}


class Host:
    """The two files of the host that a rotation reads, and the one that it writes."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / ".env"
        self.release: dict[str, Any] = json.loads((root / "release.json").read_text())
        self.slot = str(self.release["units"]["controlplane"]["active"])
        self.read()

    def read(self) -> None:
        self.text = self.path.read_text()
        self.env = {name: unquote(raw) for name, raw in parse(self.text).items()}

    def edit(self, edit: rotation.Edit) -> None:
        """All of it in one write: there is no state between two steps."""
        if edit.changes or edit.gone:
            raw = {name: quote(value) for name, value in edit.changes.items()}
            write(self.path, rewrite(self.text, raw, edit.gone))
            self.read()


def begin(host: Host, args: dict[str, Any], now: datetime, *, check: bool) -> list[str]:
    """Begin, or find what was begun; the groups. Raises Refused."""
    state = rotation.state_of(host.env)
    if state:
        return list(state["groups"])
    groups = rotation.wanted(args["only"])
    if not args["store"] and "store" in groups:
        if args["only"]:
            raise rotation.Refused("The store's keys were given, not made here: replace them where they come from.")
        groups.remove("store")
    rotation.refuse_third(host.env, groups, now, args["accept_seconds"])
    said = {"by": args["by"], "at": rotation.moment(now, 0)}
    if not check:
        host.edit(rotation.begun(host.env, groups, host.slot, said, secrets.token_hex))
    return groups


def advance(host: Host, args: dict[str, Any], now: datetime) -> dict[str, Any] | None:
    """Go to the next step; the report where that was the last one. Raises Refused."""
    if rotation.due(host.env, host.slot):
        raise rotation.Refused(f"The slot that serves ({host.slot}) was not started with the new secrets yet.")
    step = rotation.state_of(host.env)["step"]
    if step == "accept":
        host.edit(rotation.accepted(host.env, host.slot, now, args["accept_seconds"]))
    elif step == "sign":
        host.edit(rotation.signed(host.env, host.slot))
    else:
        line = rotation.report(host.env, now)
        _append(host.root / "rotations.jsonl", line)
        host.edit(rotation.Edit({}, frozenset({rotation.STATE}) | rotation.idle(host.env, host.slot)))
        return line
    return None


def _append(path: Path, line: dict[str, Any]) -> None:
    """Once: a run that is cut off before .env is written adds the same line again, which is then there already."""
    known = path.read_text().splitlines() if path.exists() else []
    if any(json.loads(one)["begun"] == line["begun"] for one in known):
        return
    with path.open("a") as log:
        log.write(json.dumps(line, sort_keys=True) + "\n")
        log.flush()
        os.fsync(log.fileno())


def walk(module: AnsibleModule) -> dict[str, Any]:
    """One call: what is next, and what was done. Raises Refused, CommandFailed, OSError."""
    args, now = module.params, datetime.now(UTC)
    host = Host(Path(args["root"]))
    before, line = host.text, None
    if args["do"] == "begin":
        groups = begin(host, args, now, check=module.check_mode)
    else:
        line = advance(host, args, now)
        groups = rotation.state_of(host.env).get("groups", [])
    if not module.check_mode:
        host.edit(rotation.prolonged(host.env, host.slot, now, args["accept_seconds"]))
        if args["do"] == "begin" and "database" in groups:
            superuser.tell(host.root, args["container"], host.env[rotation.SUPERUSER])
    return {
        "changed": module.check_mode or host.text != before,
        "step": rotation.state_of(host.env).get("step", ""),
        "groups": groups,
        "slot": host.slot,
        "due": rotation.due(host.env, host.slot),
        "wait": rotation.wait(host.env, now, args["presigned_seconds"]),
        "secrets": sorted(name for group in groups for name in rotation.ROTATED[group]),
        "until": rotation.words(line.get("before_accepted_until", "")) if line else "",
        "ansible_facts": {"release": host.release},
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        with at_work():
            result = walk(module)
    except rotation.Refused as refused:
        module.fail_json(msg=f"{refused} Nothing was changed.")
    except (CommandFailed, OSError, KeyError, ValueError) as error:
        module.fail_json(msg=f"The rotation stopped: {type(error).__name__}: {error}. Run it again to go on.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
