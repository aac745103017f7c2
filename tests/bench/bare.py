"""The yardstick: a bare WSGI function that runs the same SQL over the same pool under the same server.

No routing, no schemas, no tokens, no limits, no log, no metrics: what is left is gunicorn, the pool, PostgreSQL, and
the JSON of as many bytes as ours. What it is to ask the database is handed over in BENCH_FACTS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import orjson
from flask import Flask
from sqlalchemy import text

from webapp import create_app
from webapp.artifacts.resolving import FACTS
from webapp.audit.service import INSERT
from webapp.auth.service import STANDING
from webapp.collaborators import Collaborators
from webapp.licensing.leases import BEAT
from webapp.serving import api, http
from webapp.settings import Settings

Answer = Callable[[Collaborators, UUID, dict[str, Any]], Any]
_COLUMNS = "id, tenant_id, module, platform, channel, version, object_key, sha256, size_bytes, status"
_LIST = text(f"SELECT {_COLUMNS}, created_at, updated_at, count(*) OVER () FROM artifact_releases"
             " ORDER BY id DESC LIMIT 50")  # fmt: skip


def heartbeat(its: Collaborators, tenant: UUID, facts: dict[str, Any]) -> Any:
    [row] = its.database.at_once(BEAT, facts["beat"], tenant=tenant)
    return {"lease_id": row.id, "status": row.status, "expires_at": row.until, "token": facts["lease_token"]}


def resolve(its: Collaborators, tenant: UUID, facts: dict[str, Any]) -> Any:
    [row] = its.database.at_once(FACTS, facts["facts"], tenant=tenant)
    its.depot.presence.size(row.object_key)
    [written] = its.database.at_once(INSERT + " RETURNING id", facts["row"], tenant=tenant)
    return {"download_url": facts["url"], "release_id": row.release_id, "sha256": row.sha256, "id": written.id}


def releases(its: Collaborators, tenant: UUID, facts: dict[str, Any]) -> Any:
    with its.database.transaction(tenant) as session:
        session.execute(text("SELECT * FROM " + STANDING.replace("%(", ":").replace(")s", "")), facts["standing"])
        return [dict(row._mapping) for row in session.execute(_LIST)]


BARE: dict[str, Answer] = {"/heartbeat": heartbeat, "/resolve": resolve, "/releases": releases}


class Bare:
    """The WSGI application; `extensions` are what our worker asks of a Flask application."""

    def __init__(self, app: Flask) -> None:
        self._its: Collaborators = app.extensions["moorage"]
        self.extensions = app.extensions
        self._facts = orjson.loads(os.environ["BENCH_FACTS"])
        self._tenant = UUID(self._facts["tenant"])

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = BARE.get(environ["PATH_INFO"])
        if length := int(environ.get("CONTENT_LENGTH") or 0):
            orjson.loads(environ["wsgi.input"].read(length))
        made = answer(self._its, self._tenant, self._facts) if answer else {}
        body = orjson.dumps({"success": True, "data": made})
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


if __name__ == "__main__":
    made = create_app
    http.create_app = lambda settings=None: Bare(made(settings))  # type: ignore[attr-defined]
    api.main(Settings.load(), "127.0.0.1")
