"""One JSON object a line, whatever is logged."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import pytest

from webapp.logs import JsonLines, log_config, request_id


def line(*arguments: object, message: str = "hello", **extra: object) -> dict[str, object]:
    record = logging.getLogger("t").makeRecord("t", logging.INFO, "f", 1, message, arguments, None, extra=extra)
    text = JsonLines().format(record)
    assert "\n" not in text
    made: dict[str, object] = json.loads(text)
    return made


def test_the_fields() -> None:
    made = line("x", message="say %s", route="/a", ms=1.5)
    assert made | {"ts": None} == {
        "ts": None, "level": "info", "logger": "t", "message": "say x", "route": "/a", "ms": 1.5
    }  # fmt: skip
    assert datetime.fromisoformat(str(made["ts"])) and str(made["ts"]).endswith("Z")


def test_the_request_id_where_there_is_one() -> None:
    token = request_id.set("abc")
    assert line()["request_id"] == "abc"
    request_id.reset(token)
    assert "request_id" not in line()


def test_secrets_by_name_and_by_shape() -> None:
    made = line(message="Bearer canary-canary", password="canary", nested={"api_key": "canary"})
    assert "canary" not in json.dumps(made)


def test_what_json_does_not_know_is_text() -> None:
    assert line(thing={1})["thing"] == "{1}"


def test_a_trace_is_one_field() -> None:
    try:
        raise ValueError("token=canary")
    except ValueError:
        record = logging.getLogger("t").makeRecord("t", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    made = json.loads(JsonLines().format(record))
    assert "ValueError" in made["error"] and "canary" not in made["error"]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_every_level_makes_a_configuration(level: str) -> None:
    logging.config.dictConfigClass(log_config(level))


def test_gunicorns_own_access_log_is_off() -> None:
    assert log_config("DEBUG")["loggers"]["gunicorn.access"]["level"] == "CRITICAL"
