"""Puts a sealed dump into a new database, as somebody who has no rights anywhere else."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moorage_backup import databases, digests, dumps
from moorage_backup.databases import literal, quoted
from moorage_backup.failures import Damaged, Refused
from moorage_backup.running import run

# What an archive of one database does not hold unless it means others.
_ELSEWHERE = re.compile(
    r"^\d+; \d+ \d+ (SUBSCRIPTION|SERVER|USER MAPPING|EVENT TRIGGER|PROCEDURAL LANGUAGE"
    r"|FOREIGN DATA WRAPPER)\b"
)
_SECURITY = re.compile(r"^\d+; \d+ \d+ (ROW SECURITY|POLICY) ")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_ROLE_LINE = re.compile(r"(CREATE ROLE|ALTER ROLE|GRANT|COMMENT ON ROLE|SET) [^\\]*;|--.*|", re.DOTALL)
_FINGERPRINT = """
SELECT json_build_object('system', (SELECT system_identifier::text FROM pg_control_system()), 'oid', oid::bigint,
  'connections', (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid), 'bytes', pg_database_size(oid))
FROM pg_database d WHERE datname = {name}
"""


def fingerprint(facts: Mapping[str, Any]) -> str:
    """What tells one database of one server from every other, and from what takes its name later. Pure."""
    return f"{facts['system']}-{facts['oid']}"


def look(environment: Mapping[str, str], name: str) -> dict[str, Any] | None:
    """What there is under a name on a server; None where nothing is."""
    found: dict[str, Any] | None = databases.ask(_FINGERPRINT.format(name=literal(name)), environment)
    return found


def refuse(name: str, there: Mapping[str, Any] | None) -> None:
    """Nothing is ever restored over what is there.

    Raises:
        Refused: with the fingerprint of what is there.
    """
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} cannot be a new database's name: small letters, digits and _, at most 63. Nothing was changed."
        )
    if there:
        raise Refused(
            f"There is a database {name} already (fingerprint {fingerprint(there)}, {there['bytes'] // 2**20} MB,"
            f" {there['connections']} connections), and nothing is restored over one. Give a name that is not taken;"
            " what was restored and verified is swapped in afterwards. Nothing was changed."
        )


def elsewhere(listing: str) -> list[str]:
    """Lines of `pg_restore --list` that reach beyond the database. Pure."""
    return [line for line in listing.splitlines() if _ELSEWHERE.match(line)]


def load(
    environment: Mapping[str, str],
    folder: Path,
    manifest: Mapping[str, Any],
    into: str,
    jobs: int,
    *,
    tables: tuple[str, ...] = (),
) -> None:
    """Make a database of a dump. What fails leaves no database behind.

    pg_restore speaks to the server itself: there is no psql whose commands a dump could use. It logs in as a role that
    may become the owner and nothing else.

    Args:
        environment: of the server's superuser.
        tables: only these, `schema.name`; all without.

    Raises:
        Refused: the name is taken, or the dump reaches elsewhere.
        CommandFailed: with PostgreSQL's words.
    """
    content = str(folder / dumps.CONTENT)
    refuse(into, look(environment, into))
    listing = run(["pg_restore", "--list", content])
    if lines := elsewhere(listing):
        raise Refused(f"This dump reaches beyond its database: {'; '.join(lines[:3])}. It was not restored.")
    owner = manifest["owner"]
    with _stranger(environment, owner) as stranger:
        databases.tell(
            f"CREATE DATABASE {quoted(into)} OWNER {quoted(owner)} TEMPLATE template0 ENCODING 'UTF8'", environment
        )
        try:
            databases.tell(_rights(into, manifest, stranger["PGUSER"]), environment)
            words = ["pg_restore", "--exit-on-error", "--no-owner", f"--role={owner}", f"--jobs={jobs}", "-d", into]
            for part in parts(listing):
                with tempfile.NamedTemporaryFile("w") as order:
                    order.write(part)
                    order.flush()
                    run([*words, *_only(tables), f"--use-list={order.name}", content], env=stranger)
            databases.tell(f"REVOKE CONNECT ON DATABASE {quoted(into)} FROM {quoted(stranger['PGUSER'])}", environment)
        except BaseException:
            databases.tell(f"DROP DATABASE IF EXISTS {quoted(into)} WITH (FORCE)", environment)
            raise


def parts(listing: str) -> tuple[str, str]:
    """A dump's list in two: row level security comes when everything else is there. Pure.

    Before that it would bind the owner as well, and a foreign key is not checked by whom it binds.
    """
    lines = [line for line in listing.splitlines() if not line.startswith(";")]
    policies = [line for line in lines if _SECURITY.match(line)]
    return "\n".join(line for line in lines if line not in policies) + "\n", "\n".join(policies) + "\n"


def _only(tables: tuple[str, ...]) -> list[str]:
    words = []
    for table in tables:
        schema, _, name = table.rpartition(".")
        words += [f"--schema={schema or 'public'}", f"--table={name}"]
    return words


def _rights(into: str, manifest: Mapping[str, Any], stranger: str) -> str:
    """Who may connect: as it was, and for now whoever restores."""
    lines = [f"REVOKE ALL ON DATABASE {quoted(into)} FROM PUBLIC;"]
    lines += [
        f"GRANT CONNECT ON DATABASE {quoted(into)} TO {quoted(role)};" for role in (*manifest["connect"], stranger)
    ]
    return "\n".join(lines)


@contextmanager
def _stranger(environment: Mapping[str, str], owner: str) -> Iterator[dict[str, str]]:
    """A role for the block, that may become the owner."""
    name, password = f"moorage_restore_{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    quick = quoted(name)
    databases.tell(
        f"SET password_encryption = 'scram-sha-256'; CREATE ROLE {quick} LOGIN NOINHERIT PASSWORD {literal(password)};"
        f" GRANT {quoted(owner)} TO {quick};",
        environment,
    )
    try:
        yield {**environment, "PGUSER": name, "PGPASSWORD": password}
    finally:
        databases.tell(f"DROP ROLE IF EXISTS {quick}", environment)


def compare(
    environment: Mapping[str, str], database: str, manifest: Mapping[str, Any], jobs: int, only: tuple[str, ...] = ()
) -> int:
    """How many rows a database holds, if every table holds what the manifest says.

    Raises:
        Damaged: naming the tables that do not.
    """
    wanted = dumps.tables_of(manifest)
    if only:
        names = {f"{schema or 'public'} {name}" for schema, _, name in (table.rpartition(".") for table in only)}
        if missing := sorted(names - wanted.keys()):
            raise Refused(f"The backup has no table {', '.join(missing).replace(' ', '.')}.")
        wanted = {name: content for name, content in wanted.items() if name in names}
    found = digests.of_database(database, environment, jobs)
    if wrong := digests.differences(wanted, found):
        raise Damaged(f"{database} is not what the backup's manifest says: {'; '.join(wrong[:5])}.")
    return sum(content.rows for content in found.values())


def roles(environment: Mapping[str, str], text: str) -> None:
    """Make the roles that a dump names, on a server that has none of them.

    Raises:
        Refused: there is something else in it.
    """
    known = {"postgres", *databases.ask("SELECT json_agg(rolname) FROM pg_roles", environment)}
    databases.tell(roles_only(text, known), environment)


def roles_only(text: str, known: set[str]) -> str:
    """The statements of a dump of roles, without those of roles that exist. Pure.

    Raises:
        Refused: something in it is none.
    """
    out = []
    for line in text.splitlines():
        if line.startswith(("\\restrict", "\\unrestrict")):
            continue  # pg_dumpall's own guard against what a name could hold; psql is not asked to run such a name here
        if not _ROLE_LINE.fullmatch(line):
            raise Refused(f"The dump of roles holds something else: {line[:80]!r}. It was not restored.")
        made = re.match(r'CREATE ROLE "?([^";]+)"?;', line)
        if not (made and made[1] in known):
            out.append(line)
    return "\n".join(out)
