"""The steps of a cutover, put together of an installation's settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select

from webapp.cutover import finishing, report, runs, shadowing, switching
from webapp.cutover import verify as verifying
from webapp.cutover.agreed import Loosening
from webapp.cutover.carrying_back import WORKERS, Changed, carry_back, changed
from webapp.cutover.finishing import NotQuiet
from webapp.cutover.opening import source_of
from webapp.cutover.progress import Meter
from webapp.cutover.rehearsal import clear, rehearse
from webapp.cutover.runs import Run
from webapp.cutover.states import State, StepRefused, require
from webapp.cutover.switching import NoGo, RecordsLeftOut, Say, Steps
from webapp.cutover.sync import Sync
from webapp.cutover.target import Target
from webapp.database.migrations import owner_url
from webapp.db import Database
from webapp.records import service as records
from webapp.records.service import Backend, steering
from webapp.settings import Settings
from webapp.tenants import service as tenants

NAME = "Moorage: rehearsals of cutovers"
WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Cutover:
    """`owner` and `application`: the two who log in. `loosened`: what a proof may let pass; `reports`: the folder that
    its report is written to, if any."""

    settings: Settings
    owner: Database
    application: Database
    backend: Backend
    say: Say
    loosened: Loosening = field(default_factory=Loosening)
    reports: Path | None = None

    def begin(self) -> Run:
        """From here on the gate says who leads: what DATA_BACKEND says now. Raises CutoverOpen, StepRefused."""
        if self.settings.data_backend != records.RTDB:
            raise StepRefused(
                f"DATA_BACKEND is {self.settings.data_backend}: a cutover begins where records are in rtdb."
            )
        tenant = uuid4()
        with self.application.transaction(tenant) as session:
            tenants.create_tenant(session, tenant_id=tenant, name=NAME)
        with self.owner.transaction() as session:
            run = runs.begin(session, self.settings.moorage_version, tenant)
            steering.lead(session, records.RTDB)
            return run

    def shadow(self, on: bool) -> Run:
        """Both stores are asked and written, or no longer. Everything is carried over first."""
        with self.owner.transaction() as session:
            runs.open_run(session)
        if on:
            self.say(f"carried over: {self._carry_over()}")
        with self.owner.transaction() as session:
            steering.shadow(session, on)
            to = State.SHADOWING if on else State.SYNCING
            return runs.move(session, runs.open_run(session), to, f"shadowing {'on' if on else 'off'}")

    def switch(self, *, freeze_seconds: int, window: timedelta, shadow: shadowing.Wanted) -> Run:
        steps = Steps(self._clear, self._carry_over, self._prove, self._rehearse)
        return switching.switch(
            self.owner, steps, self.say, freeze_seconds=freeze_seconds, window=window, shadow=shadow
        )

    def revert(self, *, freeze_seconds: int) -> Run:
        done: dict[Changed, datetime] = {}
        steps = Steps(self._clear, lambda: self._carry_back(done), self._prove, self._rehearse)
        return switching.revert(self.owner, steps, self.say, freeze_seconds=freeze_seconds)

    def finish(self, *, early: str, prometheus: str, unmeasured: str) -> Run:
        """The window closes, and the store before is not to be used again.

        Args:
            early: why before the window's end. unmeasured: why without Prometheus' figures.

        Raises:
            StepRefused, NotQuiet, PrometheusSilent, NoGo: the window stays open.
        """
        with self.owner.transaction() as session:
            run, now = runs.open_run(session), session.scalars(select(func.now())).one()
            require(run.state, State.FINISHED)
            since = frozenset(changed(session))
        if run.window_until and now < run.window_until and not early:
            raise NotQuiet(f"The window is open until {_told(run.window_until)}; --early says why it is to end now.")
        facts: dict[str, Any] = {"early": early, "unmeasured": unmeasured}
        if not unmeasured:
            found = finishing.compared(prometheus, run.begun_at, run.state_at, now)
            if said := found.refusals():
                raise NotQuiet(f"Since the switch, {'; '.join(said)}. The window stays open: look, or revert.")
            facts |= found.facts()
        facts["parity"] = self._prove(since)
        with self.owner.transaction() as session:
            steering.retire(session)
            return runs.move(session, runs.open_run(session), State.FINISHED, "finished", **facts)

    def abandon(self) -> Run:
        """No cutover after all: the store before leads on, alone."""
        with self.owner.transaction() as session:
            run = runs.move(session, runs.open_run(session), State.ABANDONED, "abandoned")
            steering.shadow(session, False)
            return run

    def status(self) -> dict[str, Any]:
        """How the gate stands, the run that is on its way or was the last, and what happened in it."""
        with self.owner.transaction() as session:
            gate, run = steering.look(session), runs.last_run(session)
            facts: dict[str, Any] = {
                "leader": gate.leader or self.settings.data_backend, "frozen_seconds": gate.frozen_seconds,
                "shadowing": gate.shadowing, "retired": gate.retired, "state": run.state if run else None,
            }  # fmt: skip
            if run is not None:
                times = {name: _told(getattr(run, name)) for name in ("begun_at", "window_until")}
                facts |= {"version": run.version, "verdict": run.verdict, **times}
                facts["events"] = [{**one, "at": _told(one["at"])} for one in runs.events(session, run)]
                if run.state is State.SHADOWING:
                    facts["shadow"] = asdict(shadowing.seen(session, run))
            return facts

    def _carry_over(self) -> str:
        into = Target(owner_url(self.settings))
        try:
            done = Sync(self._source(), into, Meter(None)).run()
        finally:
            into.close()
        if left := sum(one.left_out for one in done.carried):
            raise RecordsLeftOut(f"{left:,} records cannot be rows: `moorage cutover plan` says which, and what to do.")
        sums = {name: sum(getattr(one, name) for one in done.carried) for name in ("inserted", "updated", "deleted")}
        return ", ".join(f"{count:,} {name}" for name, count in sums.items())

    def _carry_back(self, done: dict[Changed, datetime]) -> str:
        return str(carry_back(self.owner, self.application, self.backend, done))

    def _prove(self, changed: frozenset[Changed] = frozenset()) -> dict[str, Any]:
        """`changed`: records that may differ, because they were written on one side alone."""
        parity = verifying.verify(
            self._source(), self.settings.database_url, Meter(None), loosened=self._loosened(), changed=changed
        )
        at = datetime.now(UTC)
        if self.reports is not None:
            try:
                report.write(parity, self.reports, at=at)
            except OSError as error:  # no reason to go back, with writes frozen
                self.say(f"the report could not be kept: {error}")
        facts: Mapping[str, Any] = report.facts(parity, at=at)
        if not parity.go:
            raise NoGo(f"No go: {'; '.join(parity.reasons)}. `moorage cutover verify` shows which records.")
        return {name: facts[name] for name in ("verdict", "at", "records", "seconds", "tolerated", "thresholds")}

    def _loosened(self) -> Loosening:
        """What was given with this step, and else what the switch was given: whoever goes back at night need not know
        of it."""
        if self.loosened != Loosening():
            return self.loosened
        with self.owner.transaction() as session:
            verdict = runs.open_run(session).verdict or {}
        return Loosening(verdict.get("tolerated", {}), verdict.get("thresholds", {}))

    def _rehearse(self) -> str:
        return rehearse(self.application, self.backend, self._rehearsal_tenant())

    def _clear(self) -> None:
        clear(self.application, self.backend, self._rehearsal_tenant())

    def _rehearsal_tenant(self) -> UUID:
        with self.owner.transaction() as session:
            return runs.open_run(session).rehearsal_tenant

    def _source(self) -> Any:
        return source_of("rtdb", self.settings, root=None, tenant_field="")


@contextmanager
def opened(
    settings: Settings,
    say: Say,
    loosened: Loosening = Loosening(),  # noqa: B008 - frozen
    reports: Path | None = None,
) -> Iterator[Cutover]:
    """The cutover of an installation, steered by nobody else meanwhile; what a killed step left is put right first.

    Raises CutoverRunning.
    """
    owner, application = Database(owner_url(settings), pool_size=2), Database(settings.database_url, pool_size=WORKERS)
    try:
        with runs.steering(owner_url(settings)):
            switching.recover(owner, say)
            yield Cutover(settings, owner, application, Backend.of(settings), say, loosened, reports)
    finally:
        owner.engine.dispose()
        application.engine.dispose()


@contextmanager
def looking(settings: Settings) -> Iterator[Cutover]:
    """The same for who only looks, whoever steers."""
    owner = Database(owner_url(settings), pool_size=1)
    try:
        yield Cutover(settings, owner, owner, Backend.of(settings), lambda line: None)
    finally:
        owner.engine.dispose()


def _told(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
