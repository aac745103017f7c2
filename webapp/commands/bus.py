"""What a process does for the agents that are connected to it: wakes them, claims for them, notes that they are there.

Everything begins with the first agent: a process without any has no thread and no connection of this.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from webapp.agents.service import Heartbeats, revoked_word
from webapp.commands import claims
from webapp.commands.lines import Line
from webapp.commands.states import MOST_HANDED_OUT
from webapp.db import Database
from webapp.fields import uuid_of
from webapp.serving.channel import ChannelClosed
from webapp.variables import DatabaseUrl
from webapp.wakeups import Wakeups

log = logging.getLogger("moorage.commands")

EXTENSION = "moorage.bus"
# Who claims at once; of the pool's connections the others are for what agents say.
CLAIMERS = 3
# Claimed for with one statement.
AGENTS_A_CLAIM = 200
FLUSH_SECONDS = 2.0
# An open socket is a sign of life: three of these fit into the 90 s after which an agent counts as offline.
TOUCH_SECONDS = 25.0
RETRY_SECONDS = 0.5
# Sockets that end together are written together.
TOGETHER_SECONDS = 0.1


class Bus:
    """The lines of this process, by agent."""

    def __init__(self, database: Database, url: DatabaseUrl) -> None:
        self.heartbeats = Heartbeats(database)
        self._database = database
        self._wakeups = Wakeups(url, word=self._word, gap=self._gap)
        self._lines: dict[UUID, set[Line]] = defaultdict(set)
        self._lock = threading.Lock()
        self._due: dict[UUID, deque[Line]] = {}
        self._bell = threading.Condition()
        self._started = False
        self._touched = time.monotonic()
        self._hurry = threading.Event()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End its threads and close its connection, soon."""
        self._stopped.set()
        self._hurry.set()
        self._wakeups.stop()
        with self._bell:
            self._bell.notify_all()

    def join(self, line: Line) -> None:
        """From now on the line hears of its agent's commands. `leave` must follow."""
        self._start()
        self.heartbeats.back(line.tenant, line.agent)
        with self._lock:
            self._lines[line.agent].add(line)

    def leave(self, line: Line, *, gone: bool = False) -> None:
        """`gone`: it was a socket, and where it was the agent's last one here, the agent is not there any more."""
        line.leave()
        with self._lock:
            lines = self._lines[line.agent]
            lines.discard(line)
            last = not lines
            if last:
                del self._lines[line.agent]
        if gone and last:
            self.heartbeats.gone(line.tenant, line.agent, max(line.began, self._touched))
            self._hurry.set()

    def look(self, line: Line) -> None:
        """Ask the database for the line's next command, soon."""
        with self._bell:
            self._due.setdefault(line.tenant, deque()).append(line)
            self._bell.notify()

    def _start(self) -> None:
        with self._lock:
            if self._started:
                return
            self._started = True
        self._wakeups.start()
        for target in (*(self._claim,) * CLAIMERS, self._keep):
            threading.Thread(target=self._until_stopped, args=(target,), name=target.__name__, daemon=True).start()

    def _word(self, word: str) -> None:
        if (agent := revoked_word(word)) is not None:
            for line in self._of(agent):
                threading.Thread(target=line.revoked, daemon=True).start()  # it may have to wait for the peer
        elif (agent := uuid_of(word.removeprefix(claims.WORD))) is not None:
            for line in self._of(agent):
                if line.word():
                    self.look(line)

    def _gap(self) -> None:
        """Words may have been missed: all lines look once."""
        for line in self._all():
            if line.word():
                self.look(line)
        threading.Thread(target=self._check_revoked, daemon=True).start()

    def _of(self, agent: UUID) -> tuple[Line, ...]:
        with self._lock:
            return tuple(self._lines.get(agent, ()))

    def _all(self) -> list[Line]:
        with self._lock:
            return [line for lines in self._lines.values() for line in lines]

    def _until_stopped(self, work: Callable[[], None]) -> None:
        """A fault of ours in one round must not leave all agents without."""
        while not self._stopped.is_set():
            try:
                work()
            except Exception:
                log.exception("a round of the command bus failed")
                self._stopped.wait(RETRY_SECONDS)

    def _claim(self) -> None:
        """Wait until lines have to ask, and ask for them."""
        lines = self._next_lines()
        if not lines:
            return
        try:
            found = claims.claim(self._database, lines[0].tenant, {line.agent for line in lines})
        except SQLAlchemyError as error:
            log.warning("commands could not be claimed: trying again", extra={"reason": str(error).strip()})
            for line in lines:
                line.failed()
            self._stopped.wait(RETRY_SECONDS)
            for line in lines:
                if line.word():
                    self.look(line)
            return
        undelivered = [row.id for line in lines if (row := self._give(line, found)) is not None]
        if undelivered:
            claims.hand_back(self._database, lines[0].tenant, undelivered, MOST_HANDED_OUT - 1)

    def _next_lines(self) -> list[Line]:
        """Lines of one tenant that have to ask; waits until there is one. Tenants take turns. None after `stop`."""
        with self._bell:
            while not self._due:
                if self._stopped.is_set():
                    return []
                self._bell.wait()
            tenant, lines = next(iter(self._due.items()))
            taken = [lines.popleft() for _ in range(min(len(lines), AGENTS_A_CLAIM))]
            del self._due[tenant]
            if lines:
                self._due[tenant] = lines  # at the end
            return taken

    def _give(self, line: Line, found: dict[UUID, Any]) -> Any:
        """The command that could not be delivered, if there was one."""
        command = found.pop(line.agent, None)  # of an agent's two lines the first has it
        try:
            delivered, again = line.claimed(command)
        except ChannelClosed:
            return command
        except Exception:
            log.exception("a command could not be handed out")
            return command
        if again:
            self.look(line)
        return None if delivered else command

    def _keep(self) -> None:
        """Write heartbeats every FLUSH_SECONDS, that lines are open every TOUCH_SECONDS, and that one is not soon."""
        if self._hurry.wait(FLUSH_SECONDS):
            self._hurry.clear()
            if self._stopped.wait(TOGETHER_SECONDS):
                return
        if time.monotonic() - self._touched >= TOUCH_SECONDS:
            self._touched = time.monotonic()
            for line in self._all():
                self.heartbeats.touch(line.tenant, line.agent)
        try:
            self.heartbeats.flush()
        except SQLAlchemyError as error:
            log.warning("heartbeats could not be written: kept", extra={"reason": str(error).strip()})

    def _check_revoked(self) -> None:
        """Close the lines of agents that were revoked while no words came through."""
        by_tenant: dict[UUID, list[Line]] = defaultdict(list)
        for line in self._all():
            by_tenant[line.tenant].append(line)
        for tenant, lines in by_tenant.items():
            try:
                gone = claims.revoked_among(self._database, tenant, {line.agent for line in lines})
            except SQLAlchemyError:
                return  # the connection that listens will be lost too, and this comes again
            for line in lines:
                if line.agent in gone:
                    line.revoked()


def register(app: Flask, database: Database, url: DatabaseUrl) -> None:
    app.extensions[EXTENSION] = Bus(database, url)


def bus() -> Bus:
    """That of the application that answers this request."""
    return cast(Bus, current_app.extensions[EXTENSION])
