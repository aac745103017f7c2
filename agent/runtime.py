"""The agent at work: connects, stays connected, comes back, and ends when it is told to."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from typing import Any
from urllib.parse import urlencode

import orjson
from websockets.exceptions import InvalidHeader, InvalidStatus, InvalidUpgrade, WebSocketException
from websockets.sync.client import ClientConnection, connect

from agent import VERSION
from agent.control_plane import ControlPlane
from agent.desk import Desk
from agent.failures import Failure, Refused
from agent.identity import Credentials
from agent.journal import Journal
from agent.lines import Lost
from agent.logs import SameWords
from agent.pace import Backoff, Pace, ServerClock
from agent.poll_line import PollLine, raise_if_over
from agent.socket_line import MOST_FRAME_BYTES, SocketLine
from agent.tokens import TokenKeeper

log = logging.getLogger("agent.runtime")
log.addFilter(SameWords())

UPKEEP_SECONDS = 30.0
# A connection that held this long was a good one; one cut sooner counts as a failure, whatever its close code.
GOOD_SECONDS = 10.0
# So many upgrades in a row that an HTTP server answered, but not with a socket, and polling takes over for a while.
UPGRADES_BEFORE_POLLING = 2
POLLING_SECONDS = 600.0
# The server pings every 25 s; these pings find out for the agent's side that nobody is there.
PING_SECONDS = 25.0
COME_BACK, POLICY = 1012, 1008


class NoSocket(Exception):
    """Something answered over HTTP and did not make it a socket: a proxy that cannot, an older server."""


class Agent:
    """`transport` is `auto`, `socket` or `poll`."""

    def __init__(
        self,
        credentials: Credentials,
        plane: ControlPlane,
        desk: Desk,
        *,
        journal: Journal,
        clock: ServerClock,
        pace: Pace,
        transport: str = "auto",
        backoff: Backoff | None = None,
    ) -> None:
        self._credentials, self._plane, self._desk, self._journal = credentials, plane, desk, journal
        self._clock, self._pace, self._transport = clock, pace, transport
        self._backoff = backoff or Backoff()
        self._tokens = TokenKeeper(plane, credentials, clock)
        self._line: SocketLine | PollLine | None = None
        self._no_sockets = 0
        self._began = pace.now()

    def run(self) -> None:
        """Until the pace stops. Raises Stopped where the server wants no more of this agent."""
        self._desk.start()
        threading.Thread(target=self._upkeep, name="upkeep", daemon=True).start()
        hasty = False
        while not self._pace.stopped:
            began, self._line = self._pace.now(), None
            try:
                self._once()
                wait = 0.0
            except Lost as lost:
                if self._pace.now() - began >= GOOD_SECONDS:
                    self._backoff.reset()
                    hasty = False
                # Once at once; a server that restarts again and again is given time.
                hasty, wait = (
                    (True, self._backoff.at_once())
                    if lost.code == COME_BACK and not hasty
                    else (False, self._backoff.next())
                )
                if not self._pace.stopped:
                    log.warning("No connection", extra={"server": self._plane.server, "why": str(lost), "wait": wait})
                if lost.code == POLICY:
                    self._ask_whether_revoked()
            except Refused as refused:
                raise_if_over(refused)
                wait = max(self._backoff.next(), min(refused.retry_after or 0.0, 300.0))
                log.warning("The server refused", extra={"server": self._plane.server, "why": str(refused)})
            self._pace.wait(wait)

    def stop(self, seconds: float = 1.0) -> None:
        """Lets what runs end for up to `seconds`, then ends the connection."""
        self._desk.wait_idle(seconds)
        self._pace.stop()
        if (line := self._line) is not None:
            with contextlib.suppress(Exception):  # the process ends next, whatever the socket thinks of it
                line.close()

    def status(self) -> dict[str, Any]:
        """The heartbeat's metadata."""
        found = {
            "version": VERSION,
            "uptime_seconds": int(self._pace.now() - self._began),
            "at_work": self._desk.at_work,
        }
        with contextlib.suppress(sqlite3.Error):  # a full disk must not keep the heartbeat back
            found["untold"] = self._journal.counts().untold
        return found

    def _once(self) -> None:
        polls = self._transport == "poll" or (
            self._transport == "auto" and self._no_sockets >= UPGRADES_BEFORE_POLLING
        )
        if polls:
            log.info("Polls for commands", extra={"server": self._plane.server})
            agent_id = self._credentials.identity.agent_id
            self._line = line = PollLine(self._plane, agent_id, self._desk, pace=self._pace, status=self.status)
            line.read(POLLING_SECONDS)
            self._no_sockets = UPGRADES_BEFORE_POLLING - 1  # one try of a socket, then polling again
            return
        try:
            self._over_a_socket()
        except NoSocket as none:
            self._no_sockets += 1
            raise Lost(f"no socket: {none}") from none

    def _over_a_socket(self) -> None:
        identity = self._credentials.identity
        address = "ws" + self._plane.server.removeprefix("http")
        address += f"/api/v1/agents/ws?{urlencode({'agent_id': identity.agent_id})}"
        with contextlib.ExitStack() as stack:
            try:
                socket = stack.enter_context(self._connect(address))
            except InvalidStatus as refused:
                self._upgrade_refused(refused)
            except (InvalidUpgrade, InvalidHeader) as error:
                raise NoSocket(str(error)) from error
            except (OSError, EOFError, WebSocketException) as error:
                raise Lost(f"{type(error).__name__}: {error}") from error
            self._no_sockets = 0
            self._line = line = SocketLine(
                socket, identity.agent_id, self._desk, clock=self._clock, pace=self._pace, status=self.status
            )
            log.info("Connected", extra={"server": self._plane.server})
            line.read()

    def _connect(self, address: str) -> ClientConnection:
        return connect(
            address,
            ssl=self._plane.tls.context() if address.startswith("wss:") else None,
            compression=None,
            additional_headers={"Authorization": f"Bearer {self._credentials.token().reveal()}"},
            user_agent_header=f"moorage-agent/{VERSION}",
            proxy=None,
            open_timeout=10,
            close_timeout=1,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            max_size=MOST_FRAME_BYTES,
            max_queue=4,
        )

    def _upgrade_refused(self, refused: InvalidStatus) -> None:
        """Raises what an HTTP answer to the upgrade means."""
        status, body = refused.response.status_code, refused.response.body or b""
        code, words = f"HTTP_{status}", "the upgrade to a socket was refused"
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            error = orjson.loads(body)["error"]
            code, words = str(error["code"]), str(error.get("message", words))
        if status == 401 and self._credentials.reread():
            raise Lost("the token was renewed by another process")
        if status in (401, 403, 409, 429) or status >= 500:
            after = refused.response.headers.get("Retry-After", "")
            raise Refused(status, code, words, retry_after=float(after) if after.isdigit() else None)
        raise NoSocket(f"HTTP {status}")

    def _ask_whether_revoked(self) -> None:
        """1008 closes a flood as well as a revoked agent; the heartbeat says which."""
        body = {"agent_id": self._credentials.identity.agent_id, "metadata": self.status()}
        try:
            self._plane.call("POST", "/agents/heartbeat", body)
        except Refused as refused:
            raise_if_over(refused)
        except Failure as failure:
            log.info("It is not known yet why the server closed", extra={"why": str(failure)})

    def _upkeep(self) -> None:
        while not self._pace.wait(UPKEEP_SECONDS):
            try:
                self._tokens.renew_if_due()
                self._journal.prune(self._clock.now())
            except Exception:  # a full disk or a locked key store today may be well again tomorrow
                log.exception("The upkeep failed")
