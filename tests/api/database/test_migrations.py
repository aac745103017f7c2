"""Migrations: up, down and up again; the models and the tables agree."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from procrastinate.schema import SchemaManager
from sqlalchemy import create_engine, text

import webapp.tenants.models  # noqa: F401 - its tables are compared
from webapp.database import heads, migrations
from webapp.db import Base
from webapp.settings import Settings


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
    assert migrations.current(owner).at is None

    assert migrations.upgrade(owner, application=application).changed
    assert migrations.current(owner).at == heads.head()
    there = objects(empty)
    assert not migrations.upgrade(owner, application=application).changed

    migrations.downgrade(owner, target="base")
    assert objects(empty) == set()
    assert migrations.current(owner).at is None

    assert migrations.upgrade(owner, application=application).changed
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


def test_the_queues_schema_is_the_installed_librarys() -> None:
    folder = heads.VERSIONS
    last = max(path.stem for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    [migration] = folder.glob("0002_*.py")
    assert last in migration.read_text(), "procrastinate has newer migrations: they become one of ours"
