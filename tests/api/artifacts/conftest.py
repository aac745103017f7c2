"""A tenant with everything that a download needs, each part of which a test may take away."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.api.people import Person, Town, data, its
from webapp.artifacts.presence import Presence

VM = "vm-0000-0001"


@dataclass
class Depot:
    """A release that `member-1` may fetch under a lease."""

    town: Town
    body: bytes
    release: dict[str, Any]
    lease: dict[str, Any]

    def resolve(self, by: Person | None = None, **changes: Any) -> TestResponse:
        asked = {"lease_token": self.lease["token"], "vm_uuid": VM, "module": "app", "platform": "linux", **changes}
        return (by or self.town.member).post("/api/v1/artifacts/resolve-download", asked)

    def sql(self, statement: str, **values: Any) -> Any:
        with its(self.town.app).database.transaction(self.town.tenant) as session:
            return session.execute(text(statement), values)

    def attempts(self) -> list[dict[str, Any]]:
        """The audit table's rows, the newest first."""
        return list(data(self.town.infra.get("/api/v1/artifacts/audit")))

    def forget(self) -> None:
        """What the process remembers of the bucket."""
        presence: Presence = its(self.town.app).depot.presence
        presence._seen.clear()


def released(town: Town, body: bytes, **changes: Any) -> dict[str, Any]:
    key = f"releases/{secrets.token_hex(8)}.bin"
    its(town.app).store.put(key, body, content_type="application/x-app")
    given = {"module": "app", "platform": "linux", "version": "1.0.0", "object_key": key,
             "sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body), **changes}  # fmt: skip
    return dict(data(town.infra.post("/api/v1/artifacts/releases", given), 201))


@pytest.fixture
def depot(town: Town) -> Depot:
    body = secrets.token_bytes(1000)
    release = released(town, body)
    scope = {"module": "app", "platform": "linux", "release_id": release["id"]}
    data(town.infra.post("/api/v1/artifacts/assign", scope), 201)
    data(town.admin.post("/api/v1/licenses", {"type": "perpetual"}), 201)
    data(town.admin.post("/api/v1/entitlements", {"user_id": "member-1", "module": "app"}), 201)
    data(town.member.post("/api/v1/vm/register", {"vm_uuid": VM}), 201)
    taken = {"vm_uuid": VM, "agent_id": "a", "runner_id": "r", "module": "app"}
    lease = data(town.member.post("/api/v1/license/lease", taken), 201)
    return Depot(town, body, release, lease)


