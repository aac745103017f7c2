"""Migrations: up, down and up again; the models and the tables agree; the lock is given up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from procrastinate.schema import SchemaManager
from psycopg2 import sql
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

import webapp.tenants.models  # noqa: F401 - its tables are compared
from webapp.database import heads, migrations, roles
from webapp.db import Base
from webapp.settings import Settings


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


def objects(settings: Settings) -> set[str]:
    """Everything in the schema, the revision's own table apart."""
    engine = create_engine(migrations.owner_url(settings).render("postgresql+psycopg2"))
    statement = """
        SELECT 'table ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
    """
    with engine.connect() as connection:
        found = set(connection.execute(text(statement)).scalars())
    engine.dispose()
    return {name for name in found if "alembic_version" not in name}


def test_up_down_up(empty: Settings) -> None:
    owner, application = migrations.owner_url(empty), empty.database_url.user
    assert migrations.current(owner) is None

    assert migrations.upgrade(owner, application=application) is True
    assert migrations.current(owner) == heads.head()
    there = objects(empty)
    assert migrations.upgrade(owner, application=application) is False

    migrations.downgrade(owner, target="base")
    assert objects(empty) == set()
    assert migrations.current(owner) is None

    assert migrations.upgrade(owner, application=application) is True
    assert objects(empty) == there


def test_each_step_down_undoes_its_step_up(empty: Settings) -> None:
    owner, application = migrations.owner_url(empty), empty.database_url.user
    migrations.upgrade(owner, application=application, target="0001")
    before = objects(empty)
    migrations.upgrade(owner, application=application, target="0002")
    migrations.downgrade(owner, target="0001")
    assert objects(empty) == before


def test_models_and_tables_agree(settings: Settings) -> None:
    engine = create_engine(migrations.owner_url(settings).render("postgresql+psycopg2"))
    with engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith("procrastinate_")}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
    engine.dispose()


def test_a_migration_gives_up_rather_than_hold_a_queue_of_requests(
    empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, application = migrations.owner_url(empty), empty.database_url.user
    migrations.upgrade(owner, application=application)
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "200ms")
    with psycopg2.connect(owner.render()) as other, other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM tenants")  # a reader is enough to keep a table from being dropped
        with pytest.raises(OperationalError, match="lock timeout"):
            migrations.downgrade(owner, target="base")
    other.close()


def test_the_queues_schema_is_the_installed_librarys() -> None:
    folder = heads.VERSIONS
    last = max(path.stem for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    [migration] = folder.glob("0002_*.py")
    assert last in migration.read_text(), "procrastinate has newer migrations: they become one of ours"
