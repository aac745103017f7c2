"""Polling, for networks where a socket is not possible: long polls for commands, PATCH for what becomes of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from agent.commands import CANCELLED, EXPIRED, Outcome, parse
from agent.control_plane import ControlPlane
from agent.desk import Desk
from agent.failures import Refused, Stopped, Unreachable
from agent.lines import Lost, Unwanted
from agent.pace import Pace

log = logging.getLogger("agent.poll")

BEAT = "/agents/heartbeat"
HEARTBEAT_SECONDS = 30.0
LONGEST_POLL_SECONDS = 25.0
# More than the server waits, so that its null arrives.
GRACE_SECONDS = 10.0


class PollLine:
    """`status` gives the heartbeat's metadata."""

    def __init__(
        self,
        plane: ControlPlane,
        agent_id: str,
        desk: Desk,
        *,
        pace: Pace,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._plane, self._agent_id, self._desk, self._pace, self._status = plane, agent_id, desk, pace, status

    def read(self, seconds: float) -> None:
        """Polls until the time is up or the agent stops. Raises Lost, Stopped."""
        end = self._pace.now() + seconds
        next_beat = self._pace.now()
        try:
            while not self._pace.stopped and (now := self._pace.now()) < end:
                if now >= next_beat:
                    self._beat()
                    next_beat = now + HEARTBEAT_SECONDS
                self._desk.attach(self)
                if self._desk.wait_free(1.0):
                    self._poll(min(LONGEST_POLL_SECONDS, max(1.0, next_beat - self._pace.now())))
        finally:
            self._desk.detach(self)

    def acknowledge(self, command_id: str) -> None:
        self._patch(command_id, {"status": "running"})

    def progress(self, command_id: str, percent: int | None, message: str) -> None:
        """The long poll has no progress."""

    def deliver(self, command_id: str, outcome: Outcome) -> None:
        if outcome.status in (EXPIRED, CANCELLED):
            raise Unwanted(f"{outcome.status} is told by socket only, and the server finds it out itself")
        self._patch(command_id, outcome.fields())

    def wanted(self) -> None:
        """The poll itself sees that a slot is free."""

    def close(self) -> None:
        self._desk.detach(self)

    def _beat(self) -> None:
        self._call("POST", BEAT, {"agent_id": self._agent_id, "metadata": self._status()})

    def _poll(self, seconds: float) -> None:
        query = {"agent_id": self._agent_id, "timeout_ms": int(seconds * 1000)}
        found = self._call("GET", "/vm-ops/commands/next", query=query, seconds=seconds + GRACE_SECONDS)
        if (command := parse(found)) is not None:
            self._desk.take(command)

    def _patch(self, command_id: str, body: dict[str, Any]) -> None:
        try:
            self._call("PATCH", f"/vm-ops/commands/{command_id}", body)
        except Stopped as stopped:
            raise Lost(str(stopped)) from stopped  # the reader's next call hears the same, and ends the agent
        except Refused as refused:
            raise Unwanted(str(refused)) from refused

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
        """Raises Lost for what may pass, Stopped for what does not, Refused for the rest."""
        try:
            return self._plane.call(method, path, body, **more)
        except Unreachable as failure:
            raise Lost(str(failure)) from failure
        except Refused as refused:
            if refused.status == 401 and path != BEAT:
                self._beat()  # it alone is told whether the agent was revoked
            raise_if_over(refused)
            if refused.status >= 500 or refused.status == 429:
                raise Lost(str(refused)) from refused
            raise


def raise_if_over(refused: Refused) -> None:
    """Raises Stopped where the server's answer means that this agent has no more business here."""
    if refused.code in ("AGENT_REVOKED", "AGENT_NOT_FOUND"):
        raise Stopped(refused.code, f"{refused.words}. This agent was revoked on the server: it will run nothing"
                      " more. To use this machine again, run `moorage-agent unpair --yes`, then pair.") from refused
    if refused.status == 401:
        raise Stopped(refused.code, f"{refused.words}. The server does not know this agent's token any more (revoked,"
                      " or expired while the agent was off). `moorage-agent unpair --yes`, then pair.") from refused
