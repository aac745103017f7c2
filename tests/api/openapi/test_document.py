"""The document is a valid OpenAPI 3.1 document, holds every route, and its examples are valid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from webapp.operation import ATTRIBUTE

Json = dict[str, Any]
# Neither operations nor sockets: pages for people, numbers for Prometheus, the document itself.
NO_OPERATIONS = {"/", "/metrics", "/api/v1/openapi.json", "/api/v1/docs"}


@pytest.fixture
def served(client: FlaskClient) -> Json:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200 and answer.json is not None
    return answer.json


def operations(made: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in made["paths"].items():
        for method, op in item.items():
            yield path, method, op


def test_it_is_valid_by_the_standard(served: Json) -> None:
    validate(served)
    assert served["openapi"].startswith("3.1")


def test_every_route_is_an_operation_a_socket_or_on_the_short_list(app: Flask) -> None:
    sockets = {rule.rule for rule in app.url_map.iter_rules() if rule.websocket}
    known = NO_OPERATIONS | sockets
    plain = [
        rule.rule for rule in app.url_map.iter_rules()
        if not hasattr(app.view_functions[rule.endpoint], ATTRIBUTE) and rule.rule not in known
    ]  # fmt: skip
    assert plain == []


def test_ids_of_operations_are_unique(served: Json) -> None:
    ids = [op["operationId"] for _, _, op in operations(served)]
    assert len(ids) == len(set(ids)) and "licensing_register_vm" in ids


def test_whatever_a_reader_meets_has_words(served: Json) -> None:
    bare = [f"tag {tag['name']}" for tag in served["tags"] if not tag.get("description")]
    for path, method, op in operations(served):
        name = f"{method.upper()} {path}"
        bare += [] if op["summary"] and len(op["tags"]) == 1 else [f"{name}: its summary or tag"]
        in_path = [part for part in op["parameters"] if part["in"] == "path"]
        bare += [f"{name}: {part['name']}" for part in in_path if not part["description"]]
        bare += [f"{name}: {status}" for status, answer in op["responses"].items() if not answer["description"]]
    assert bare == []


def test_every_example_is_valid_by_its_schema(served: Json) -> None:
    wrong = []
    for path, method, op in operations(served):
        for holder in (op.get("requestBody", {}), *op["responses"].values()):
            for content in holder.get("content", {}).values():
                schema = {**content["schema"], "components": served["components"]}
                checker = OAS31Validator(schema, format_checker=OAS31Validator.FORMAT_CHECKER)
                wrong += [f"{method} {path}: {error.message}" for error in checker.iter_errors(content["example"])]
    assert wrong == []


# What the contract says is open: records, and settings, which are any JSON value.
OPEN = {"RecordsNewRecord", "RecordsRecordChange", "RecordsSettingsChange"}
ANY = {"FieldsAnyValue"}


def test_bodies_refuse_further_fields_but_for_records(served: Json) -> None:
    references = [
        op["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for _, _, op in operations(served) if "requestBody" in op
    ]  # fmt: skip
    schemas = served["components"]["schemas"]
    names = {reference.rpartition("/")[2] for reference in references}
    further = {name: schemas[name].get("additionalProperties") for name in names}
    assert {name for name, more in further.items() if more is not False} == OPEN | ANY
    assert all(further[name] is True for name in OPEN) and all("type" not in schemas[name] for name in ANY)


def test_who_needs_a_token_is_told_401_and_403(served: Json) -> None:
    for _, _, op in operations(served):
        if op["security"] and not op.get("x-websocket"):
            assert {"401", "429", "503"} <= set(op["responses"]), op["operationId"]
            anybody = op["operationId"] in ("auth_verify", "auth_whoami")  # whatever a token may do, it may ask this
            assert anybody or "403" in op["responses"], op["operationId"]


def test_the_document_is_not_sent_again_to_who_has_it(client: FlaskClient) -> None:
    etag = client.get("/api/v1/openapi.json").headers["ETag"]
    again = client.get("/api/v1/openapi.json", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")


def test_a_poll_that_may_find_nothing_says_so(served: Json) -> None:
    answer = served["paths"]["/api/v1/vm-ops/commands/next"]["get"]["responses"]["200"]
    assert {"type": "null"} in answer["content"]["application/json"]["schema"]["properties"]["data"]["anyOf"]


def test_a_socket_names_what_its_query_takes_and_who_may_enter(served: Json) -> None:
    op = served["paths"]["/api/v1/agents/ws"]["get"]
    names = [parameter["name"] for parameter in op["parameters"] if parameter["in"] == "query"]
    assert names == ["agent_id", "request_id", "token"]
    assert op["x-callers"] == {"roles": [], "scope": None, "agents": True}
    assert {"400", "401", "403", "409", "426", "503"} <= set(op["responses"])


def test_who_may_call_is_there_for_programs_too(served: Json) -> None:
    grant = served["paths"]["/api/v1/licenses"]["post"]
    assert grant["x-callers"] == {"roles": ["admin"], "scope": "ops:write", "agents": False}
    assert served["paths"]["/api/v1/auth/login"]["post"]["x-callers"] == {}
