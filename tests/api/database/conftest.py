"""Databases beside the suite's own, and migrations beside the repository's: those of an older or a newer version."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from webapp.database import heads, roles
from webapp.settings import Settings

NEWER = """
from contextlib import nullcontext

from alembic import op

revision = {revision!r}
down_revision = {below!r}
works_with = {works_with!r}


def upgrade():
    with {around}:
        op.execute({sql!r})
"""


@pytest.fixture
def empty(settings: Settings) -> Iterator[Settings]:
    """A database beside the suite's own, in which nothing has been migrated."""
    assert settings.database_owner_url is not None and settings.database_admin_url is not None
    name = settings.database_url.name + "_empty"
    beside = replace(
        settings,
        database_url=replace(settings.database_url, name=name),
        database_owner_url=replace(settings.database_owner_url, name=name),
    )
    roles.prepare(settings.database_admin_url, roles.Plan.of(beside))
    yield beside
    connection = psycopg2.connect(settings.database_admin_url.render())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    connection.close()


# The oldest two migrations: what these tests say of versions must not change with every migration that comes.
OLD = ("0001", "0002")


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Code as it was at OLD. `code(drop=1)`: a migration before. `code(add=[(id, works_with, sql)])`: as it became."""
    ours = heads.VERSIONS

    def become(*, drop: int = 0, add: list[tuple[str, str, str]] | None = None) -> None:
        folder = tmp_path / f"code-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(ours.parent, folder)
        found = sorted((folder / "versions").glob("[0-9]*.py"))
        kept = [path for path in found if path.name[:4] in OLD]
        for path in set(found) - set(kept[: len(kept) - drop]):
            path.unlink()
        monkeypatch.setattr(heads, "VERSIONS", folder / "versions")
        heads.chain.cache_clear()
        for revision, works_with, statement in add or []:
            around = "op.get_context().autocommit_block()" if "CONCURRENTLY" in statement else "nullcontext()"
            text = NEWER.format(
                revision=revision, below=heads.head(), works_with=works_with, sql=statement, around=around
            )
            (folder / "versions" / f"{revision}_newer.py").write_text(text)
            heads.chain.cache_clear()

    become()
    yield become
    heads.chain.cache_clear()
