"""Rounds: what the worker does for every tenant in turn, each in a transaction that sees only that tenant."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from uuid import UUID

from webapp.db import Database
from webapp.settings import Settings
from webapp.tenants import service as tenants

# Rounds go one after the other; one connection for a round and one for another that overlaps it.
POOL_SIZE = 2


@cache
def database() -> Database:
    """The worker's own connections as the application's role, beside those of the queue."""
    return Database(Settings.load().database_url, pool_size=POOL_SIZE)


def every_tenant() -> Iterator[UUID]:
    """The ids of all tenants that there are now."""
    with database().transaction(door="directory") as session:
        found = tenants.every_tenant(session)
    yield from found
