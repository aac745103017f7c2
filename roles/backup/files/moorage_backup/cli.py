"""`moorage-backup`: what the timers, the playbooks and people say."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moorage_backup import backup, catalogue, drill, placing, restoring, settings, shipping
from moorage_backup.failures import Failure


def _serve(options: argparse.Namespace, given: settings.Settings) -> None:
    shipping.serve(given)


def _run(options: argparse.Namespace, given: settings.Settings) -> dict[str, Any]:
    yield_to_others()
    return backup.backup(given, options.wait)


def _list(options: argparse.Namespace, given: settings.Settings) -> list[dict[str, Any]]:
    return catalogue.listed(backup.repository(given, given.target(options.target)))


def _drill(options: argparse.Namespace, given: settings.Settings) -> dict[str, Any]:
    yield_to_others()
    wanted = {"target": options.target, "wanted": options.backup, "wait": options.wait}
    return drill.drill(given, **wanted, check_within=options.check_within)


def _database(options: argparse.Namespace, given: settings.Settings) -> dict[str, Any]:
    return restoring.database(
        given,
        name=options.database,
        into=options.into,
        target=options.target,
        wanted=options.backup,
        moment=options.time,
        tables=tuple(options.table),
        wait=options.wait,
    )


def _objects(options: argparse.Namespace, given: settings.Settings) -> dict[str, Any]:
    wanted = {"target": options.target, "wanted": options.backup, "wait": options.wait}
    return restoring.objects_(given, bucket=options.bucket, prefix=options.prefix, into=options.into, **wanted)


def _files(options: argparse.Namespace, given: settings.Settings) -> dict[str, Any]:
    return restoring.files(given, into=Path(options.into), target=options.target, wanted=options.backup)


def _server(options: argparse.Namespace, given: settings.Settings) -> dict[str, Any]:
    into = Path(options.into)
    return restoring.server(given, into=into, target=options.target, moment=options.time, wait=options.wait)


def _swap(options: argparse.Namespace, given: settings.Settings) -> dict[str, Any]:
    return placing.swap(given, live=options.live, restored=options.restored, fingerprint=options.fingerprint)


def _put_back(options: argparse.Namespace, given: settings.Settings) -> dict[str, Any]:
    return placing.put_back(given, live=options.live, restored=options.restored, table=options.table)


def yield_to_others() -> None:
    """Take the processor and the disk only when nobody else wants them; children inherit it."""
    os.nice(15)
    subprocess.run(["ionice", "-c", "2", "-n", "7", "-p", str(os.getpid())], check=False, capture_output=True)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    root = argparse.ArgumentParser(prog="moorage-backup", description="Backs the stack up, and brings it back.")
    root.add_argument("--config", type=Path, default=settings.CONFIG, help="written by roles/backup")
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace, settings.Settings], Any], words: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        return sub

    def from_backup(sub: argparse.ArgumentParser, into: str, *, moment: bool = False) -> argparse.ArgumentParser:
        sub.add_argument("--into", required=True, help=into)
        sub.add_argument("--target", default="", help="default: the first that is not on this host")
        sub.add_argument("--backup", default="latest", help="a snapshot's id as `list` prints it; default: latest")
        sub.add_argument(
            "--wait", type=float, default=600, help="seconds to wait for a backup or restore that is at work"
        )
        if moment:
            sub.add_argument("--time", default="", help="as it was at this moment: 2026-11-28T05:00:00Z")
        return sub

    command("serve", _serve, "Receive the write-ahead log and store it in the targets, until told to end.")
    run = command("run", _run, "Back everything up, into every target.")
    run.add_argument("--wait", type=float, default=3600, help="seconds to wait for a backup or restore that is at work")
    listing = command("list", _list, "The sealed backups in a target, oldest first.")
    listing.add_argument("--target", default="", help="default: the first that is not on this host")
    drilled = command("drill", _drill, "Restore a backup where nobody is disturbed, and compare it with its manifest.")
    drilled.add_argument("--target", default="", help="default: the first that is not on this host")
    drilled.add_argument("--backup", default="latest", help="a snapshot's id as `list` prints it; default: latest")
    drilled.add_argument(
        "--wait", type=float, default=3600, help="seconds to wait for a backup or restore that is at work"
    )
    drilled.add_argument(
        "--check-within", type=float, default=0, help="seconds to hold the databases for a verdict on them"
    )
    database = command("restore-database", _database, "Restore a database, or tables of it, into a new one.")
    from_backup(database, "name of the new database", moment=True)
    database.add_argument("--database", required=True, help="which one")
    database.add_argument("--table", action="append", default=[], help="only this, `schema.name`; can be given again")
    found = from_backup(
        command("restore-objects", _objects, "Restore objects to below another prefix."), "the other prefix"
    )
    found.add_argument("--bucket", required=True, help="which bucket")
    found.add_argument("--prefix", default="", help="which objects; default: all")
    from_backup(command("restore-files", _files, "Bring the stack's own files into a folder."), "the folder")
    whole = command("restore-server", _server, "Make the server's data folder as it was.")
    from_backup(whole, "a folder that does not exist", moment=True)
    swapped = command("swap", _swap, "Give a restored database the live one's name; the live one stays under another.")
    back = command("put-back", _put_back, "Insert the rows of a restored table that the live one lacks.")
    for sub in (swapped, back):
        sub.add_argument("--live", required=True, help="the database that is in use")
        sub.add_argument("--restored", required=True, help="the one that was restored")
    swapped.add_argument("--fingerprint", required=True, help="of the live one, as a refused restore prints it")
    back.add_argument("--table", required=True, help="`schema.name`")
    return root


def main() -> int:
    """Run a command; its result is JSON on standard output, a failure one paragraph on standard error."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        result = options.run(options, settings.load(options.config))
    except Failure as failed:
        print(f"moorage-backup: {failed}", file=sys.stderr)  # noqa: T201 - a command's output is what it is for
        return 1
    if result is not None:
        print(json.dumps(result, indent=2, sort_keys=True))  # noqa: T201 - as above
    return 0
