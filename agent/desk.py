"""The desk: takes commands, runs a few at a time, keeps what became of them, and tells the server when it can.

At most once by the journal; told at least once by the courier. What waits here waits in the journal, on disk.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable

from agent.commands import EXPIRED, Command, Outcome, failed
from agent.journal import Journal
from agent.lines import Line, Lost, Unwanted
from agent.pace import Pace, ServerClock

log = logging.getLogger("agent.desk")

SLOTS = 4
# How long the courier rests where nothing calls it, and after the journal's disk refused.
REST_SECONDS = 5.0

Progress = Callable[[int | None, str], None]
Execute = Callable[[Command, Progress], Outcome]


class Desk:
    """`execute` never raises for a command's own failure; what it still raises is told as INTERNAL_ERROR."""

    def __init__(
        self, journal: Journal, execute: Execute, clock: ServerClock, pace: Pace, *, slots: int = SLOTS
    ) -> None:
        self._journal, self._execute, self._clock, self._pace = journal, execute, clock, pace
        self._slots = slots
        self._change = threading.Condition()
        self._at_work: set[str] = set()
        self._again: set[str] = set()
        self._line: Line | None = None
        self._news = True

    def start(self) -> None:
        threading.Thread(target=self._carry, name="courier", daemon=True).start()

    def free(self) -> bool:
        with self._change:
            return len(self._at_work) < self._slots

    def wait_free(self, seconds: float) -> bool:
        with self._change:
            return self._change.wait_for(lambda: len(self._at_work) < self._slots, seconds)

    def wait_idle(self, seconds: float) -> bool:
        """Waits for what runs and for its outcome to be told; used at a stop."""

        def idle() -> bool:
            return not self._at_work and (self._line is None or not self._journal.untold(1))

        with self._change:
            return self._change.wait_for(idle, seconds)

    @property
    def at_work(self) -> int:
        return len(self._at_work)

    def attach(self, line: Line) -> None:
        """From now on this line carries. What was taken before and never begun is taken up again."""
        with self._change:
            self._line, self._news = line, True
            self._change.notify_all()
        self._take_up()

    def detach(self, line: Line) -> None:
        with self._change:
            if self._line is line:
                self._line = None
                self._change.notify_all()

    def take(self, command: Command) -> None:
        """A command was handed out. Never blocks on the network, never raises."""
        try:
            state = self._journal.accept(command)
        except sqlite3.Error as error:
            log.error("The journal refused a command", extra={"command_id": command.id, "why": str(error)})
            return
        if state == "accepted":
            self._run(command)
            return
        # Handed out twice: the server may have missed the acknowledgement or the outcome.
        log.info("A command came again and is not run again", extra={"command_id": command.id, "state": state})
        with self._change:
            if len(self._again) < self._slots * 4:
                self._again.add(command.id)
            self._news = True
            self._change.notify_all()

    def _run(self, command: Command) -> None:
        with self._change:
            line = self._line
            if line is None or command.id in self._at_work or len(self._at_work) >= self._slots:
                return  # it stays accepted in the journal, and is taken up when there is a line and a slot
            self._at_work.add(command.id)
        threading.Thread(target=self._work, args=(command, line), name=f"command {command.id}", daemon=True).start()

    def _work(self, command: Command, line: Line) -> None:
        said = {"command_id": command.id, "command_type": command.command_type}
        try:
            self._see_through(command, line)
        except Lost:
            self.detach(line)
        except sqlite3.Error as error:
            log.error("The journal refused, so the command was not begun", extra={**said, "why": str(error)})
        except Exception:
            log.exception("The desk failed at a command", extra=said)
        finally:
            with self._change:
                self._at_work.discard(command.id)
                self._news = True
                self._change.notify_all()
            self._take_up()
            if (current := self._line) is not None:
                current.wanted()

    def _see_through(self, command: Command, line: Line) -> None:
        said = {"command_id": command.id, "command_type": command.command_type}
        if self._clock.is_past(command.expires_at):
            log.warning("A command came after its time and is not run", extra=said)
            self._keep(command.id, Outcome(EXPIRED, error_message="COMMAND_EXPIRED: it reached the agent too late"))
            return
        try:
            line.acknowledge(command.id)
        except Unwanted as unwanted:
            log.info("A command is no longer wanted and is not run", extra={**said, "why": str(unwanted)})
            self._journal.withdraw(command.id)
            return
        if not self._journal.begin(command.id):
            return
        log.info("A command runs", extra=said)
        try:
            outcome = self._execute(command, lambda percent, words: self._progress(command.id, percent, words))
        except Exception as error:
            log.exception("A command failed in a way that nobody foresaw", extra=said)
            outcome = failed("INTERNAL_ERROR", f"{type(error).__name__} in the agent; its log has more")
        self._keep(command.id, outcome)
        log.info("A command ended", extra={**said, "status": outcome.status, "why": outcome.error_message})

    def _keep(self, command_id: str, outcome: Outcome) -> None:
        """A full disk must not lose what has taken effect: the slot is held until the journal takes it."""
        while True:
            try:
                self._journal.finish(command_id, outcome)
            except sqlite3.Error as error:
                log.error("An outcome cannot be kept yet", extra={"command_id": command_id, "why": str(error)})
                if self._pace.wait(REST_SECONDS):
                    return
            else:
                return

    def _progress(self, command_id: str, percent: int | None, message: str) -> None:
        if (line := self._line) is not None:
            line.progress(command_id, percent, message[:1000])

    def _take_up(self) -> None:
        """Runs what the journal holds as accepted, as far as there are slots."""
        try:
            for command in self._journal.accepted(self._slots * 2):
                self._run(command)
        except sqlite3.Error as error:
            log.error("The journal cannot be read", extra={"why": str(error)})

    def _carry(self) -> None:
        """The courier: one outcome after the other, for as long as there is a line."""
        while not self._pace.stopped:
            with self._change:
                self._change.wait_for(lambda: self._line is not None and self._news, REST_SECONDS)
                line, self._news = self._line, False
                again, self._again = (self._again, set()) if line is not None else (set(), self._again)
            if line is None:
                continue
            try:
                self._answer_again(line, again)
                self._deliver_all(line)
            except Lost as lost:
                log.info("An outcome waits for the next connection", extra={"why": str(lost)})
                self.detach(line)
            except Exception:  # a full disk, an answer that nobody foresaw: the courier must outlive it
                log.exception("The courier failed")
                self._pace.wait(REST_SECONDS)
            with self._change:
                self._change.notify_all()

    def _answer_again(self, line: Line, command_ids: set[str]) -> None:
        for command_id in command_ids:
            with contextlib.suppress(Unwanted):
                line.acknowledge(command_id)
            self._journal.tell_again(command_id)

    def _deliver_all(self, line: Line) -> None:
        while waiting := self._journal.untold():
            for command_id, outcome in waiting:
                try:
                    line.deliver(command_id, outcome)
                except Unwanted as unwanted:
                    said = {"command_id": command_id, "why": str(unwanted)}
                    log.warning("The server did not want an outcome", extra=said)
                self._journal.told(command_id)
