"""Migrations: up, down and up again; the models and the tables agree."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from procrastinate.schema import SchemaManager
from sqlalchemy import create_engine, text

import webapp.tenants.models  # noqa: F401 - its tables are compared
from tests.api.database import filling
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
    steps = [revision.id for revision in heads.chain()]
    migrations.upgrade(owner, application=application, target=steps[0])
    for below, step in itertools.pairwise(steps):
        before = objects(empty)
        migrations.upgrade(owner, application=application, target=step)
        migrations.downgrade(owner, target=below)
        assert objects(empty) == before, step
        migrations.upgrade(owner, application=application, target=step)


def test_every_step_works_on_filled_tables_and_keeps_their_rows(empty: Settings) -> None:
    """A row in every table as soon as there is one; each later step finds it, and leaves what stood in it."""
    owner, application = migrations.owner_url(empty), empty.database_url.user
    assert empty.database_admin_url is not None
    everything = replace(empty.database_admin_url, name=empty.database_url.name)  # row level security binds the owner
    engine = create_engine(everything.render("postgresql+psycopg2"))
    known: filling.Known = {}
    for revision in heads.chain():
        migrations.upgrade(owner, application=application, target=revision.id)
        with engine.begin() as connection:
            for table, (names, kept) in known.items():
                assert filling.rows(connection, table, names) == kept, (revision.id, table)
            known = filling.fill(connection, known)
    engine.dispose()
    assert len(known) > 20 and all(kept for _, kept in known.values()), known


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
