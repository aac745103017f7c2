"""The page for people: every operation is on it, and a browser needs nothing else."""

from __future__ import annotations

import html
import re

from flask.testing import FlaskClient


def test_every_operation_is_on_the_page_with_its_codes(client: FlaskClient) -> None:
    page, served = client.get("/api/v1/docs"), client.get("/api/v1/openapi.json").json
    assert page.status_code == 200 and page.mimetype == "text/html" and served is not None
    text = html.unescape(page.text)
    for path, item in served["paths"].items():
        for method, op in item.items():
            assert f'<details id="{op["operationId"]}">' in text
            assert f'{method.upper()}</span>{path}</code> {op["summary"]}' in text
            for answer in op["responses"].values():
                assert answer["description"] in text


def test_every_field_of_a_body_is_on_the_page_and_words_between_backticks_are_code(client: FlaskClient) -> None:
    text = client.get("/api/v1/docs").text
    login = text[text.index("/auth/login</code>") :].partition("</details>")[0]
    assert "<td><code>email</code> (required)</td>" in login and "<td><code>totp</code></td>" in login
    assert "<code>tenant_id</code> chooses between tenants" in login
    assert "`" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)


def test_it_loads_nothing_and_runs_nothing(client: FlaskClient) -> None:
    page = client.get("/api/v1/docs")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\(", page.text)


def test_its_links_lead_somewhere(client: FlaskClient) -> None:
    text = client.get("/api/v1/docs").text
    links = set(re.findall(r'href="([^"]+)"', text))
    assert len(links) > 10
    for link in links:
        assert f'id="{link[1:]}"' in text if link.startswith("#") else client.get(link).status_code == 200


def test_it_is_not_sent_again_to_who_has_it(client: FlaskClient) -> None:
    etag = client.get("/api/v1/docs").headers["ETag"]
    assert client.get("/api/v1/docs", headers={"If-None-Match": etag}).status_code == 304
