"""What every answer must be, whatever was asked: documented, in its schema's shape, soon, and without our innards."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from flask import Flask
from openapi_schema_validator import OAS31Validator
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect, Rule

from tests.api.bare import served_document
from tests.api.fuzz.asked import SLOW_SECONDS, Answer, Asked

Json = dict[str, Any]
# Of Python, its driver and its libraries; nothing that is sent has these words.
INNARDS = re.compile(
    rb'Traceback|psycopg2?|sqlalchemy|SELECT |INSERT INTO|File \\?"/|site-packages|werkzeug', re.IGNORECASE
)
# Where there is no operation: the application's own answers, for which the contract has a code each.
BARE = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
PLAIN_ROUTES = {"/", "/metrics", "/api/v1/openapi.json", "/api/v1/docs"}


class Judge:
    def __init__(self, app: Flask) -> None:
        self._map = app.url_map.bind("localhost")

    def faults(self, asked: Asked, answer: Answer) -> list[str]:
        """What is wrong with the answer, in words without what differs from one request to the next."""
        found = []
        if answer.seconds > SLOW_SECONDS:
            found.append(f"took more than {SLOW_SECONDS} s")
        if innards := INNARDS.search(answer.body):
            found.append(f"tells {innards[0].decode()!r}")
        if "X-Request-ID" not in answer.headers:
            found.append("has no X-Request-ID")
        # All servers are well here: a 503 says that one of them was made to fail by what was asked.
        # But for what an installation without a mail server cannot do, and says.
        if answer.status >= 500 and b'"MAIL_NOT_CONFIGURED"' not in answer.body:
            found.append(f"status {answer.status}: {answer.body[:200].decode('latin-1')}")
        elif asked.method != "OPTIONS":
            found += self._undocumented(asked, answer)
        return found

    def place(self, asked: Asked) -> str:
        """The operation that the request reaches, or why it reaches none."""
        found = self._rule(asked)
        return f"{asked.method} {found.rule}" if isinstance(found, Rule) else type(found).__name__

    def _rule(self, asked: Asked) -> Rule | HTTPException:
        path = asked.path.decode("utf-8", "replace")
        try:
            return self._map.match(path, method=asked.method, return_rule=True, websocket=False)[0]
        except (NotFound, MethodNotAllowed, RequestRedirect) as none:
            return none

    def _undocumented(self, asked: Asked, answer: Answer) -> list[str]:
        rule = self._rule(asked)
        if not isinstance(rule, Rule):
            return _bare(rule, answer)
        if rule.rule in PLAIN_ROUTES:
            return [] if answer.status in (200, 304, 400) else [f"status {answer.status} of a plain route"]
        method = {"HEAD": "get"}.get(asked.method, asked.method.lower())
        responses = _documented(re.sub(r"<(?:\w+:)?([^>]+)>", r"{\1}", rule.rule), method)
        if str(answer.status) not in responses:
            return [f"status {answer.status} is not documented: {answer.body[:200].decode('latin-1')}"]
        content = responses[str(answer.status)].get("content", {})
        if asked.method == "HEAD" or answer.mimetype == "text/event-stream":
            return []
        if answer.mimetype not in content:
            return [f"{answer.mimetype} is not documented with status {answer.status}"]
        return _unlike(answer, json.dumps(content[answer.mimetype]["schema"]))


def _bare(none: HTTPException, answer: Answer) -> list[str]:
    if isinstance(none, RequestRedirect):
        return [] if answer.status == 308 else [f"status {answer.status} of a redirect"]
    if answer.status != none.code:
        return [f"status {answer.status}, not {none.code}, where there is no operation"]
    if answer.body and f'"{BARE[answer.status]}"'.encode() not in answer.body:
        return [f"status {answer.status} without its code"]
    return []


def _documented(path: str, method: str) -> Json:
    item = served_document()["paths"].get(path, {})
    made: Json = item.get(method, {}).get("responses", {})
    return made


def _unlike(answer: Answer, schema: str) -> list[str]:
    try:
        body = json.loads(answer.body)
    except ValueError:
        return ["is no JSON"]
    error = next(_checker(schema).iter_errors(body), None)
    if error is None:
        return []
    return [f"status {answer.status} is unlike its schema: {error.json_path} {error.message[:200]}"]


@cache
def _checker(schema: str) -> OAS31Validator:
    whole = {**json.loads(schema), "components": served_document()["components"]}
    return OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER)
