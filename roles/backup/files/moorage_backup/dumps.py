"""Logical dumps: one folder a database, sealed last, with what each table held in the very snapshot that was dumped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moorage_backup import databases, digests, sealing
from moorage_backup.running import run
from moorage_backup.settings import Settings

# A dump waits this long for a table that somebody else has locked for himself.
LOCK_WAIT = "60s"
ROLES = "roles.sql"
# Within a dump's folder: what pg_dump wrote.
CONTENT = "content"
_FACTS = """
SELECT json_build_object(
  'server', current_setting('server_version'), 'owner', datdba::regrole::text,
  'bytes', pg_database_size(oid), 'connect',
  (SELECT coalesce(json_agg(grantee::regrole::text ORDER BY grantee::regrole::text), '[]') FROM aclexplode(datacl)
   WHERE privilege_type = 'CONNECT' AND grantee <> 0 AND grantee <> datdba))
FROM pg_database WHERE datname = current_database()
"""


def dump(environment: Mapping[str, str], database: str, folder: Path, jobs: int) -> dict[str, Any]:
    """Dump a database into a folder, in the place of the dump before; its manifest.

    The digests are those of the dump itself, so rows and digests are of one snapshot by construction.

    Raises:
        CommandFailed: the dump before stays.
    """
    begun, at = time.monotonic(), now()
    facts = databases.ask(_FACTS, environment, database)
    with sealing.replacing(folder) as draft:
        content = draft / CONTENT
        run([*_words(jobs), "--file", str(content), "--dbname", database], env=environment)
        tables = {name: asdict(held) for name, held in digests.of_dump(content, jobs).items()}
        seconds = round(time.monotonic() - begun, 3)
        return sealing.seal(draft, {"database": database, "at": at, "seconds": seconds, **facts, "tables": tables})


def _words(jobs: int) -> list[str]:
    words = ["pg_dump", "--format=directory", f"--jobs={jobs}", "--compress=zstd:1", f"--lock-wait-timeout={LOCK_WAIT}"]
    # A dump must hold what row level security hides; without the right to see it, it fails instead of leaving it out.
    return [*words, "--no-sync"]


def roles(settings: Settings) -> None:
    """Write down the roles of the server, without passwords: a restored database names them."""
    words = ["pg_dumpall", "--roles-only", "--no-role-passwords", "--database=postgres"]
    settings.dumps.mkdir(mode=0o700, parents=True, exist_ok=True)
    sealing.write(settings.dumps / ROLES, run(words, env=settings.server.environment))


def tables_of(manifest: Mapping[str, Any]) -> dict[str, digests.Content]:
    """What a manifest says of each table."""
    return {name: digests.Content(**content) for name, content in manifest["tables"].items()}


def now() -> str:
    """This moment, RFC 3339, UTC, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
