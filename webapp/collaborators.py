"""What services are given: made once for an application, out of its settings, and found again by routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from webapp.db import Database
from webapp.health.service import Health
from webapp.settings import Settings
from webapp.storage import ObjectStore


@dataclass(frozen=True)
class Collaborators:
    settings: Settings
    database: Database
    store: ObjectStore
    health: Health

    @classmethod
    def of(cls, settings: Settings) -> Collaborators:
        """Nothing is connected to here: every one of them opens its connections when first used."""
        return cls(
            settings=settings,
            database=Database(settings.database_url, pool_size=settings.database_pool_size),
            store=ObjectStore.of(settings),
            health=Health.of(settings),
        )


def collaborators() -> Collaborators:
    """Those of the application that answers this request."""
    return cast(Collaborators, current_app.extensions["moorage"])
