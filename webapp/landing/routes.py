"""The page at `/`: what this is, which version, and where to go on."""

from __future__ import annotations

from flask import Blueprint, Response, render_template_string

from webapp.collaborators import collaborators
from webapp.landing.page import PAGE

landing = Blueprint("landing", __name__)


@landing.get("/")
def index() -> Response:
    settings = collaborators().settings
    page = render_template_string(PAGE, version=settings.moorage_version, environment=settings.moorage_env)
    answer = Response(page, mimetype="text/html")
    # The page brings its own style and nothing else; no script may run on it, and no site may frame it.
    answer.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return answer
