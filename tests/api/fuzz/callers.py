"""Whoever asks: a new tenant with a thing of every kind, made again when a request has ended somebody's session."""

from __future__ import annotations

from flask import Flask

from tests.api.fuzz.asked import Answer, Asked
from tests.api.isolation.world import MAKERS, World
from tests.api.people import Town

CALLERS = ("admin", "infra", "member", "viewer", "key", "agent", "none", "garbage")
# Things are used up: leases are revoked, commands end.
LIVES = 200


class Callers:
    def __init__(self, app: Flask) -> None:
        self._app, self._asked = app, 0
        self.world = self._settle()

    def token(self, by: str) -> str:
        if by in ("none", "garbage"):
            return "" if by == "none" else "mk_nothing"
        return self.world.caller(by).token

    def send(self, asked: Asked) -> Answer:
        answer = asked.bearing(self.token(asked.by)).send(self._app)
        self._asked += 1
        gone = (answer.status in (401, 409) and b"TOKEN_INVALID" in answer.body) or b"AGENT_REVOKED" in answer.body
        gone = gone and asked.by not in ("none", "garbage") and "Authorization" not in asked.headers
        if gone or self._asked % LIVES == 0:
            self.world = self._settle()
        return answer

    def _settle(self) -> World:
        world = World(Town.found(self._app, "Fuzz"))
        for kind in MAKERS:
            world.value(kind)
        return world
