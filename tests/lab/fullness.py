"""Which cases of a test `make test` has the time for; `make test-lab` tries them all (`--lab=full`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

full = pytest.mark.full


def some(cases: Collection[Any], *kept: Any) -> list[Any]:
    """Cases for `parametrize`: those not kept are `full`."""
    assert set(kept) <= set(cases), "a case to keep that there is not"
    return [case if case in kept else pytest.param(case, marks=full) for case in cases]
