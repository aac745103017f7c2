"""The API and the sockets as processes: they stop gracefully, stay alive beside what hangs, and count together."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import ANY

import pytest

from tests.api.relay import Relay
from tests.api.serving.conftest import LIVE, READY, Serve, Served

KINDS = pytest.mark.parametrize("process", ["api", "sockets"])


def until_refused(served: Served) -> None:
    """gunicorn's gevent worker looks once a second whether it is to stop."""
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            served.get(LIVE)
        except OSError:
            return
        time.sleep(0.1)
    raise AssertionError("it still takes new requests 3 s after SIGTERM")


@KINDS
def test_a_request_that_runs_is_finished_after_sigterm_and_new_ones_are_refused(
    serve: Serve, relays: tuple[Relay, Relay], process: str
) -> None:
    served = serve(process, READINESS_TIMEOUT_SECONDS="5")
    relays[1].hang()  # readiness now takes its whole time-out: a slow request
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(served.get, READY)
        time.sleep(0.5)
        began = time.monotonic()
        served.popen.send_signal(signal.SIGTERM)
        until_refused(served)
        status, body = slow.result()
    assert status == 503 and body["data"]["checks"]["object_store"]["status"] == "down"
    assert served.popen.wait(30) == 0
    assert 1 < time.monotonic() - began < 30


@KINDS
@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /?q=" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "URI_TOO_LONG"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * 9000 + b"\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
        (b"nonsense\r\n\r\n", 400, "BAD_REQUEST"),
        (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         b"Transfer-Encoding: chunked\r\n\r\nzz\r\nfoo\r\n0\r\n\r\n", 400, "INVALID_JSON"),
        (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n", 400, "INVALID_JSON"),
        (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n"
         + b"".join(b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(17)) + b"0\r\n\r\n",
         413, "PAYLOAD_TOO_LARGE"),
    ],
    ids=["long line", "long header", "no HTTP", "no chunk", "a chunk without its end", "many chunks"],
)  # fmt: skip
def test_what_is_hardly_http_is_refused_as_everything_else(
    serve: Serve, process: str, sent: bytes, status: int, code: str
) -> None:
    served = serve(process)
    with contextlib.closing(socket.create_connection(("127.0.0.1", served.port), 10)) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = json.loads(answer.read())
    assert (answer.status, body["success"], body["error"]["code"]) == (status, False, code)
    assert answer.headers["X-Request-ID"] and answer.headers["Content-Type"] == "application/json"
    assert '"status":500' not in served.output.read_text()


@KINDS
def test_an_idle_connection_does_not_hold_up_a_stop(serve: Serve, process: str) -> None:
    served = serve(process)
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    connection.request("GET", LIVE)
    connection.getresponse().read()
    began = time.monotonic()
    served.popen.send_signal(signal.SIGTERM)
    assert served.popen.wait(30) == 0
    assert time.monotonic() - began < 5


@KINDS
def test_it_stays_alive_while_the_database_says_nothing(
    serve: Serve, relays: tuple[Relay, Relay], process: str
) -> None:
    served = serve(process, READINESS_TIMEOUT_SECONDS="3")
    assert served.get(READY) == (200, ANY)
    relays[0].hang()
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(served.get, READY) for _ in range(4)]
        time.sleep(0.3)
        for _ in range(5):
            began = time.monotonic()
            assert served.get(LIVE)[0] == 200
            assert time.monotonic() - began < 0.5, "one process's greenlets or threads must not wait for another's"
        assert [one.result()[0] for one in waiting] == [503] * 4
    relays[0].resume()
    assert served.get(READY)[0] == 200


@KINDS
@pytest.mark.parametrize(
    ("headers", "code"), [({}, "MISSING_BEARER_TOKEN"), ({"Authorization": "Bearer unknown"}, "TOKEN_INVALID")]
)
def test_the_upgrade_of_an_unknown_agent_is_refused_on_the_wire(
    serve: Serve, process: str, headers: dict[str, str], code: str
) -> None:
    served = serve(process)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    connection.request("GET", "/api/v1/agents/ws", headers=upgrade | {"Sec-WebSocket-Key": "a" * 22 + "=="} | headers)
    answer = connection.getresponse()
    assert answer.status == 401 and json.loads(answer.read())["error"]["code"] == code
    connection.close()


def test_several_workers_count_together(serve: Serve) -> None:
    served = serve("api", API_WORKERS="2")
    threads = [threading.Thread(target=served.get, args=("/nowhere",)) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = 'moorage_http_requests_total{method="GET",route="(unmatched)",status="404"} 24.0'
    for _ in range(6):  # whichever worker answers
        assert line in served.get("/metrics")[1]


@KINDS
def test_every_line_is_json_and_holds_no_secret(serve: Serve, relayed: dict[str, str], process: str) -> None:
    served = serve(process, LOG_LEVEL="DEBUG")
    served.get(READY)
    served.get("/ws/v1/agents/connect?token=canary-token-in-a-query")
    served.popen.send_signal(signal.SIGTERM)
    served.popen.wait(30)
    lines = served.lines()
    assert {"gunicorn.error", "moorage.access"} <= {line["logger"] for line in lines}
    text = served.output.read_text()
    assert "canary-token" not in text
    for name in ("SESSION_SECRET", "LICENSE_LEASE_SECRET", "S3_SECRET_ACCESS_KEY"):
        assert relayed[name] not in text


@KINDS
def test_a_bad_setting_stops_the_start_and_is_named(serve: Serve, process: str) -> None:
    with pytest.raises(AssertionError, match="SESSION_SECRET must be 32 to 512"):
        serve(process, SESSION_SECRET="short")
