"""The page at `/`: what this is, which version, and where to go on."""

from __future__ import annotations

from flask import Blueprint, Response, render_template_string

from webapp.collaborators import collaborators
from webapp.landing.page import PAGE
from webapp.responses import STYLE_ALONE

landing = Blueprint("landing", __name__)


@landing.get("/")
def index() -> Response:
    settings = collaborators().settings
    page = render_template_string(PAGE, version=settings.moorage_version, environment=settings.moorage_env)
    answer = Response(page, mimetype="text/html")
    answer.headers["Content-Security-Policy"] = STYLE_ALONE
    return answer
