"""How much is sent, and what the dice begin with."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

SIZES = {"small": 3_000, "full": 50_000}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A line for each of 50,000 requests helps nobody; errors are still logged."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def size(pytestconfig: pytest.Config) -> int:
    """How many requests, or frames."""
    return SIZES[pytestconfig.getoption("--fuzz")]


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """The same in every ordinary run, so that what was green stays green; printed, to be given again."""
    given = pytestconfig.getoption("--fuzz-seed")
    if given is None:
        given = 1 if pytestconfig.getoption("--fuzz") == "small" else random.randrange(10**6)
    print(f"--fuzz-seed={given}")
    return int(given)
