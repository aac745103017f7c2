"""A browser that signs in by way of a provider."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.api.auth.provider import Provider
from tests.api.auth.test_login import AUTH
from tests.api.people import its
from webapp.auth import users

both = pytest.mark.parametrize("name", ["github", "google"])
Make = Callable[..., Flask]


def start(client: FlaskClient, name: str, query: str = "") -> TestResponse:
    return client.get(f"{AUTH}/oauth/{name}/start{query}")


def come_back(client: FlaskClient, name: str, brought: dict[str, str]) -> TestResponse:
    return client.get(f"{AUTH}/oauth/{name}/callback", query_string=brought)


def consented(client: FlaskClient, name: str, provider: Provider, query: str = "") -> dict[str, str]:
    """What the browser brings back from the provider."""
    went = start(client, name, query)
    assert went.status_code == 302, went.text
    return provider.consent(went.headers["Location"])


def sign_in(client: FlaskClient, name: str, provider: Provider, query: str = "") -> TestResponse:
    return come_back(client, name, consented(client, name, provider, query))


def linked(app: Flask, provider: Provider) -> list[str]:
    """The identities that are linked with the user of the account's address."""
    with its(app).database.transaction() as session:
        assert users.by_email(session, provider.account.email)
        return list(session.execute(text("SELECT identity FROM auth_identities")).scalars())
