"""What shadowing has shown so far, and whether it is enough to switch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.cutover.runs import Run
from webapp.cutover.states import State
from webapp.failures import Failure

_SEEN = text("""
WITH last AS (SELECT max(at) AS at, count(*) AS differences FROM record_shadow_differences)
SELECT (SELECT coalesce(sum(reads), 0) FROM record_shadow_reads r WHERE last.at IS NULL OR r.at > last.at) AS reads,
       differences, last.at AS last_difference_at, clock_timestamp() AS now
FROM last
""")


class NoShadow(Failure):
    """The two stores have not been asked the same for long enough."""

    code = "SHADOW_TOO_SHORT"


@dataclass(frozen=True)
class Wanted:
    """Either is enough, counted from the last difference on; `without` is why there need be none."""

    reads: int
    hours: float
    without: str = ""


ENOUGH = Wanted(1000, 1.0)


@dataclass(frozen=True)
class Seen:
    """Since the last difference, or since shadowing began: reads that were alike, and seconds."""

    reads: int
    seconds: float
    differences: int

    def enough(self, wanted: Wanted) -> bool:
        return self.reads >= wanted.reads or (self.reads > 0 and self.seconds >= wanted.hours * 3600)


def seen(session: Session, run: Run) -> Seen:
    """`session` is the owner's, `run` is shadowing."""
    row = session.execute(_SEEN).one()
    since = max(filter(None, (run.state_at, row.last_difference_at)))
    return Seen(int(row.reads), (row.now - since).total_seconds(), row.differences)


def evidence(session: Session, run: Run, wanted: Wanted) -> dict[str, Any]:
    """What is to be kept of it. Raises NoShadow."""
    if wanted.without:
        return {"without": wanted.without}
    if run.state is not State.SHADOWING:
        raise NoShadow("The two stores are not asked the same: `moorage cutover shadow` begins that.")
    found = seen(session, run)
    if not found.enough(wanted):
        raise NoShadow(
            f"Since the last difference, or the beginning, {found.reads:,} reads were alike in {found.seconds:,.0f} s;"
            f" {wanted.reads:,} reads or {wanted.hours:g} h are wanted. Nothing was changed."
        )
    return asdict(found)
