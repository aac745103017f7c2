"""The OpenAPI document, out of the application's own map of routes: what is not served is not in it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from inspect import cleandoc
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

from webapp.caller import ROLES, Allow
from webapp.errors import MoorageError, ServiceUnavailable
from webapp.openapi.answers import META, by_status, codes_of, envelope, headers, refusal, refuses_someone
from webapp.openapi.examples import example_of
from webapp.openapi.schemas import Json, component, or_null, specification
from webapp.openapi.words import TAGS, path_example, path_words
from webapp.operation import ATTRIBUTE, LONGEST_KEY, Operation
from webapp.serving.channel import UpgradeInvalid, UpgradeRequired
from webapp.serving.handshakes import ATTRIBUTE as HANDSHAKE
from webapp.serving.handshakes import Handshake

BEARER, JSON = "bearer", "application/json"
# Raised around every handshake: no upgrade asked for, a bad one, a process that stops, a database that is down.
OF_EVERY_SOCKET = (UpgradeRequired, UpgradeInvalid, ServiceUnavailable)
DESCRIPTION = (
    "Every answer is `{success, data, meta}` or `{success, error}`; who asks for application/problem+json gets "
    "failures by RFC 9457. Clients must live with further fields in answers; further fields in bodies are refused."
)


def document(app: Flask, version: str) -> Json:
    """The whole document of what `app` serves. `version` is the product's."""
    spec, converter = specification("Moorage", version, info={"description": DESCRIPTION})
    scheme = {"type": "http", "scheme": BEARER, "description": "An access token, an API key or an agent's token."}
    spec.components.security_scheme(BEARER, scheme)
    paths: Json = {}
    tags: set[str] = set()
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint)):
        op: Operation | None = getattr(app.view_functions[rule.endpoint], ATTRIBUTE, None)
        if op is not None:
            tags.add(op.tag)
            paths.setdefault(_path(rule), {})[op.method.lower()] = _operation(spec, converter, rule, op)
        elif shake := getattr(app.view_functions[rule.endpoint], HANDSHAKE, None):
            tags.add(shake.tag)
            paths.setdefault(_path(rule), {})["get"] = _socket(converter, rule, shake)
    made: Json = spec.to_dict()
    made["paths"], made["tags"] = paths, _tags(tags)
    for schema in made["components"].get("schemas", {}).values():
        schema.pop("x-finished", None)
    _show_examples(made)
    return made


def _tags(used: set[str]) -> list[Json]:
    known = [tag for tag in TAGS if tag in used]
    return [
        {"name": tag, **({"description": TAGS[tag]} if tag in TAGS else {})}
        for tag in [*known, *sorted(used - set(known))]
    ]


def _path(rule: Rule) -> str:
    return "".join(f"{{{data}}}" if dynamic else data for dynamic, data in rule._trace).removeprefix("|")


def _id(rule: Rule) -> str:
    return str(rule.endpoint).replace(".", "_").replace("-", "_").replace("/", "_").strip("_")


def _in_path(rule: Rule, told: Mapping[str, str]) -> list[Json]:
    """In the order of the path."""
    schema = {"type": "string", "minLength": 1}
    return [
        {
            "name": name, "in": "path", "required": True, "description": told.get(name) or path_words(name),
            "schema": schema, "example": path_example(name),
        }
        for dynamic, name in rule._trace if dynamic
    ]  # fmt: skip


def _operation(spec: APISpec, converter: OpenAPIConverter, rule: Rule, op: Operation) -> Json:
    parameters = _in_path(rule, op.in_path) + _in_query(converter, op.query)
    parameters += [_header(name, words, LONGEST_KEY) for name, words in op.headers.items()]
    parameters.append(_header("X-Request-ID", "An id of the client's own, given back and logged.", 128))
    if op.creates:
        parameters.append(_header("Idempotency-Key", "The first answer again for the same request, 24 h.", LONGEST_KEY))
    made: Json = {
        "operationId": _id(rule),
        "summary": op.summary,
        "description": "\n\n".join(part for part in (cleandoc(op.description), _for(_who(op.allow))) if part),
        "tags": [op.tag],
        "security": [] if op.allow.public else [{BEARER: []}],
        "x-callers": _callers(op.allow),
        "parameters": parameters,
        "responses": {str(op.status): _success(spec, converter, op, op.status, op.answer_example)},
    }
    for status, example in op.also.items():
        made["responses"][str(status)] = _success(spec, converter, op, status, example)
    if op.body:
        content: Json = {"schema": component(spec, converter, op.body)}
        if op.example:
            content["example"] = dict(op.example)
        required = any(field.required for field in op.body().load_fields.values())
        made["requestBody"] = {"required": required, "content": {"application/json": content}}
    for status, codes in codes_of(op).items():
        made["responses"].setdefault(str(status), refusal(status, codes))
    return made


def _success(spec: APISpec, converter: OpenAPIConverter, op: Operation, status: int, example: Any) -> Json:
    words: Json = {"description": op.summary if status < 400 else HTTPStatus(status).phrase}
    words["headers"] = headers(status, replayed=op.creates)
    if 300 <= status < 400:
        return words
    if op.media != JSON:
        return {**words, "content": {op.media: {"schema": {"type": "string"}, "example": example}}}
    many = isinstance(op.answer, list)
    view = op.answer[0] if many else op.answer
    data: Json = {"type": "object"}
    if view is object:
        data = {"description": "Any JSON value."}
    elif isinstance(view, type):
        data = component(spec, converter, view)
    data = {"type": "array", "items": data} if many else or_null(data) if op.or_null else data
    paged = many and op.query is not None and "page" in op.query().fields
    content: Json = {"schema": envelope(data, paged=paged)}
    if example is not None:
        more = {"meta": META["example"]} if paged else {}
        content["example"] = {"success": True, "data": example, **more}
    return {**words, "content": {JSON: content}}


def _socket(converter: OpenAPIConverter, rule: Rule, shake: Handshake) -> Json:
    refusals: tuple[type[MoorageError], ...] = (*shake.raises, *OF_EVERY_SOCKET)
    told = [(error.status, error.code, error.message) for error in refusals]
    answers = {str(status): refusal(status, codes) for status, codes in by_status(told).items()}
    parameters = _in_path(rule, {}) + _in_query(converter, shake.query)
    parameters.append(_header("X-Request-ID", "An id of the client's own, given back and logged.", 128))
    return {
        "operationId": _id(rule),
        "summary": shake.summary,
        "description": "\n\n".join(part for part in (shake.description, _for(shake.who)) if part),
        "tags": [shake.tag],
        "security": [{BEARER: []}],
        # Every socket is an agent's; a second kind of caller needs a Handshake that says whose it is.
        "x-callers": {"roles": [], "scope": None, "agents": True},
        "parameters": parameters,
        "responses": {"101": {"description": "The protocols are switched."}, **answers},
        "x-websocket": True,
    }


def _in_query(converter: OpenAPIConverter, query: type[Schema] | None) -> list[Json]:
    return converter.schema2parameters(query(), location="query") if query else []


def _header(name: str, words: str, longest: int) -> Json:
    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    return {"name": name, "in": "header", "description": words, "schema": schema}


def _who(allow: Allow) -> str:
    """Who may, in short."""
    if allow.public:
        return "anyone, without a token"
    if not refuses_someone(allow):
        return "any valid token"
    who = [", ".join(role for role in ROLES if role in allow.roles)] if allow.roles else []
    who += [f"keys with `{allow.scope}`"] if allow.scope else []
    who += ["agents"] if allow.agents else []
    return "; ".join(who)


def _callers(allow: Allow) -> Json:
    """For programs, what `_who` says in words; nothing where anyone may."""
    if allow.public:
        return {}
    return {"roles": sorted(allow.roles), "scope": allow.scope, "agents": allow.agents}


def _for(who: str) -> str:
    return f"For {who}." if who else ""


def _show_examples(made: Json) -> None:
    components = made["components"].get("schemas", {})
    for path in made["paths"].values():
        for op in path.values():
            for holder in (op.get("requestBody", {}), *op["responses"].values()):
                for content in holder.get("content", {}).values():
                    if "example" not in content:
                        content["example"] = example_of(content["schema"], components)
