"""What signing in elsewhere needs: a provider, applications that know it, and somebody whom both know."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from flask import Flask

from tests.api.auth.provider import Provider
from tests.api.auth.signing_in import Make
from tests.api.auth.test_login import resident
from tests.api.people import Town
from webapp import create_app
from webapp.settings import Settings


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as made:
        made.account.number = int(uuid4().int % 10**12)
        yield made


@pytest.fixture
def make(environment: dict[str, str], settings: Settings, provider: Provider) -> Iterator[Make]:
    """An application that knows the provider, with further changes."""
    made: list[Flask] = []

    def one(**changes: str) -> Flask:
        made.append(create_app(Settings.parse(environment | provider.variables | changes)))
        return made[-1]

    yield one
    for app in made:
        app.extensions["moorage.bus"].stop()
        app.extensions["moorage"].database.engine.dispose()


@pytest.fixture
def ada(town: Town, provider: Provider) -> str:
    """A user of the tenant whose address the provider has verified."""
    provider.account.email = resident(town, "infra")
    return provider.account.email
