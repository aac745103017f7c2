"""Who may not enter the agents' socket is refused before the upgrade."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

PATHS = ("/api/v1/agents/ws", "/ws/v1/agents/connect")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("given", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}])
def test_without_a_bearer_token(client: FlaskClient, path: str, given: dict[str, str]) -> None:
    answer = client.get(path, headers=UPGRADE | given)
    assert answer.status_code == 401
    assert answer.json["error"]["code"] == "MISSING_BEARER_TOKEN"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("where", ["header", "query"])
def test_with_a_token_that_was_never_issued(client: FlaskClient, path: str, where: str) -> None:
    headers = UPGRADE | ({"Authorization": "Bearer abc"} if where == "header" else {})
    answer = client.get(path, headers=headers, query_string={"token": "abc"} if where == "query" else {})
    assert answer.status_code == 401
    assert answer.json["error"]["code"] == "TOKEN_INVALID"
