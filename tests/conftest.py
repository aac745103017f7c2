"""Options that every part of the suite shares. Fixtures live beside the tests that need them."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres-url",
        help="Run the API tests against this server (a superuser's URL; it gets and loses roles and databases,"
        " so let it be one to throw away) instead of an embedded PostgreSQL 18.",
    )
