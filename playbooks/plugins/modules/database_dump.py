#!/usr/bin/python
"""Dumps databases of the stack to files that are sealed last, and keeps no second dump of what has not changed."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed
from ansible.module_utils.dump_files import (
    Seal,
    forget,
    free_bytes,
    intact,
    new_file,
    seal,
    sealed,
    shortage,
    surplus,
    sweep,
)
from ansible.module_utils.dump_stream import Written, dump, end_leftovers, look
from ansible.module_utils.release_lock import at_work

DOCUMENTATION = """
module: database_dump
short_description: Dump databases to compressed files on the host
description: >-
  A plain pg_dump of each database, `<database>-<UTC time>-<why>.sql.gz`, and after it the manifest `….json` that seals
  it: hash, size, seconds, schema revision, server version. A dump that says the same as the newest sealed one is
  dropped. Nothing is left of one that fails. In check mode each database is read and compared, and nothing written.
  Restore with `zcat FILE | docker exec -i CONTAINER psql -U postgres -X -d NEW_DATABASE`.
options:
  databases: {type: list, elements: str, required: true, description: Databases to dump}
  why: {type: str, required: true, description: "What it is for; part of the file's name: before-sha-1a2b3c4"}
  container: {type: str, default: moorage-postgres, description: Container of the server}
  folder: {type: path, default: /opt/moorage/backups, description: Where the dumps lie; made for root alone}
  keep: {type: int, default: 5, description: How many sealed dumps of each database stay}
  volatile:
    type: list
    elements: str
    default: [public.procrastinate_workers]
    description: Tables whose rows alone are no reason for another dump (they are in the dump all the same)
  seconds: {type: int, default: 3600, description: How long one dump may take}
"""

ARGUMENTS = {
    "databases": {"type": "list", "elements": "str", "required": True},
    "why": {"type": "str", "required": True},
    "container": {"type": "str", "default": "moorage-postgres"},
    "folder": {"type": "path", "default": "/opt/moorage/backups"},
    "keep": {"type": "int", "default": 5},
    "volatile": {"type": "list", "elements": "str", "default": ["public.procrastinate_workers"]},
    "seconds": {"type": "int", "default": 3600},
}


class Refused(Exception):
    """The dump was not begun; the text says why and what to do."""


class Failed(Exception):
    """A database was not dumped, and nothing is left of the attempt."""


class Unchanged(Exception):
    """The dump says what an earlier one says, so it is not kept."""

    def __init__(self, earlier: Seal) -> None:
        super().__init__(earlier.file)
        self.earlier = earlier


class Outcome(NamedTuple):
    """What became of one database: a line for a person, the dump that holds it now, and whether it is new."""

    line: str
    file: str
    new: bool


def faults(args: dict[str, Any]) -> list[str]:
    """What is wrong with the arguments. Pure."""
    out = [
        f"{name!r} is no name of a database that can be part of a file's name"
        for name in args["databases"]
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name)
    ]
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,150}", args["why"]):
        out.append(f"why is {args['why']!r}: letters, digits, _ . and - only")
    return out + ([] if args["keep"] >= 1 else ["keep is less than 1: no dump would stay"])


def free_name(folder: Path, database: str, why: str) -> tuple[str, str]:
    """A file name that is not taken, and its time."""
    while True:
        now = datetime.now(UTC)
        name = f"{database}-{now:%Y%m%dT%H%M%SZ}-{why}.sql.gz"
        if not (folder / name).exists():
            return name, f"{now:%Y-%m-%dT%H:%M:%SZ}"
        time.sleep(0.2)


def compare(folder: Path, newest: Seal | None, written: Written) -> None:
    """Raise Unchanged where the newest dump, as it lies there, says the same as the one just written."""
    if newest is not None and newest.content == written.content and intact(folder, newest):
        raise Unchanged(newest)


def dump_one(database: str, args: dict[str, Any], check: bool) -> Outcome:
    """Dump one database, or find that it has not changed.

    Raises:
        Refused, CommandFailed, OSError: nothing is left of the attempt.
    """
    folder, container = Path(args["folder"]), args["container"]
    facts = look(container, database)
    if problem := shortage(database, facts.bytes, free_bytes(folder)):
        raise Refused(problem)
    newest = next(reversed(sealed(folder, database)), None)
    name, at = free_name(folder, database, args["why"])
    begun = time.monotonic()
    try:
        with Path(os.devnull).open("wb") if check else new_file(folder, name) as file:
            written = dump(container, database, file, args["volatile"], args["seconds"])
            compare(folder, newest, written)
    except Unchanged as known:
        line = f"{database}: nothing changed since {known.earlier.file}, which stays the newest"
        return Outcome(line, known.earlier.file, False)
    if check:
        return Outcome(f"{database}: would be dumped to {name}", name, True)
    took = round(time.monotonic() - begun, 3)
    identity = (written.bytes, written.sha256, written.content)
    seal(folder, Seal(name, database, at, args["why"], *identity, took, facts.revision, facts.version))
    return Outcome(f"{database}: dumped to {name} ({written.bytes} bytes, {took} s)", name, True)


@contextmanager
def alone(folder: Path, check: bool) -> Iterator[None]:
    """Keeps a second dump out of the folder.

    Raises:
        Refused: there is one at work.
    """
    if check and not folder.exists():
        yield
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"Another dump into {folder} is at work; wait until it has ended.") from error
        yield
    finally:
        os.close(handle)


def thin(folder: Path, database: str, keep: int, check: bool, coming: bool) -> list[str]:
    """Remove the oldest dumps of a database; their names."""
    old = surplus(sealed(folder, database), keep, coming)
    for manifest in [] if check else old:
        forget(folder, manifest)
    return [manifest.file for manifest in old]


def run_all(args: dict[str, Any], check: bool) -> dict[str, Any]:
    """Dump every database, and drop the oldest of each; the module's result.

    Raises:
        Failed: with what became of the databases before.
        CommandFailed: the server does not answer.
    """
    folder = Path(args["folder"])
    lines: list[str] = []
    dumps: dict[str, dict[str, Any]] = {}
    removed: list[str] = []
    if not check:
        sweep(folder)
        end_leftovers(args["container"])
    for database in args["databases"]:
        try:
            outcome = dump_one(database, args, check)
        except (Refused, CommandFailed, OSError) as error:
            with suppress(CommandFailed):
                end_leftovers(args["container"])
            before = "".join(f" Before that: {line}." for line in lines)
            raise Failed(f"{database} was not dumped, and nothing is left of the attempt: {error}{before}") from error
        lines.append(outcome.line)
        dumps[database] = {"file": str(folder / outcome.file), "new": outcome.new}
        removed += thin(folder, database, args["keep"], check, check and outcome.new)
    changed = bool(removed) or any(made["new"] for made in dumps.values())
    return {"changed": changed, "lines": lines + [f"{name}: removed" for name in removed], "dumps": dumps}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    args, check = module.params, module.check_mode
    if wrong := faults(args):
        module.fail_json(msg="; ".join(wrong) + ". Nothing was dumped.")
    try:
        with at_work(), alone(Path(args["folder"]), check):
            module.exit_json(**run_all(args, check))
    except Refused as error:
        module.fail_json(msg=f"{error} Nothing was dumped.")
    except (Failed, CommandFailed) as error:
        module.fail_json(msg=str(error))
    except FileNotFoundError as error:
        module.fail_json(msg=f"Docker is not installed here ({error}). Run playbooks/provision.yml first.")
    except OSError as error:
        module.fail_json(msg=f"{args['folder']} cannot be used: {error}. Nothing was dumped.")


if __name__ == "__main__":
    main()
