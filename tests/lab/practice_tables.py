"""Versions of the control plane that change the tables, which only the lab has; and the tables put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.hosts import Host
from tests.lab.lab import Lab

# 9003 adds a table (an expansion), 9004 takes it away again (a contraction), another 9003 waits for a lock.
EXPAND, CONTRACT, STUCK = "sha-expand", "sha-contract", "sha-stuck"
_MIGRATION = '''"""Practice."""

from alembic import op

revision = "{revision}"
down_revision = "{below}"
works_with = "{works_with}"


def upgrade() -> None:
    op.execute("{sql}")


def downgrade() -> None:
    pass
'''


def psql(site: Host, sql: str) -> str:
    """What the database's superuser is told."""
    words = ["docker", "exec", "moorage-postgres", "psql", "-U", "postgres", "-d", "moorage", "-XAtqc", sql]
    return site.exec(*words).strip()


def at(site: Host) -> str:
    """The revision that the tables are at."""
    return psql(site, "SELECT version_num FROM alembic_version")


def push(lab: Lab, base: str, head: str) -> None:
    """Push the versions, made of the control plane at the tag `base`, whose code is at `head`."""
    expand = _migration("9003", head, head, "CREATE TABLE practice_ways (id int)")
    contract = _migration("9004", "9003", "9003", "DROP TABLE practice_ways")
    stuck = _migration("9003", head, head, "ALTER TABLE tenants ADD COLUMN practice int")
    for tag, files in ((EXPAND, expand), (CONTRACT, {**expand, **contract}), (STUCK, stuck)):
        lab.variant(tag, "controlplane", base, "COPY *_practice.py /app/migrations/versions/", files)


def _migration(revision: str, below: str, works_with: str, sql: str) -> dict[str, str]:
    text = _MIGRATION.format(revision=revision, below=below, works_with=works_with, sql=sql)
    return {f"{revision}_practice.py": text}


@contextmanager
def put_back(site: Host) -> Iterator[str]:
    """After the block the tables are at the revision, which it is given, that they are at now."""
    revision, said = at(site), psql(site, "SELECT obj_description('alembic_version'::regclass)")
    yield revision
    psql(site, "DROP TABLE IF EXISTS practice_ways; ALTER TABLE tenants DROP COLUMN IF EXISTS practice")
    psql(site, f"UPDATE alembic_version SET version_num = '{revision}'")
    psql(site, f"COMMENT ON TABLE alembic_version IS '{said}'")
