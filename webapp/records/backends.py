"""Which store a tenant's records are in: DATA_BACKEND says so, or, while a cutover is on its way, the gate; and nothing
but this module asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.orm import Session

from webapp.caller import Caller
from webapp.errors import ServiceUnavailable
from webapp.records import gate
from webapp.records.gate import Gate
from webapp.records.refusals import WritesFrozen
from webapp.records.repository import Repository
from webapp.records.rows import RowRepository
from webapp.records.shadow import Shadow
from webapp.records.witness import Witness
from webapp.settings import Settings
from webapp.settings_records import RTDB, SUPABASE

log = logging.getLogger("moorage.records")
Open = Callable[[Session, UUID], Repository]


@dataclass(frozen=True)
class Backend:
    """Made once for an application: the stores that it can reach, by name, and the one that DATA_BACKEND names."""

    configured: str
    stores: Mapping[str, Open]
    witness: Witness = field(default_factory=Witness)

    @classmethod
    def of(cls, settings: Settings) -> Backend:
        stores: dict[str, Open] = {SUPABASE: RowRepository}
        if settings.rtdb_url is not None:
            stores[RTDB] = _in_rtdb(settings)
        return cls(settings.data_backend, stores)

    def reading(self, session: Session, tenant: UUID) -> Repository:
        """A tenant's records, to be read. `session` claims the tenant."""
        if len(self.stores) == 1:
            # Nothing can be on its way; and if something were, what is here is what can be read.
            return self.store(self.configured, session, tenant)
        return self._led(gate.look(session), session, tenant)

    def writing(self, session: Session, tenant: UUID) -> Repository:
        """The same, to be written until the end of the session's transaction. Raises WritesFrozen."""
        stands = gate.enter(session)
        if not stands.admits(tenant):
            raise WritesFrozen(stands.frozen_seconds)
        return self._led(stands, session, tenant)

    def store(self, name: str, session: Session, tenant: UUID) -> Repository:
        """A tenant's records in a store, whoever leads. Raises ServiceUnavailable for one out of reach."""
        opened = self.stores.get(name)
        if opened is None:
            log.error("records are led by a store that this process has no settings for", extra={"store": name})
            raise ServiceUnavailable("The records are in a store that this version does not reach. Try again shortly.")
        return opened(session, tenant)

    def _led(self, stands: Gate, session: Session, tenant: UUID) -> Repository:
        leader = stands.leads(self.configured, tenant)
        led = self.store(leader, session, tenant)
        if not stands.shadowing or leader == SUPABASE:
            return led
        return Shadow(session, tenant, led, self.store(SUPABASE, session, tenant), self.witness)


@dataclass(frozen=True)
class Desk:
    """What a service is given: who asks, on which session, and where the caller's tenant's records are."""

    session: Session
    caller: Caller
    backend: Backend

    @classmethod
    def of(cls, backend: Backend, session: Session, caller: Caller) -> Desk:
        return cls(session, caller, backend)

    @property
    def repository(self) -> Repository:
        """The records, to be read."""
        return self.backend.reading(self.session, self.caller.tenant)

    def writing(self) -> Repository:
        """The records, to be written. Every write comes by here. Raises WritesFrozen."""
        return self.backend.writing(self.session, self.caller.tenant)


def _in_rtdb(settings: Settings) -> Open:
    # Not loaded where it is not used: after a cutover it is retired.
    from webapp.records.nodes import NodeRepository  # noqa: PLC0415 - see above
    from webapp.records.paths import root_of  # noqa: PLC0415 - see above
    from webapp.records.rest import Rest  # noqa: PLC0415 - see above

    assert settings.rtdb_url is not None and settings.rtdb_secret is not None  # noqa: S101 - Settings wants them
    rest, root = Rest(str(settings.rtdb_url), settings.rtdb_secret), root_of(settings.rtdb_root)
    return lambda _session, tenant: NodeRepository(rest, root, tenant)
