"""A lease that is kept alive beside a download: a heartbeat at each third of its life, always the freshest token."""

from __future__ import annotations

import logging
import threading
from typing import Any

from agent.control_plane import ControlPlane
from agent.failures import Failure
from agent.pace import Pace, ServerClock
from agent.redaction import Sensitive, remember
from agent.runner.order import Order
from agent.runner.retries import Patience, Remedy, remedy

log = logging.getLogger("agent.runner")

# The contract's bounds of a lease's life; what is believed of one is between them.
SHORTEST_LIFE, LONGEST_LIFE = 60.0, 300.0
RETRY_SECONDS = 3.0


class Lease:
    """`take()` first. Its life is counted as a duration: the server's `expires_at` less the server's own `Date`."""

    def __init__(
        self, plane: ControlPlane, order: Order, *, clock: ServerClock, pace: Pace, patience: Patience
    ) -> None:
        self._plane, self._order, self._clock, self._pace = plane, order, clock, pace
        self._patience = patience
        self._lock = threading.Lock()
        self._ended: Failure | None = None
        self._closed = threading.Event()
        self._life = SHORTEST_LIFE
        self.lease_id = ""
        self._token = Sensitive("")

    def take(self) -> None:
        """A new lease. Raises the server's refusal (LICENSE_INACTIVE, MODULE_NOT_ALLOWED, …), TIME_LIMIT."""
        wanted = self._order
        body = {"vm_uuid": wanted.vm_uuid, "agent_id": wanted.agent_id, "runner_id": wanted.runner_id,
                "module": wanted.module, **({"user_id": wanted.user_id} if wanted.user_id else {})}  # fmt: skip
        answer = self._patience.keep_trying(lambda: self._plane.call("POST", "/license/lease", body))
        with self._lock:
            self.lease_id = str(answer["lease_id"])
            self._keep(answer)

    def start(self) -> None:
        threading.Thread(target=self._beat, name="lease", daemon=True).start()

    def close(self) -> None:
        """No more heartbeats. The lease ends by itself: only an administrator may revoke it."""
        self._closed.set()

    def token(self) -> str:
        with self._lock:
            return self._token.reveal()

    def check(self) -> None:
        """Raises the refusal that ended the lease for good (LEASE_INACTIVE: it was revoked)."""
        if self._ended is not None:
            raise self._ended

    def _keep(self, answer: dict[str, Any]) -> None:
        self._token = remember(Sensitive(str(answer["token"])))
        now = self._clock.now()
        if now is not None and isinstance(answer.get("expires_at"), int):
            self._life = min(LONGEST_LIFE, max(1.0, answer["expires_at"] / 1000 - now))

    def _beat(self) -> None:
        pause = self._life / 3
        while not self._closed.wait(pause):
            try:
                answer = self._plane.call("POST", "/license/heartbeat", {"lease_id": self.lease_id}, seconds=10)
                with self._lock:
                    self._keep(answer)
                pause = self._life / 3
            except (KeyError, TypeError, ValueError) as error:
                log.warning("The lease's heartbeat was answered with nonsense", extra={"why": repr(error)})
                pause = RETRY_SECONDS
            except Failure as failure:
                found = remedy(failure)
                log.warning("The lease's heartbeat failed", extra={"why": str(failure), "remedy": found.value})
                if found is Remedy.NEVER:
                    self._ended = failure
                    return
                pause = RETRY_SECONDS
                if found is Remedy.NEW_LEASE and not self._replaced():
                    return

    def _replaced(self) -> bool:
        try:
            self.take()
        except Failure as failure:
            self._ended = failure
            return False
        return True
