"""What services are given: made once for an application, out of its settings, and found again by routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from flask import current_app

from webapp.artifacts.service import Depot
from webapp.auth.service import KeyUses, OutsideIssuer, Provider, providers_of
from webapp.db import Database
from webapp.health.service import Health
from webapp.limits import Limits
from webapp.metrics import Meter
from webapp.settings import Settings
from webapp.storage import ObjectStore


@dataclass(frozen=True)
class Collaborators:
    settings: Settings
    database: Database
    store: ObjectStore
    health: Health
    limits: Limits
    depot: Depot
    key_uses: KeyUses
    issuer: OutsideIssuer | None
    providers: Mapping[str, Provider]

    @classmethod
    def of(cls, settings: Settings) -> Collaborators:
        """Nothing is connected to here: every one of them opens its connections when first used."""
        database = Database(settings.database_url, pool_size=settings.database_pool_size, meter=Meter())
        store = ObjectStore.of(settings)
        return cls(
            settings=settings,
            database=database,
            store=store,
            depot=Depot.of(settings, database, store),
            key_uses=KeyUses(database),
            health=Health.of(settings),
            issuer=OutsideIssuer.of(settings),
            providers=providers_of(settings),
            limits=Limits.of(settings.rate_limit_token, settings.rate_limit_tenant, settings.rate_limit_address),
        )


def collaborators() -> Collaborators:
    """Those of the application that answers this request."""
    return cast(Collaborators, current_app.extensions["moorage"])
