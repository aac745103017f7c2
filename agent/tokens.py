"""The agent's token is replaced long before it expires; the old one lives five minutes more."""

from __future__ import annotations

import logging
import uuid

from agent.control_plane import ControlPlane
from agent.failures import Failure
from agent.identity import Credentials, Identity
from agent.pace import ServerClock, timestamp
from agent.redaction import Sensitive, remember

log = logging.getLogger("agent.tokens")

# A third of 30 days is left when it is renewed: ten days offline do not cost the pairing.
RENEW_AFTER = 2 / 3
# Without a known beginning: a week before the end.
WEEK = 7 * 86400.0


def is_due(identity: Identity, now: float | None) -> bool:
    """Is it time for the next token? By the server's clock alone; no, while that is not known."""
    expires, taken = identity.token_expires_at, identity.token_taken_at
    if expires is None or now is None:
        return False
    if taken is None or taken >= expires:
        return now >= expires - WEEK
    return now >= taken + (expires - taken) * RENEW_AFTER


class TokenKeeper:
    """One key for one renewal: an answer that was lost is given again, not a second token made."""

    def __init__(self, plane: ControlPlane, credentials: Credentials, clock: ServerClock) -> None:
        self._plane = plane
        self._credentials = credentials
        self._clock = clock
        self._key = str(uuid.uuid4())

    def renew_if_due(self) -> bool:
        """True where a new token is in use. A failure is logged, and tried again at the next call."""
        if not is_due(self._credentials.identity, self._clock.now()):
            return False
        try:
            answer = self._plane.call("POST", "/agents/token", {}, idempotency_key=self._key)
            token = remember(Sensitive(answer["agent_token"]))
        except (Failure, KeyError, TypeError) as failure:
            log.warning("The agent's token could not be renewed yet", extra={"reason": str(failure)})
            return False
        self._credentials.replace_token(token, timestamp(answer.get("agent_token_expires_at")), self._clock.now())
        self._key = str(uuid.uuid4())
        log.info("The agent's token is renewed")
        return True
