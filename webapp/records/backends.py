"""Which store a tenant's records are in: DATA_BACKEND says so, and nothing but this module asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from webapp.caller import Caller
from webapp.records.repository import Repository
from webapp.records.rows import RowRepository
from webapp.settings import Settings
from webapp.settings_records import RTDB

Open = Callable[[Session, UUID], Repository]


@dataclass(frozen=True)
class Backend:
    """Made once for an application. `repository` opens a tenant's records on the session of the request."""

    repository: Open

    @classmethod
    def of(cls, settings: Settings) -> Backend:
        return cls(_in_rtdb(settings) if settings.data_backend == RTDB else RowRepository)


@dataclass(frozen=True)
class Desk:
    """What a service is given: who asks, on which session, and the caller's tenant's records."""

    session: Session
    caller: Caller
    repository: Repository

    @classmethod
    def of(cls, backend: Backend, session: Session, caller: Caller) -> Desk:
        return cls(session, caller, backend.repository(session, caller.tenant))

    def writing(self) -> Repository:
        """The records, to be written. Every write comes by here: it is where a cutover freezes them (WritesFrozen), and
        has them done to both stores."""
        return self.repository


def _in_rtdb(settings: Settings) -> Open:
    # Not loaded where it is not used: after a cutover it is retired.
    from webapp.records.nodes import NodeRepository  # noqa: PLC0415 - see above
    from webapp.records.paths import root_of  # noqa: PLC0415 - see above
    from webapp.records.rest import Rest  # noqa: PLC0415 - see above

    assert settings.rtdb_url is not None and settings.rtdb_secret is not None  # noqa: S101 - Settings wants them
    rest, root = Rest(str(settings.rtdb_url), settings.rtdb_secret), root_of(settings.rtdb_root)
    return lambda _session, tenant: NodeRepository(rest, root, tenant)
