"""What Caddy serves by itself, out of a folder, asks nothing of what may be down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.roles.proxying import Proxy, proxying


@pytest.fixture(scope="module")
def proxy(render, tmp_path_factory) -> Iterator[Proxy]:
    with proxying(render, tmp_path_factory.mktemp("log"), tmp_path_factory.mktemp("home")) as running:
        running.static.mkdir()
        (running.static / "index.html").write_text("<h1>here</h1>")
        (running.static / "status.json").write_text("{}")
        yield running


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/status.json", 200), ("/other.json", 404), ("/../x", 404)])
def test_it_serves_what_is_in_the_folder(proxy: Proxy, path: str, status: int) -> None:
    assert proxy.ask(path, port=proxy.static_port).status == status


def test_the_page_may_load_nothing_but_its_own_style(proxy: Proxy) -> None:
    answer = proxy.ask("/", port=proxy.static_port)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    assert answer.headers["Cache-Control"] == "public, max-age=30"
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and "Server" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_takes_nothing(proxy: Proxy, method: str) -> None:
    assert proxy.ask("/", method=method, port=proxy.static_port).status == 405
