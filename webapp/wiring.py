"""What `create_app()` puts together: the collaborators, the rooms' routes, and what surrounds every request."""

from __future__ import annotations

from typing import cast

from flask import Flask
from flask.cli import AppGroup

from webapp import access, errors, metrics
from webapp.agents.routes import agents
from webapp.cli import moorage
from webapp.collaborators import Collaborators
from webapp.health.routes import health
from webapp.landing.routes import landing
from webapp.logs import configure_logs
from webapp.serving import channel
from webapp.settings import Settings

# The contract's limit for bodies, unless a route says otherwise.
BODY_LIMIT = 1024 * 1024


def wire(settings: Settings | None = None) -> Flask:
    """The application for these settings, or for the environment's. Raises SettingsError."""
    settings = settings or Settings.load()
    configure_logs(settings.log_level)
    app = Flask("webapp", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it, its interface not
    app.extensions["moorage"] = Collaborators.of(settings)
    errors.register(app)
    access.register(app)
    metrics.register(app)
    channel.register(app, metrics.open_sockets)
    for room in (landing, health, agents):
        app.register_blueprint(room)
    app.cli = cast(AppGroup, moorage)  # `flask --app webapp …` and `moorage …` are the same commands
    return app
