"""Caddy with the role's own configuration writes no token anywhere: not in its access log, not where errors go."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.roles.proxying import Proxy, proxying

PARAMETERS = ["token", "access_token", "code", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token"]
HEADERS = [
    "Authorization", "authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Request-Id", "Idempotency-Key",
]  # fmt: skip


@pytest.fixture(scope="module")
def proxy(render, tmp_path_factory) -> Iterator[Proxy]:
    with proxying(render, tmp_path_factory.mktemp("log"), tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.mark.parametrize(("path", "status"), [("/api/v1/agents/ws", 302), ("/dead", 502), ("/cut", 502)])
def test_no_parameter_that_opens_something_is_written(proxy: Proxy, path: str, status: int) -> None:
    canary, plain = secrets.token_hex(8), secrets.token_hex(8)
    query = "&".join([f"plain={plain}", *(f"{name}={canary}" for name in PARAMETERS)])
    assert proxy.get(f"{path}?{query}", Referer=f"https://console.test/?{query}") == status
    assert canary not in proxy.until_written(plain)


@pytest.mark.parametrize(("path", "status"), [("/", 302), ("/dead", 502), ("/cut", 502)])
@pytest.mark.parametrize("header", HEADERS)
def test_no_header_that_opens_something_is_written(proxy: Proxy, header: str, path: str, status: int) -> None:
    canary, plain = secrets.token_hex(8), secrets.token_hex(8)
    assert proxy.get(f"{path}?plain={plain}", **{header: f"Bearer {canary}"}) == status
    assert canary not in proxy.until_written(plain)


def test_errors_are_still_written(proxy: Proxy) -> None:
    assert proxy.get("/dead?plain=here") == 502
    text = proxy.until_written('"logger":"http.log.error')
    assert "connection refused" in text
