"""What services are given: made once for an application, out of its settings, and found again by routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

from webapp.artifacts.service import Depot
from webapp.auth.service import KeyUses, OutsideIssuer, Provider, providers_of
from webapp.db import Database
from webapp.health.service import Health
from webapp.limits import Limits
from webapp.metrics import Meter
from webapp.records.service import Backend
from webapp.settings import Settings
from webapp.storage import ObjectStore

if TYPE_CHECKING:
    from webapp.tracing import Tracing


@dataclass(frozen=True)
class Collaborators:
    settings: Settings
    database: Database
    store: ObjectStore
    health: Health
    limits: Limits
    depot: Depot
    records: Backend
    key_uses: KeyUses
    issuer: OutsideIssuer | None
    providers: Mapping[str, Provider]
    tracing: Tracing | None

    @classmethod
    def of(cls, settings: Settings) -> Collaborators:
        """Nothing is connected to here: every one of them opens its connections when first used."""
        meter, tracing = _watching(settings)
        database = Database(settings.database_url, pool_size=settings.database_pool_size, meter=meter)
        store = ObjectStore.of(settings)
        return cls(
            settings=settings,
            database=database,
            store=store,
            records=Backend.of(settings),
            depot=Depot.of(settings, database, store),
            key_uses=KeyUses(database),
            health=Health.of(settings),
            issuer=OutsideIssuer.of(settings),
            providers=providers_of(settings),
            tracing=tracing,
            limits=Limits.of(settings.rate_limit_token, settings.rate_limit_tenant, settings.rate_limit_address),
        )


def _watching(settings: Settings) -> tuple[Meter, Tracing | None]:
    if settings.otel_exporter_otlp_endpoint is None:
        return Meter(), None
    from webapp.tracing import TracedMeter, Tracing  # noqa: PLC0415 - nothing of it is loaded where it is off

    tracing = Tracing(settings)
    return TracedMeter(tracing), tracing


def collaborators() -> Collaborators:
    """Those of the application that answers this request."""
    return cast(Collaborators, current_app.extensions["moorage"])
