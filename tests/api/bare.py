"""The application before any server is there: what it declares and documents is the same for any settings."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Flask

from webapp import create_app
from webapp.settings import Settings

VARIABLES = {
    "DATABASE_URL": "postgresql://a:bbbbbbbb@127.0.0.1:1/none",
    "S3_ENDPOINT": "http://127.0.0.1:1",
    "S3_ACCESS_KEY_ID": "none-none-none-none",
    "S3_SECRET_ACCESS_KEY": "x" * 20,
    "SESSION_SECRET": "s" * 32,
    "LICENSE_LEASE_SECRET": "l" * 32,
}


def bare_app() -> Flask:
    made = create_app(Settings.parse(VARIABLES))
    made.extensions["moorage.bus"].stop()
    return made


@cache
def served_document() -> dict[str, Any]:
    """What `GET /api/v1/openapi.json` gives. For tests that are generated from it, at collection."""
    answer = bare_app().test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 200 and isinstance(answer.json, dict)
    return answer.json
