"""Tenants and their people, made by the product's own services, and clients that speak for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from webapp import create_app
from webapp.auth import service as auth
from webapp.collaborators import Collaborators
from webapp.settings import Settings
from webapp.tenants import service as tenants


@dataclass(frozen=True)
class Person:
    """Whoever holds a bearer token. `user_id` is empty where the token is no user's."""

    client: FlaskClient
    token: str
    user_id: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def call(self, line: str, json: Any = None, *, headers: dict[str, str] | None = None, **given: Any) -> TestResponse:
        """`call("POST /api/v1/…", {…})`."""
        method, path = line.split()
        body = {} if json is None else {"json": json}
        return self.client.open(path, method=method, headers={**self.headers, **(headers or {})}, **body, **given)

    def get(self, path: str, **given: Any) -> TestResponse:
        return self.call(f"GET {path}", **given)

    def post(self, path: str, json: Any = None, **given: Any) -> TestResponse:
        return self.call(f"POST {path}", {} if json is None else json, **given)


@dataclass(frozen=True)
class Town:
    """A tenant with one person of each role."""

    app: Flask
    tenant: UUID
    people: dict[str, Person] = field(default_factory=dict)

    @classmethod
    def found(cls, app: Flask, name: str = "Acme") -> Town:
        tenant = uuid4()
        with its(app).database.transaction(tenant) as session:
            tenants.create_tenant(session, tenant_id=tenant, name=name)
        return cls(app, tenant)

    def person(self, role: str, user_id: str | None = None) -> Person:
        """The tenant's person of this role, or one with an id of their own."""
        user_id = user_id or f"{role}-1"
        if user_id not in self.people:
            secret = its(self.app).settings.session_secret
            with its(self.app).database.transaction(self.tenant) as session:
                made = auth.issue_token(
                    session, secret, tenant=self.tenant, user_id=user_id, role=role, lives=timedelta(hours=1)
                )
            self.people[user_id] = Person(self.app.test_client(), made.token.reveal(), user_id)
        return self.people[user_id]

    @property
    def admin(self) -> Person:
        return self.person("admin")

    @property
    def infra(self) -> Person:
        return self.person("infra")

    @property
    def member(self) -> Person:
        return self.person("member")

    @property
    def viewer(self) -> Person:
        return self.person("viewer")


@contextmanager
def running(settings: Settings) -> Iterator[Flask]:
    """An application, whose threads and connections end with the block."""
    made = create_app(settings)
    yield made
    made.extensions["moorage.bus"].stop()
    its(made).key_uses.stop()
    its(made).database.engine.dispose()


def its(app: Flask) -> Collaborators:
    made: Collaborators = app.extensions["moorage"]
    return made


def data(answer: TestResponse, status: int = 200) -> Any:
    """What a success says. Fails with the whole answer where it is another."""
    assert answer.status_code == status, answer.text
    assert answer.json is not None and answer.json["success"] is True
    return answer.json["data"]


def refusal(answer: TestResponse) -> tuple[int, str]:
    """The status and the code of a failure."""
    assert answer.json is not None and answer.json["success"] is False, answer.text
    return answer.status_code, answer.json["error"]["code"]
