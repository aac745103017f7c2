"""No request makes the application fail, hang, tell its innards, or answer what its own document does not say.

`make fuzz` runs it in its full size. What fails is kept under .moorage/fuzz, and can be sent again by
`pytest tests/api/fuzz/test_http.py --fuzz-replay=FILE`.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.api.bare import served_document
from tests.api.fuzz.asked import Answer, Asked, Hang
from tests.api.fuzz.callers import Callers
from tests.api.fuzz.generated import generated
from tests.api.fuzz.judge import Judge
from tests.api.fuzz.malformed import malformed
from tests.api.isolation.slots import operations
from webapp import create_app
from webapp.commands import polling
from webapp.serving.channel import channels_of
from webapp.settings import CHECKOUT, Settings

KEPT = CHECKOUT / ".moorage/fuzz"
MOST_SHOWN = 30


@pytest.fixture
def app(environment: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """All that can be switched on, and without waiting: streams and polls end as when a process stops."""
    made = create_app(Settings.parse(environment | {"INFRA_LEGACY_ENABLED": "true"}))
    monkeypatch.setattr(polling, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(channels_of(made), "_stopping", True)
    yield made
    made.extensions["moorage.bus"].stop()
    made.extensions["moorage"].database.engine.dispose()


def requests_of(callers: Callers, seed: int, size: int) -> Iterator[Asked]:
    """A good third by the schemas, the rest by what clients should not do."""
    each = max(1, round(0.37 * size / len(list(operations(served_document()))) / 2))
    yield from itertools.islice(generated(callers, seed, each), size // 2)
    yield from malformed(lambda: callers.world, seed, size)


def test_whatever_is_asked_is_answered_as_documented(
    app: Flask, seed: int, size: int, pytestconfig: pytest.Config
) -> None:
    callers, judge, found, statuses = Callers(app), Judge(app), dict[str, str](), Counter[int]()
    replayed = pytestconfig.getoption("--fuzz-replay")
    source = iter([Asked.load(Path(replayed))]) if replayed else requests_of(callers, seed, size)
    began, sent = time.monotonic(), 0
    for asked in itertools.islice(source, size):
        sent += 1
        answer, faults = judged(asked, callers, judge)
        statuses[answer.status if answer else 0] += 1
        for fault in faults:
            name = f"{judge.place(asked)}: {fault}"
            if name not in found:
                found[name] = f"{asked.shown()}\n  by {asked.by}; {asked.about}; --fuzz-replay={asked.keep(KEPT)}"
    print(f"{sent} requests in {time.monotonic() - began:.1f} s: {dict(sorted(statuses.items()))}")
    shown = "\n\n".join(f"{name}\n  {how}" for name, how in itertools.islice(found.items(), MOST_SHOWN))
    assert not found, f"{len(found)} faults with --fuzz-seed={seed}:\n\n{shown}"
    assert replayed or sent == size
    # Else the requests were refused at the door, and said nothing of what is behind it.
    assert replayed or statuses[200] + statuses[201] > size / 12


def judged(asked: Asked, callers: Callers, judge: Judge) -> tuple[Answer | None, list[str]]:
    try:
        answer = callers.send(asked)
    except Hang as hang:
        return None, [str(hang)]
    except Exception as raised:
        return None, [f"raised {raised!r}"]
    return answer, judge.faults(asked, answer)
