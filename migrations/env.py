"""Alembic's environment. The connection comes from webapp.database.migrations: there is no ini file to keep in step."""

from __future__ import annotations

from alembic import context

import webapp.agents.models
import webapp.artifacts.models
import webapp.audit.models
import webapp.auth.models
import webapp.auth.user_models
import webapp.commands.models
import webapp.cutover.models
import webapp.idempotency.models
import webapp.licensing.models
import webapp.projects.models
import webapp.tenants.models
import webapp.vaulting.models
from webapp.db import Base

# Named, so that importing for the sake of Base.metadata is no unused import: one line a room with tables.
ROOMS = (
    webapp.agents.models,
    webapp.artifacts.models,
    webapp.audit.models,
    webapp.auth.models,
    webapp.auth.user_models,
    webapp.commands.models,
    webapp.cutover.models,
    webapp.idempotency.models,
    webapp.licensing.models,
    webapp.projects.models,
    webapp.tenants.models,
    webapp.vaulting.models,
)
# procrastinate's tables are its own; their schema comes as a whole (0002) and has no models here.
FOREIGN = "procrastinate_"


def ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not (name or "").startswith(FOREIGN)


context.configure(
    connection=context.config.attributes["connection"],
    on_version_apply=context.config.attributes["on_version_apply"],
    target_metadata=Base.metadata,
    include_name=ours,
    # A migration that fails leaves those before it done, and itself undone.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
