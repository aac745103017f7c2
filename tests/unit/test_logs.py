"""One JSON object a line, whatever is logged."""

from __future__ import annotations

import json
import logging
import subprocess
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
        raise ValueError("token=hunter2")
    except ValueError:
        record = logging.getLogger("t").makeRecord("t", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    made = json.loads(JsonLines().format(record))
    assert "ValueError" in made["error"] and "hunter2" not in made["error"]


@pytest.mark.parametrize("value", ["half a pair \ud800", 2**70, "\udcff"])
def test_what_cannot_be_written_fast_is_written_all_the_same(value: object) -> None:
    assert line(thing=value)["thing"] == value


UNCAUGHT = """
import sys, threading
from webapp.logs import configure_logs, log_the_uncaught
configure_logs("INFO")
log_the_uncaught()
def fail(): raise ValueError("password=" + "".join(["hun", "ter2"]))
{how}
"""


@pytest.mark.parametrize("how", ["fail()", "t = threading.Thread(target=fail); t.start(); t.join()"])
def test_what_nobody_catches_is_a_line_too(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNCAUGHT.format(how=how)], capture_output=True, text=True, check=False
    )
    [made] = [json.loads(text) for text in done.stderr.splitlines()]
    assert made["level"] == "critical" and "ValueError: password=***" in made["error"]
    assert "hunter2" not in done.stderr


def test_a_line_whose_arguments_do_not_fit_is_not_printed_with_them() -> None:
    code = UNCAUGHT.format(how='import logging; logging.getLogger().warning("%d", "hunter2")')
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "hunter2" not in done.stderr + done.stdout


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_every_level_makes_a_configuration(level: str) -> None:
    logging.config.dictConfigClass(log_config(level))


def test_gunicorns_own_access_log_is_off() -> None:
    assert log_config("DEBUG")["loggers"]["gunicorn.access"]["level"] == "CRITICAL"
