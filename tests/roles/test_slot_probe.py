"""A new slot is asked what users will ask it, before any of them is sent there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

API, APP = "https://api.acme.test", "https://app.acme.test"
STORE = "https://s3.acme.test/shop/"
CHANGES = {"controlplane": {"slot": "green", "definition": {"services": {"api": {}, "sockets": {}, "worker": {}}}}}
SHOP = {"shop": {"slot": "blue", "definition": {"services": {"shop": {}}}}}
CHECKS = [
    {"url": f"{API}/api/v1/health/ready", "json": {"data.ready": "True"}},
    {"url": f"{API}/metrics", "status": 404},
    {"url": f"{API}/api/v1/agents/ws?agent_id=probe", "status": 401, "headers": {"Upgrade": "websocket"}},
    {"url": f"{APP}/", "status": 200},
    {"url": f"{APP}/api/v1/health", "status": 200},
    {"url": STORE, "status": 403},
]


@pytest.fixture
def asked(plugin):
    """Filter: checks of the product's sites to those of new slots, as (service, url)."""
    services = {"shop": {"host": "app", "port": 80, "routes": [{"paths": ["/api/v1/*"], "to": "api:8000"}]}}
    sites = plugin("filter", "sites").sites("acme.test", services, "object-store:8000")
    return lambda changes: plugin("filter", "slot_checks").inside_checks(CHECKS, sites, changes)


def test_each_question_goes_to_the_service_that_the_proxy_would_send_it_to(asked):
    assert [(check["service"], check["url"]) for check in asked(CHANGES)] == [
        ("api-green", "http://api.acme.test:8000/api/v1/health/ready"),
        ("sockets-green", "http://api.acme.test:8000/api/v1/agents/ws?agent_id=probe"),
        ("api-green", "http://app.acme.test:8000/api/v1/health"),
    ]
    assert [(check["service"], check["url"]) for check in asked(SHOP)] == [("shop-blue", "http://app.acme.test:80/")]
    assert asked({}) == []


def test_it_is_asked_under_the_sites_own_name_and_expected_to_answer_the_same(asked):
    ready, handshake, _ = asked(CHANGES)
    assert ready["json"] == {"data.ready": "True"}
    assert handshake["status"] == 401
    assert handshake["headers"] == {"Upgrade": "websocket", "Host": "api.acme.test", "X-Forwarded-Proto": "https"}


@pytest.fixture
def slot() -> Iterator[int]:
    """A slot that answers 200 to its own name, and 500 to any other."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers["Host"] == "app.acme.test" else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_answers_wrongly_is_named(plugin, slot):
    module = plugin("modules", "slot_probe")
    check = {"service": "shop-blue", "url": f"http://app.acme.test:{slot}/", "headers": {"Host": "app.acme.test"}}
    right, wrong = module.answers([check, {**check, "headers": {}}], {"shop-blue": "127.0.0.1"}, 0)
    assert right["ok"]
    assert not wrong["ok"] and "status 500, expected 200" in wrong["problem"]


def test_a_containers_address_is_that_of_any_network_it_is_on(plugin):
    networks = {"moorage_data": {"IPAddress": ""}, "moorage_app": {"IPAddress": "172.20.0.5"}}
    address = plugin("modules", "slot_probe").address
    assert address({"NetworkSettings": {"Networks": networks}}) == "172.20.0.5"
    assert address({"NetworkSettings": {"Networks": {}}}) == ""
