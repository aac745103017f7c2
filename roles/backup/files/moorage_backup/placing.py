"""The last step of a restore: what was restored and verified takes the place of what lives, or fills its gaps."""

# ruff: noqa: S608 - names are quoted, and no value of a row is in a statement

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from moorage_backup import databases, loading
from moorage_backup.databases import literal, quoted
from moorage_backup.failures import CommandFailed, Refused
from moorage_backup.restoring import administrator
from moorage_backup.running import stream
from moorage_backup.settings import Settings

_COLUMNS = """
SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute
WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


def swap(settings: Settings, *, live: str, restored: str, fingerprint: str) -> dict[str, Any]:
    """Give a restored database the live one's name. The live one stays, under a name with the time.

    Args:
        fingerprint: of the live database, as the refusal to write over it prints it: typed by a person.

    Raises:
        Refused: it is another database's; nothing was changed.
    """
    admin = administrator(settings)
    before, after = loading.look(admin, live), loading.look(admin, restored)
    for name, there in ((live, before), (restored, after)):
        if there is None:
            raise Refused(f"There is no database {name}. Nothing was changed.")
    assert before  # noqa: S101 - looked at just above
    if loading.fingerprint(before) != fingerprint:
        raise Refused(
            f"The fingerprint of {live} on this server is {loading.fingerprint(before)}, not {fingerprint}: either this"
            " is another server than you think, or it was swapped already. Nothing was changed."
        )
    aside = f"{live}_before_{time.strftime('%Y%m%dt%H%M%S', time.gmtime())}"
    begun = time.monotonic()
    _rename(admin, live, restored, aside)
    return {"live": live, "aside": aside, "seconds": round(time.monotonic() - begun, 3)}


def _rename(admin: Mapping[str, str], live: str, restored: str, aside: str) -> None:
    """Both names change in one transaction. Whoever connects meanwhile waits for it; whoever came just before fails it.

    Raises:
        CommandFailed: somebody came just before each time; nothing was changed.
    """
    names = f"{literal(live)}, {literal(restored)}"
    statements = f"""
        BEGIN;
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ({names});
        ALTER DATABASE {quoted(live)} RENAME TO {quoted(aside)};
        ALTER DATABASE {quoted(restored)} RENAME TO {quoted(live)};
        COMMIT;
    """
    for tries_left in reversed(range(10)):
        try:
            databases.tell(statements, admin)
            return
        except CommandFailed as failed:
            if not tries_left or "being accessed by other users" not in failed.said:
                raise


def put_back(settings: Settings, *, live: str, restored: str, table: str) -> dict[str, Any]:
    """Insert the rows of a restored table that the live one lacks, by its keys; nothing that is there is changed.

    Raises:
        CommandFailed: nothing was inserted.
    """
    admin = administrator(settings)
    schema, _, name = table.rpartition(".")
    where = f"{quoted(schema or 'public')}.{quoted(name)}"
    columns = databases.ask(_COLUMNS.format(table=literal(where)), admin, live)
    listed = ", ".join(quoted(column) for column in columns)
    words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-d", live]
    for statement in (
        f"CREATE TEMP TABLE restored ON COMMIT DROP AS SELECT {listed} FROM {where} WITH NO DATA",
        "COPY restored FROM STDIN",
        f"WITH added AS (INSERT INTO {where} ({listed}) OVERRIDING SYSTEM VALUE"
        " SELECT * FROM restored ON CONFLICT DO NOTHING RETURNING 1)"
        " SELECT json_build_object('restored', (SELECT count(*) FROM restored), 'added', (SELECT count(*) FROM added))",
    ):
        words += ["-c", statement]
    environment = {**os.environ, **admin}
    copy = f"COPY (SELECT {listed} FROM {where}) TO STDOUT"
    with stream(["psql", "-Xq", "-d", restored, "-c", copy], env=admin) as rows:
        done = subprocess.run(words, env=environment, stdin=rows, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed("psql", done.returncode, done.stderr)
    return {"table": table, **json.loads(done.stdout)}
