"""What every executor is given, and how parameters are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from agent.config import Endpoint
from agent.failures import Failure, Unreachable
from agent.redaction import Sensitive
from agent.wire import Answer, Wire

# Larger than any list that fits into a result, smaller than what would hurt a small machine.
MOST_ANSWER_BYTES = 4 << 20

Params = Mapping[str, Any]
Secrets = Mapping[str, Sensitive]
Progress = Callable[[int | None, str], None]


class Executor(Protocol):
    """`reads_only` changes nothing; `repeatable` may be run twice without a difference (every reading action is)."""

    actions: frozenset[str]
    reads_only: frozenset[str]
    repeatable: frozenset[str]
    # Names of the credentials it needs, from the configuration or else as sealed secrets with these field names.
    needs: frozenset[str]

    def run(self, action: str, params: Params, secrets: Secrets, progress: Progress) -> Any:
        """The action's result. Raises Failure in the words of the one who sent the command."""


def text(params: Params, name: str, *, pattern: str = r"[^\x00-\x1f]{1,255}", default: str | None = None) -> str:
    """A string parameter. Failure INVALID_PARAMS where it is missing or looks otherwise."""
    value = params.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise Failure("INVALID_PARAMS", f"{name} is missing or not like {pattern}")
    return value


def flag(params: Params, name: str, default: bool) -> bool:
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise Failure("INVALID_PARAMS", f"{name} must be true or false")
    return value


def number(params: Params, name: str, default: int | None, *, least: int, most: int) -> int:
    value = params.get(name, default)
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Failure("INVALID_PARAMS", f"{name} is missing or not a number from {least} to {most}")
    return value


def credential(endpoint: Endpoint, secrets: Secrets, name: str) -> Sensitive:
    """From a sealed secret, else from the configuration. Failure CREDENTIALS_MISSING."""
    value = secrets.get(name) or endpoint.credentials.get(name)
    if value is None:
        raise Failure("CREDENTIALS_MISSING", f"{name} is neither in the agent's configuration nor bound as a secret")
    return value


class JsonServer:
    """A JSON API beside the agent. Its refusals become failures with its own words."""

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self._name = name
        self._wire = Wire(endpoint.url, endpoint.tls, seconds=endpoint.seconds, most=MOST_ANSWER_BYTES)

    def exchange(self, method: str, path: str, headers: Mapping[str, str], **more: Any) -> Answer:
        """Any answer. Failure <NAME>_UNREACHABLE where there is none in time."""
        try:
            return self._wire.exchange(method, path, headers=headers, **more)
        except Unreachable as failure:
            raise Failure(f"{self._name}_UNREACHABLE", failure.words) from failure

    def opened(self, answer: Answer, what: str) -> Any:
        """The JSON of a good answer, None of an empty one. Failure <NAME>_DENIED, <NAME>_NOT_FOUND, <NAME>_REFUSED."""
        if answer.status >= 300:
            kind = {401: "DENIED", 403: "DENIED", 404: "NOT_FOUND"}.get(answer.status, "REFUSED")
            said = answer.headers.get("x-reason", "") or answer.body[:500].decode(errors="replace").strip()
            raise Failure(f"{self._name}_{kind}", f"{what} was answered with HTTP {answer.status}: {said}")
        if not answer.body.strip():
            return None
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            words = f"{what} was answered with something that is no JSON. Is this the right address?"
            raise Failure(f"{self._name}_NONSENSE", words) from error
