"""What `create_app()` puts together: the collaborators, the rooms' routes, and what surrounds every request."""

from __future__ import annotations

from typing import cast

from flask import Flask
from flask.cli import AppGroup

from webapp import access, errors, metrics
from webapp.agents.routes import agents
from webapp.artifacts.routes import artifacts
from webapp.audit.routes import audit
from webapp.auth.account_routes import account
from webapp.auth.key_routes import keys
from webapp.auth.login_routes import logins
from webapp.auth.oauth_routes import sign_ins
from webapp.auth.routes import auth
from webapp.auth.totp_routes import second_factor
from webapp.cli import moorage
from webapp.collaborators import Collaborators
from webapp.commands import bus
from webapp.commands.infra import infra
from webapp.commands.routes import vm_ops
from webapp.commands.socket import sockets
from webapp.health.routes import health
from webapp.jobs.figures import QueueLength
from webapp.landing.routes import landing
from webapp.licensing.routes import licensing
from webapp.logs import configure_logs
from webapp.openapi.routes import openapi
from webapp.projects.routes import projects
from webapp.records.routes import records
from webapp.serving import channel
from webapp.settings import Settings
from webapp.tenants.routes import tenants
from webapp.vaulting.routes import vaulting

# The contract's limit for bodies, unless a route says otherwise.
BODY_LIMIT = 1024 * 1024
IDENTITY = (auth, logins, sign_ins, account, second_factor, keys, tenants, projects)
ROOMS = (
    landing, health, *IDENTITY, licensing, artifacts, agents, sockets, vm_ops, infra, vaulting, records, audit,
    openapi,
)  # fmt: skip


def wire(settings: Settings | None = None) -> Flask:
    """The application for these settings, or for the environment's. Raises SettingsError."""
    settings = settings or Settings.load()
    configure_logs(settings.log_level)
    app = Flask("webapp", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it, its interface not
    app.extensions["moorage"] = made = Collaborators.of(settings)
    errors.register(app, lambda kind: metrics.signature_failures.labels(kind).inc())
    access.register(app)
    if made.tracing is not None:
        made.tracing.register(app)
    metrics.register(app, QueueLength(made.database).collect)
    channel.register(app, metrics.open_sockets)
    bus.register(app, made.database, settings.database_url)
    for room in ROOMS:
        app.register_blueprint(room)
    app.cli = cast(AppGroup, moorage)  # `flask --app webapp …` and `moorage …` are the same commands
    return app
