"""Row counts and content digests of tables: of a dump's files, and of a database, by the same text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from moorage_backup import databases
from moorage_backup.running import run, stream

_CHUNK = 1 << 20
# pg_dump ends each table's rows so; COPY to a client does not.
END = b"\\.\n\n\n"
_DATA = re.compile(r"^(\d+); \d+ \d+ TABLE DATA (.+) \S+$")
# What is asked of each table, in pg_dump's own order and text. A name's lines are joined, as `pg_restore --list` does.
_TABLES = """
SELECT coalesce(json_agg(json_build_array(translate(name, E'\\n\\r', '  '), copy) ORDER BY bytes DESC), '[]') FROM (
    SELECT n.nspname || ' ' || c.relname AS name, pg_table_size(c.oid) AS bytes,
           format('COPY %I.%I (%s) TO STDOUT', n.nspname, c.relname,
                  string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)) AS copy
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    GROUP BY c.oid, n.nspname, c.relname
) tables
"""
# As pg_dump sets them: two databases with the same rows must give the same text.
_SESSION = (
    "SET datestyle = iso; SET intervalstyle = postgres; SET extra_float_digits = 3; SET synchronize_seqscans = off;"
)


@dataclass(frozen=True)
class Content:
    """What a table holds: how many rows, and the SHA-256 of their COPY text in the order they lie in."""

    rows: int
    sha256: str


def data_files(listing: str) -> dict[str, int]:
    """Tables, `schema name`, to the number of the file with their rows, from what `pg_restore --list` printed. Pure."""
    found = (_DATA.match(line) for line in listing.splitlines())
    return {match[2]: int(match[1]) for match in found if match}


def of_dump(folder: Path, jobs: int) -> dict[str, Content]:
    """Tables of a dump in directory format, `schema name`, to what they hold."""
    files = data_files(run(["pg_restore", "--list", str(folder)]))
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        found = pool.map(lambda number: _of_file(folder / f"{number}.dat.zst"), files.values())
        return dict(zip(files, found, strict=True))


def _of_file(path: Path) -> Content:
    with stream(["zstd", "--decompress", "--stdout", "--quiet", str(path)]) as text:
        return digested(text)


def of_database(database: str, environment: Mapping[str, str], jobs: int) -> dict[str, Content]:
    """The same of a database, read table by table.

    Raises:
        CommandFailed: it cannot be read.
    """
    tables: list[tuple[str, str]] = databases.ask(_TABLES, environment, database)

    def one(copy: str) -> Content:
        with stream(["psql", "-Xq", "-d", database, "-c", _SESSION, "-c", copy], env=environment) as text:
            return digested(text)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        found = pool.map(one, [copy for _, copy in tables])
        return {name: content for (name, _), content in zip(tables, found, strict=True)}


def digested(text: IO[bytes]) -> Content:
    """Count and digest the rows of one table's COPY text, without pg_dump's end of it."""
    digest, rows = hashlib.sha256(), 0
    for chunk in _without_end(text):
        digest.update(chunk)
        rows += chunk.count(b"\n")
    return Content(rows, digest.hexdigest())


def _without_end(text: IO[bytes]) -> Iterator[bytes]:
    held = b""
    while chunk := text.read(_CHUNK):
        held += chunk
        yield held[: -len(END)]
        held = held[-len(END) :]
    yield held.removesuffix(END)


def differences(wanted: Mapping[str, Content], found: Mapping[str, Content]) -> list[str]:
    """What a person is told where two databases do not hold the same. Pure."""
    out = [f"{name}: missing" for name in sorted(wanted.keys() - found.keys())]
    out += [f"{name}: not in the backup" for name in sorted(found.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & found.keys()):
        there, here = wanted[name], found[name]
        if there.rows != here.rows:
            out.append(f"{name}: {here.rows} rows, and {there.rows} in the backup")
        elif there.sha256 != here.sha256:
            out.append(f"{name}: {here.rows} rows as in the backup, but other content")
    return out
