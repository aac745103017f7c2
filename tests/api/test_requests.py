"""What surrounds every request: ids, the log line, headers, counters."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.people import Town, data, refusal
from webapp.logs import JsonLines
from webapp.settings import Settings

LIVE = "/api/v1/health/live"
Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def lines(app: Flask) -> Lines:
    """The log's lines so far, each of them JSON."""
    [handler] = [one for one in logging.getLogger().handlers if isinstance(one.formatter, JsonLines)]
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)

    def read() -> list[dict[str, object]]:
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return read


def test_a_sane_request_id_comes_back(client: FlaskClient) -> None:
    assert client.get(LIVE, headers={"X-Request-ID": "run-17.a:b"}).headers["X-Request-ID"] == "run-17.a:b"


TOKENS = ["ma_" + "a" * 43 + ".b", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "7K2M-9QRT-4HJK-8XYZ"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "-x", "é", 'a"b', "a\tb", *TOKENS])
def test_any_other_gets_a_new_one(client: FlaskClient, given: str) -> None:
    answer = client.get(LIVE, headers={"X-Request-ID": given})
    assert UUID(answer.headers["X-Request-ID"]).version == 4


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"{nope", (400, "INVALID_JSON")),
        (b"[1]", (400, "VALIDATION_ERROR")),
        (b'{"further": 1}', (400, "VALIDATION_ERROR")),
    ],
)
def test_an_operation_without_a_body_takes_none(town: Town, given: bytes, expected: tuple[int, str]) -> None:
    def said(body: bytes) -> Any:
        person = town.person("member", f"member-{uuid4().hex[:6]}")
        headers = {**person.headers, "Content-Type": "application/json"}
        return person.client.post("/api/v1/auth/logout-all", data=body, headers=headers)

    assert refusal(said(given)) == expected
    assert data(said(b"")) == data(said(b"{}")) == {"ended": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a\0b"}, "name"),
        ({"name": "a", "deep": [{"b": "\0"}]}, "deep.0.b"),
        ({"a\0": 1}, "a\ufffd"),
    ],
)
def test_what_cannot_be_stored_is_named(town: Town, body: dict[str, Any], field: str) -> None:
    answer = town.admin.post("/api/v1/projects", body)
    assert refusal(answer) == (400, "VALIDATION_ERROR") and list(answer.json["error"]["details"]) == [field]


def test_what_is_nested_too_deep_is_named(town: Town) -> None:
    deep: Any = 1
    for _ in range(80):
        deep = [deep]
    answer = town.admin.post("/api/v1/projects", {"name": "a", "description": deep})
    assert refusal(answer) == (400, "VALIDATION_ERROR") and list(answer.json["error"]["details"]) == ["description"]


def test_a_parameter_that_cannot_be_searched_for_is_named(town: Town) -> None:
    answer = town.admin.get("/api/v1/projects?q=%00")
    assert refusal(answer) == (400, "VALIDATION_ERROR") and list(answer.json["error"]["details"]) == ["q"]


def test_a_correlation_id_is_echoed_and_never_invented(client: FlaskClient) -> None:
    assert client.get(LIVE, headers={"x-correlation-id": "deal-9"}).headers["x-correlation-id"] == "deal-9"
    assert "x-correlation-id" not in client.get(LIVE).headers
    assert "x-correlation-id" not in client.get(LIVE, headers={"x-correlation-id": "a b"}).headers


def test_one_json_line_a_request_with_the_route_and_without_the_query(client: FlaskClient, lines: Lines) -> None:
    client.get("/ws/v1/agents/connect?token=canary-in-a-query&agent_id=7", headers={"X-Request-ID": "abc"})
    [line] = [line for line in lines() if line["logger"] == "moorage.access"]
    assert line["route"] == "/ws/v1/agents/connect"
    assert (line["method"], line["status"], line["request_id"]) == ("GET", 401, "abc")
    assert isinstance(line["ms"], float) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", str(line["ts"]))
    assert "canary" not in json.dumps(line)


def test_probes_that_pass_are_not_logged(client: FlaskClient, lines: Lines) -> None:
    client.get(LIVE)
    assert not [line for line in lines() if line["logger"] == "moorage.access"]


def test_a_bug_is_logged_with_its_trace_and_without_its_secrets(
    settings: Settings, own_app: Flask, lines: Lines
) -> None:
    @own_app.get("/bug")
    def bug() -> str:
        raise RuntimeError(f"cannot reach {settings.database_url.render()} with {settings.session_secret.reveal()}")

    own_app.test_client().get("/bug")
    [line] = [line for line in lines() if line["level"] == "error"]
    assert "Traceback" in str(line["error"]) and line["request_id"]
    text = json.dumps(line)
    assert settings.session_secret.reveal() not in text
    assert settings.database_url.password.reveal() not in text


def test_no_setting_that_is_secret_is_in_any_line(settings: Settings, client: FlaskClient, lines: Lines) -> None:
    url = settings.database_url
    logging.getLogger("anything").warning("settings: %s %r", settings, settings, extra={"database": url})
    text = json.dumps(lines())
    for secret in (settings.session_secret, settings.s3_secret_access_key, settings.database_url.password):
        assert secret.reveal() not in text


def test_answers_carry_what_browsers_need_to_behave(client: FlaskClient) -> None:
    headers = client.get(LIVE).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_metrics_count_requests_by_route(client: FlaskClient) -> None:
    client.get("/nowhere/at/all")
    client.open("/nowhere/at/all", method="FROBNICATE")
    text = client.get("/metrics").text
    assert 'moorage_http_requests_total{method="GET",route="(unmatched)",status="404"}' in text
    assert 'method="OTHER"' in text and "FROBNICATE" not in text
    assert "moorage_http_request_duration_seconds_bucket" in text
