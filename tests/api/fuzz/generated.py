"""Requests out of the OpenAPI document by schemathesis: such as are right by their schemas, and such as are not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode

from tests.api.bare import served_document
from tests.api.fuzz.asked import Asked
from tests.api.fuzz.callers import CALLERS, Callers
from tests.api.isolation.slots import KINDS
from tests.api.isolation.world import World

BASE = "http://localhost"
# Ours or the transport's, and not what is being tried.
_DROPPED = {
    "Authorization", "User-Agent", "Connection", "Accept-Encoding", "X-Schemathesis-TestCaseId", "Content-Length",
}  # fmt: skip
# How often an id is one of a thing that exists, so that a request gets further than to "there is no such …".
REAL = 0.7


def generated(callers: Callers, number: int, each: int) -> Iterator[Asked]:
    """`each` requests of each kind for every operation. The same for the same number and the same document, but for
    the world's own ids."""
    dice = random.Random(number)
    schema = schemathesis.openapi.from_dict(served_document())
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for case in _cases(operation, mode, number, each):
                _make_real(case, callers.world, dice)
                yield _asked(case, dice.choice(CALLERS), f"{mode.value} by its schema")


def _cases(operation: Any, mode: GenerationMode, number: int, each: int) -> list[Any]:
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=each, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found[:each]


def _make_real(case: Any, world: World, dice: random.Random) -> None:
    for holder in (case.path_parameters, case.query, case.body):
        if not isinstance(holder, dict):
            continue
        for name in holder:
            if name in KINDS and dice.random() < REAL:
                value = world.value(KINDS[name])
                holder[name] = value if holder is case.body else str(value)


def _asked(case: Any, by: str, about: str) -> Asked:
    given = case.as_transport_kwargs(base_url=BASE)
    known = ("method", "url", "headers", "params", "json", "data", "cookies", "files")
    made = requests.Request(**{name: value for name, value in given.items() if name in known}).prepare()
    headers = {name: value for name, value in made.headers.items() if name not in _DROPPED}
    body = made.body or b""
    target = str(made.url).removeprefix(BASE)
    return Asked(
        str(made.method), target, {str(name): _latin(value) for name, value in headers.items()},
        body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass"), by, about,
    )  # fmt: skip


def _latin(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
