"""The document of the very application that answers, for programs and as a page for people; made once, with ETags."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import orjson
from flask import Blueprint, Flask, Response, current_app, request

from webapp.collaborators import collaborators
from webapp.openapi.document import document
from webapp.openapi.page import page
from webapp.responses import STYLE_ALONE

openapi = Blueprint("openapi", __name__, url_prefix="/api/v1")

DOCUMENT, DOCS = "moorage.openapi", "moorage.openapi.docs"


@openapi.get("/openapi.json")
def document_json() -> Response:
    if DOCUMENT not in current_app.extensions:
        current_app.extensions[DOCUMENT] = orjson.dumps(_made())
    return _kept(current_app.extensions[DOCUMENT], "application/json")


@openapi.get("/docs")
def docs() -> Response:
    if DOCS not in current_app.extensions:
        current_app.extensions[DOCS] = page(_made()).encode()
    answer = _kept(current_app.extensions[DOCS], "text/html")
    answer.headers["Content-Security-Policy"] = STYLE_ALONE
    return answer


def _made() -> dict[str, Any]:
    # Every route is registered before the first request, so the first answer is right for good.
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # werkzeug's proxy has it
    return document(app, collaborators().settings.moorage_version)


def _kept(body: bytes, mimetype: str) -> Response:
    answer = Response(body, mimetype=mimetype)
    answer.set_etag(hashlib.sha256(body).hexdigest()[:32])
    # May be kept, but is asked about each time: a deploy brings another one.
    answer.headers["Cache-Control"] = "no-cache"
    return cast(Response, answer.make_conditional(request))
