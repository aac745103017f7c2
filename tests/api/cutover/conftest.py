"""Tenants of a test's own, a source that the test writes, and runs of `sync` into the session's PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from webapp.cutover.export import RtdbExport
from webapp.cutover.progress import Meter
from webapp.cutover.sources import Place, Source
from webapp.cutover.sync import Carried, Sync, Synced
from webapp.cutover.target import Target
from webapp.db import Database
from webapp.settings import Settings
from webapp.tenants.service import create_tenant
from webapp.variables import DatabaseUrl

Rows = dict[str, tuple[Any, int | None, int | None]]


@pytest.fixture
def owner(settings: Settings) -> DatabaseUrl:
    assert settings.database_owner_url is not None
    return settings.database_owner_url


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database(settings.database_url, pool_size=1)
    yield made
    made.engine.dispose()


@pytest.fixture
def found_tenant(database: Database) -> Callable[[], UUID]:
    def found() -> UUID:
        tenant = uuid4()
        with database.transaction(tenant) as session:
            create_tenant(session, tenant_id=tenant, name=f"Tenant {tenant}")
        return tenant

    return found


@pytest.fixture
def acme(found_tenant: Callable[[], UUID]) -> UUID:
    return found_tenant()


@pytest.fixture
def notes(acme: UUID) -> Place:
    return Place(acme, "workspace/notes")


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., RtdbExport]:
    """A new export file, of `{place: {id: record}}`."""

    def written(content: dict[Place, Any], name: str = "export.json") -> RtdbExport:
        tree: dict[str, Any] = {}
        for place, records in content.items():
            *above, last = str(place).split("/")
            at = tree
            for part in above:
                at = at.setdefault(part, {})
            at[last] = records
        path = tmp_path / name
        path.write_text(json.dumps({"tenants": tree}))
        return RtdbExport(path)

    return written


@pytest.fixture
def sync(owner: DatabaseUrl) -> Callable[..., Synced]:
    def run(source: Source, **options: Any) -> Synced:
        into = Target(owner)
        try:
            return Sync(source, into, Meter(None), **options).run()
        finally:
            into.close()

    return run


@pytest.fixture
def rows(database: Database) -> Callable[[Place], Rows]:
    def of(place: Place) -> Rows:
        asked = "SELECT id, body::text, created_at, updated_at FROM records WHERE collection = %(c)s ORDER BY id"
        found = database.at_once(asked, {"c": place.collection}, tenant=place.tenant)
        return {row[0]: (json.loads(row[1]), row[2], row[3]) for row in found}

    return of


def counts(carried: Carried) -> tuple[int, int, int, int]:
    return carried.read, carried.inserted, carried.updated, carried.deleted
