"""The API's pages of the manual, from the control plane's own routes and errors."""

from __future__ import annotations

import re
from collections import defaultdict
from http import HTTPStatus
from typing import Any

from flask import Flask

from webapp.errors import HttpError, MoorageError
from webapp.openapi.document import document
from webapp.openapi.schemas import resolved
from webapp.wiring import ROOMS

Json = dict[str, Any]

API = """# The API

Written by `make docs` from the control plane's routes; do not edit. A server shows the same with parameters, schemas
and examples at `/api/v1/docs`, and for programs at `/api/v1/openapi.json`. What each code means: [errors](errors.md).

A field in *italics* is not required. The last column leaves out what follows from the others: a token that is missing
or worth nothing (401), a caller who may not (`403 FORBIDDEN`), a body that is no JSON, too long or not as it should be
(`400 INVALID_JSON`, `413 PAYLOAD_TOO_LARGE`, `400 VALIDATION_ERROR`), too many requests (`429 RATE_LIMITED`), and a
database that does not answer (`503 SERVICE_UNAVAILABLE`).
"""
ERRORS = """# Errors of the API

Written by `make docs` from the control plane's errors; do not edit. A failure is
`{"success": false, "error": {"code", "message", "details"?}}`, or a problem by RFC 9457 for who asks for
`application/problem+json`. Programs go by the code, which stays; the message is for people, and may change. Which call
can answer which: [the API](api.md).
"""
EVERYWHERE = {
    "MISSING_BEARER_TOKEN", "TOKEN_INVALID", "FORBIDDEN", "INVALID_JSON", "PAYLOAD_TOO_LARGE", "VALIDATION_ERROR",
    "RATE_LIMITED", "SERVICE_UNAVAILABLE",
}  # fmt: skip
TABLE = ["| call | what, and for whom | takes | answers | refuses |", "|---|---|---|---|---|"]


def _document() -> Json:
    app = Flask("webapp", static_folder=None)
    for room in ROOMS:
        app.register_blueprint(room)
    return document(app, "")


def operations() -> str:
    """Every call: who may, what it takes, what it answers."""
    made = _document()
    schemas = made["components"]["schemas"]
    lines: dict[str, list[str]] = defaultdict(list)
    for path, item in made["paths"].items():
        for method, op in item.items():
            lines[op["tags"][0]].append(_row(f"{method.upper()} {path}", op, schemas))
    sections = [_section(tag, lines[tag["name"]]) for tag in made["tags"]]
    return API + "".join(sections)


def _section(tag: Json, rows: list[str]) -> str:
    head = ["", f"## {tag['name'].replace('_', ' ').capitalize()}", ""]
    head += [tag["description"], ""] if "description" in tag else []
    return "\n".join([*head, *TABLE, *rows, ""])


def _row(call: str, op: Json, schemas: Json) -> str:
    *_, who = op["description"].split("\n\n")
    stop = "" if op["summary"].endswith("?") else "."
    summary = op["summary"].replace("*", r"\*")
    what = f"{summary}{stop} {who if who.startswith('For ') else ''}".strip()
    codes = _codes(op)
    statuses = sorted(status for status in op["responses"] if int(status) < 400)
    cells = [f"`{call}`", what, _takes(op, schemas), ", ".join(statuses), ", ".join(codes)]
    return "| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |"


def _codes(op: Json) -> list[str]:
    """`409 CONFLICT` and the like, in order."""
    found = []
    for status, answer in sorted(op["responses"].items()):
        if int(status) >= 400 and ": " in answer["description"]:
            codes = [code for code in answer["description"].partition(": ")[2].split(", ") if code not in EVERYWHERE]
            found += [f"`{status} {code}`" for code in codes]
    return found


def _takes(op: Json, schemas: Json) -> str:
    """The fields of the body, else the parameters of the query."""
    content = op.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        schema = resolved(content["schema"], schemas)
        required = schema.get("required", [])
        return ", ".join(f"`{name}`" if name in required else f"*`{name}`*" for name in schema.get("properties", {}))
    query = [part for part in op["parameters"] if part["in"] == "query"]
    return ", ".join(f"`?{part['name']}`" if part.get("required") else f"*`?{part['name']}`*" for part in query)


def errors() -> str:
    """Every code that an answer can have, by status."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    # A code's own words before those of what refines it.
    known = sorted(_classes(MoorageError), key=lambda error: (len(error.mro()), error.__module__, error.__name__))
    told = [(error.status, error.code, error.message) for error in known]
    told += [(status, *words) for status, words in HttpError.CODES.items()]
    for status, code, words in told:
        found[status].setdefault(code, words)
    text = [ERRORS]
    for status, codes in sorted(found.items()):
        text += ["", f"## {status} {HTTPStatus(status).phrase}", "", "| code | words |", "|---|---|"]
        text += [f"| `{code}` | {_cell(words)} |" for code, words in sorted(codes.items())]
    return "\n".join([*text, ""]).replace("\n\n\n", "\n\n")


def _cell(words: str) -> str:
    return re.sub(r"\s+", " ", words).replace("|", "&#124;")


def _classes(error: type[MoorageError]) -> set[type[MoorageError]]:
    """What is raised under its own code; what only others are made of has none."""
    made = {error} if "code" in vars(error) else set()
    return made.union(*(_classes(one) for one in error.__subclasses__()))
