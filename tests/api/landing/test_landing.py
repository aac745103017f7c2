"""The landing page."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from webapp.settings import Settings


def test_it_says_what_this_is_and_which_version(client: FlaskClient, settings: Settings) -> None:
    page = client.get("/")
    assert page.mimetype == "text/html"
    assert "control plane" in page.text and settings.moorage_version in page.text
    assert "/api/v1/health" in page.text


def test_it_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/")
    assert not re.search(r"(src|href)=[\"'](https?:)?//", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_its_links_lead_somewhere(client: FlaskClient) -> None:
    for link in re.findall(r'href="([^"]+)"', client.get("/").text):
        assert client.get(link).status_code == 200
