"""The gate that every record passes: which store leads, and whether it may be written now.

One row of the database and not a variable of a process: while a cutover is on its way, all slots and workers must mean
the same store at the same moment, and what killed the cutover must not leave them apart. Writers hold a lock together
that a freeze asks for alone, so that once a freeze has it, nobody who was let in before is still writing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

# Of PostgreSQL's advisory locks: any number that nothing else takes.
WRITERS = 0x6D6F6F77

_COLUMNS = "leader, next_leader, frozen_until, clock_timestamp() AS now, rehearsing, shadowing, tracking, retired"
LOOK = f"SELECT {_COLUMNS} FROM record_gate"  # noqa: S608 - ours
# Two statements in one round trip: the second sees what was committed before the first had its lock. Who comes while
# it is frozen asks for none, or would queue behind the freeze that waits for those who write still.
_ENTER = f"""
SELECT CASE WHEN coalesce(frozen_until > clock_timestamp(), false) THEN NULL
    ELSE pg_advisory_xact_lock_shared({WRITERS})::text END FROM record_gate;
{LOOK}
"""  # noqa: S608 - ours


@dataclass(frozen=True)
class Gate:
    """How it stands. `leader` is None until a cutover has begun: then DATA_BACKEND says it.

    `next_leader` is where a switch goes; it leads once the switch is confirmed, within the freeze or never.
    `rehearsing` is the tenant whose records may be written meanwhile, in the next leader alone: it shows that it works.
    `tracking`: changes are noted, to be carried back. `retired`: the store before is not to be used again.
    """

    leader: str | None
    next_leader: str | None
    frozen_until: datetime | None
    now: datetime
    rehearsing: UUID | None
    shadowing: bool
    tracking: bool
    retired: bool

    @property
    def frozen_seconds(self) -> int:
        """For how long writes are frozen at most, whole seconds; 0 where they are not. It thaws by itself."""
        if self.frozen_until is None:
            return 0
        return max(0, math.ceil((self.frozen_until - self.now).total_seconds()))

    def leads(self, configured: str, tenant: UUID) -> str:
        """The store that answers for a tenant."""
        if self.next_leader and self.frozen_seconds and tenant == self.rehearsing:
            return self.next_leader
        return self.leader or configured

    def admits(self, tenant: UUID) -> bool:
        """Whether the tenant's records may be written now."""
        return not self.frozen_seconds or (self.next_leader is not None and tenant == self.rehearsing)


def look(session: Session) -> Gate:
    """How the gate stands."""
    return Gate(*session.connection().exec_driver_sql(LOOK).one())


def enter(session: Session) -> Gate:
    """The same for who is about to write: as it stands until the end of the session's transaction."""
    return Gate(*session.connection().exec_driver_sql(_ENTER).one())
