"""Caddy takes for a request's id what the control plane takes, and writes it beside the request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.roles.proxying import Proxy, proxying
from webapp.access import sane_id

IDS = [
    "a",
    str(UUID(int=7)),
    "0af7651916cd43dd8448eb211c80319c",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "web:42.3_b-c",
    "y" * 128,
    "y" * 129,
    "-begins-with-a-dash",
    "two words",
    "semi;colon",
    "Bearer 0123456789abcdef",
    "ma_" + "k" * 40,
    "id:mk_" + "k" * 40,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "ABCD-1234-EFGH-5678",
    "abcd-1234-efgh-5678",
]


@pytest.fixture(scope="module")
def proxy(render, tmp_path_factory) -> Iterator[Proxy]:
    with proxying(render, tmp_path_factory.mktemp("log"), tmp_path_factory.mktemp("home")) as running:
        yield running


def line(proxy: Proxy, plain: str, logger: str = "") -> dict[str, Any]:
    """The access log's line of a request."""
    lines = proxy.until_written(plain).splitlines()
    found = [json.loads(one) for one in lines if plain in one and '"handled request"' in one]
    return next(one for one in found if one["logger"].endswith(logger))


@pytest.mark.parametrize("sent", IDS)
def test_caddy_and_the_control_plane_take_the_same_for_an_id(proxy: Proxy, sent: str) -> None:
    plain = uuid4().hex
    answer = proxy.ask(f"/?plain={plain}", {"X-Request-Id": sent})
    took = answer.headers["X-Came-With-Id"]
    assert took == sent if sane_id(sent) else UUID(took)
    assert sane_id(took) == took
    assert answer.headers["X-Request-Id"] == took == line(proxy, plain)["request_id"]


def test_a_request_without_an_id_gets_one_of_its_own(proxy: Proxy) -> None:
    first, second = (proxy.ask("/", {}).headers["X-Came-With-Id"] for _ in range(2))
    assert UUID(first) != UUID(second)


@pytest.mark.parametrize(
    ("query", "headers", "taken"),
    [
        ("request_id=from-query", {}, "from-query"),
        ("request_id=from-query", {"X-Request-Id": "from-header"}, "from-header"),
        ("request_id=two%20words", {}, None),
        ("request_id=a%7Cb", {}, None),
        ("request_id=", {}, None),
    ],
)
def test_a_query_carries_it_where_no_header_can(
    proxy: Proxy, query: str, headers: dict[str, str], taken: str | None
) -> None:
    took = proxy.ask(f"/api/v1/agents/ws?{query}", headers).headers["X-Came-With-Id"]
    assert took == taken if taken else UUID(took)


def test_an_error_has_its_id_too(proxy: Proxy) -> None:
    plain = uuid4().hex
    answer = proxy.ask(f"/dead?plain={plain}", {"X-Request-Id": "met-an-error"})
    assert answer.status == 502
    assert line(proxy, plain)["request_id"] == "met-an-error"


def test_the_journal_has_a_short_line_of_each_request(proxy: Proxy) -> None:
    plain = uuid4().hex
    proxy.ask(f"/?plain={plain}&token=canary", {"X-Request-Id": "short", "User-Agent": "somebody"})
    said = line(proxy, plain, "requests")
    assert {"request_id", "status", "duration"} <= set(said) and "canary" not in said["request"]["uri"]
    assert "headers" not in said["request"] and "resp_headers" not in said
