"""Every kind of failure, in the envelope and as RFC 9457, through the application's one handler."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from marshmallow import Schema, fields, validate
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from webapp import create_app
from webapp.errors import StorageError, StorageUnavailable
from webapp.responses import success
from webapp.settings import Settings
from webapp.storage import ObjectNotFound, StorageRefused

JSON = "application/json"
TOO_MUCH = b"x" * (1024 * 1024 + 1)
PROBLEM = {"Accept": "application/problem+json"}


class Thing(Schema):
    name = fields.String(required=True, validate=validate.Length(max=5))
    size = fields.Integer(strict=True)
    lease_token = fields.String(validate=validate.Length(max=5))



def violation(code: str) -> IntegrityError:
    """As the driver raises it; its own class cannot be given a code."""
    return IntegrityError("INSERT INTO t", {}, type("Raised", (Exception,), {"pgcode": code})("duplicate key"))


RAISED: dict[str, Exception] = {
    "somebody-was-first": violation("23505"),
    "it-has-gone": violation("23503"),
    "a-null": violation("23502"),
    "database-down": OperationalError("SELECT 1", {}, Exception("connection refused")),
    "pool-used-up": PoolTimeout("QueuePool limit of size 8 reached"),
    "store-down": StorageUnavailable(),
    "store-nonsense": StorageError(),
    "store-refuses": StorageRefused(),
    "no-object": ObjectNotFound(),
    "bug": RuntimeError("password=hunter2hunter2 in a bug"),
}


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    app = create_app(settings)
    _add_routes(app)
    return app.test_client()


def _add_routes(app: Flask) -> None:
    @app.post("/things")
    def things() -> Any:
        return success(Thing().load(request.get_json()), status=201)

    @app.get("/raise/<what>")
    def raises(what: str) -> Any:
        raise RAISED[what]

    @app.get("/statement")
    def statement() -> Any:
        with app.extensions["moorage"].database.transaction() as session:
            session.execute(text("SET LOCAL statement_timeout = 50"))
            session.execute(text("SELECT pg_sleep(5)"))
        return success({})


CASES: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("unknown path", "GET /nowhere", {}, 404, "NOT_FOUND"),
    ("wrong method", "DELETE /things", {}, 405, "METHOD_NOT_ALLOWED"),
    (
        "too large",
        "POST /things",
        {"data": b"x" * (1024 * 1024 + 1), "content_type": JSON},
        413,
        "PAYLOAD_TOO_LARGE",
    ),
    ("broken JSON", "POST /things", {"data": b"{", "content_type": JSON}, 400, "INVALID_JSON"),
    ("no JSON", "POST /things", {"data": b"name=x", "content_type": "text/plain"}, 400, "INVALID_JSON"),
    ("no body", "POST /things", {"content_type": JSON}, 400, "INVALID_JSON"),
    ("unknown field", "POST /things", {"json": {"name": "a", "colour": "b"}}, 400, "VALIDATION_ERROR"),
    ("wrong type", "POST /things", {"json": {"name": "a", "size": "b"}}, 400, "VALIDATION_ERROR"),
    ("too long", "POST /things", {"json": {"name": "abcdef"}}, 400, "VALIDATION_ERROR"),
    ("not an object", "POST /things", {"json": [1]}, 400, "VALIDATION_ERROR"),
    ("database down", "GET /raise/database-down", {}, 503, "SERVICE_UNAVAILABLE"),
    ("pool used up", "GET /raise/pool-used-up", {}, 503, "SERVICE_UNAVAILABLE"),
    ("statement too slow", "GET /statement", {}, 503, "SERVICE_UNAVAILABLE"),
    ("somebody was first", "GET /raise/somebody-was-first", {}, 409, "CONFLICT"),
    ("it has gone", "GET /raise/it-has-gone", {}, 409, "CONFLICT"),
    ("a fault of ours in a row", "GET /raise/a-null", {}, 500, "INTERNAL_ERROR"),
    ("store down", "GET /raise/store-down", {}, 503, "STORAGE_UNAVAILABLE"),
    ("store nonsense", "GET /raise/store-nonsense", {}, 502, "STORAGE_ERROR"),
    ("store refuses", "GET /raise/store-refuses", {}, 502, "STORAGE_ERROR"),
    ("no object", "GET /raise/no-object", {}, 404, "OBJECT_NOT_FOUND"),
    ("bug", "GET /raise/bug", {}, 500, "INTERNAL_ERROR"),
]
by_name = pytest.mark.parametrize(
    ("line", "given", "status", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)


@by_name
def test_the_envelope(client: FlaskClient, line: str, given: dict[str, Any], status: int, code: str) -> None:
    method, path = line.split()
    answer = client.open(path, method=method, **given)
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    assert set(answer.json) == {"success", "error"} and answer.json["success"] is False
    assert answer.json["error"]["code"] == code and answer.json["error"]["message"]
    assert answer.headers["X-Request-ID"]
    assert "hunter2" not in answer.text and "Traceback" not in answer.text


@by_name
def test_the_problem(client: FlaskClient, line: str, given: dict[str, Any], status: int, code: str) -> None:
    method, path = line.split()
    answer = client.open(path, method=method, headers=PROBLEM, **given)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    body = answer.json
    assert {"type", "title", "status", "detail", "instance", "code"} <= set(body)
    assert (body["status"], body["code"], body["instance"]) == (status, code, path)


def test_who_takes_anything_gets_the_envelope(client: FlaskClient) -> None:
    assert client.get("/nowhere", headers={"Accept": "*/*"}).mimetype == "application/json"
    assert client.get("/nowhere", headers={"Accept": "text/html"}).mimetype == "application/json"


def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient) -> None:
    assert "POST" in client.delete("/things").headers["Allow"]


def test_details_name_each_field(client: FlaskClient) -> None:
    error = client.post("/things", json={"size": "big", "colour": "red"}).json["error"]
    assert set(error["details"]) == {"name", "size", "colour"}
    problem = client.post("/things", json={"size": "big"}, headers=PROBLEM).json
    assert set(problem["errors"]) == {"name", "size"}


def test_an_outage_says_when_to_come_back(client: FlaskClient) -> None:
    assert client.get("/raise/database-down").headers["Retry-After"] == "5"
    assert client.get("/raise/store-down").headers["Retry-After"] == "5"


def test_a_redirect_is_no_error(client: FlaskClient) -> None:
    @client.application.get("/folder/")
    def folder() -> Any:
        return success({})

    assert client.get("/folder").status_code == 308


@pytest.mark.parametrize("value", [["canary"], {"canary": 1}, "canary-canary", 7])
def test_what_is_wrong_with_a_secret_field_is_said_without_its_value(client: FlaskClient, value: object) -> None:
    for headers in ({}, PROBLEM):
        answer = client.post("/things", json={"name": "a", "lease_token": value}, headers=headers)
        assert answer.status_code == 400 and answer.json is not None
        details = answer.json["errors"] if headers else answer.json["error"]["details"]
        assert details["lease_token"] in (["Not a valid string."], ["Longer than maximum length 5."])
        assert "canary" not in answer.text


def test_a_token_in_a_path_is_not_given_back(client: FlaskClient) -> None:
    answer = client.get("/nowhere/ma_" + "canary" * 10 + ".canary", headers=PROBLEM)
    assert answer.json is not None and answer.json["instance"] == "/nowhere/ma_***"
