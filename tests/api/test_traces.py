"""Traces reach a real receiver, say what a request did, and hold nothing that it was asked with."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.api.people import Person, Town, data, its, running
from tests.api.processes import await_ready, launch
from tests.api.serving.conftest import kill
from webapp.local.ports import free_port
from webapp.settings import CHECKOUT, Settings, inherited

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Receiver:
    """What an OTLP collector was sent."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> list[Span]:
        scopes = [scope for sent in self.requests for of in sent.resource_spans for scope in of.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def of(self, request_id: str) -> tuple[Span, list[Span]]:
        """A request's span, and those of its statements."""
        [asked] = [span for span in self.spans if said(span).get("moorage.request_id") == request_id]
        return asked, [span for span in self.spans if span.parent_span_id == asked.span_id]


def said(span: Span) -> dict[str, str]:
    """A span's attributes, all as texts."""
    return {one.key: one.value.string_value or str(one.value.int_value) for one in span.attributes}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.paths.append(self.path)
            made.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def traced(settings: Settings, environment: dict[str, str], receiver: Receiver) -> Iterator[Town]:
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}"}
    with running(Settings.parse(environment | where)) as app:
        yield Town.found(app)


def sent(town: Town) -> None:
    tracing = its(town.app).tracing
    assert tracing is not None
    tracing.flush()


def test_a_request_has_a_span_and_each_of_its_statements_one(traced: Town, receiver: Receiver) -> None:
    asked = str(uuid4())
    assert traced.admin.call("GET /api/v1/projects", headers={"X-Request-ID": asked}).status_code == 200
    sent(traced)
    span, statements = receiver.of(asked)
    assert span.name == "GET /api/v1/projects" and span.kind == Span.SPAN_KIND_SERVER
    assert said(span) == {
        "http.request.method": "GET",
        "http.route": "/api/v1/projects",
        "http.response.status_code": "200",
        "moorage.request_id": asked,
    }
    assert statements and {one.trace_id for one in statements} == {span.trace_id}
    for one in statements:
        assert span.start_time_unix_nano <= one.start_time_unix_nano <= one.end_time_unix_nano
        assert said(one)["db.query.text"]
    assert any(one.name == "SELECT" for one in statements)
    assert set(receiver.paths) == {"/v1/traces"}
    [told] = {one.value.string_value for one in receiver.requests[0].resource_spans[0].resource.attributes
              if one.key == "service.name"}  # fmt: skip
    assert told == "moorage"


def test_a_callers_trace_goes_on_and_the_answer_names_it(traced: Town, receiver: Receiver) -> None:
    asked = str(uuid4())
    headers = {"X-Request-ID": asked, "traceparent": CALLER}
    answer = traced.admin.call("GET /api/v1/projects", headers=headers)
    sent(traced)
    span, _ = receiver.of(asked)
    version, trace_id, span_id, sampled = answer.headers["traceparent"].split("-")
    assert (version, trace_id, sampled) == ("00", CALLER.split("-")[1], "01")
    assert (span.trace_id.hex(), span.span_id.hex()) == (trace_id, span_id)
    assert span.parent_span_id.hex() == CALLER.split("-")[2]


@pytest.mark.parametrize("odd", ["", "canary", "00-zz-zz-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 5000])
def test_an_odd_traceparent_is_none(traced: Town, odd: str) -> None:
    answer = traced.admin.call("GET /api/v1/projects", headers={"traceparent": odd})
    assert answer.status_code == 200 and len(answer.headers["traceparent"]) == len(CALLER)


def test_probes_have_no_spans(traced: Town, receiver: Receiver) -> None:
    client = traced.app.test_client()
    for path in ("/metrics", "/api/v1/health", "/api/v1/health/live", "/api/v1/health/ready"):
        assert "traceparent" not in client.get(path).headers
    sent(traced)
    assert receiver.spans == []


def test_what_is_refused_has_its_status_and_only_our_faults_are_errors(traced: Town, receiver: Receiver) -> None:
    nobody, lost = str(uuid4()), str(uuid4())
    client = traced.app.test_client()
    client.get("/api/v1/projects", headers={"X-Request-ID": nobody})
    client.get("/no/such/path/canary", headers={"X-Request-ID": lost})
    sent(traced)
    span, _ = receiver.of(nobody)
    assert said(span)["http.response.status_code"] == "401" and span.status.code == 0
    assert receiver.of(lost)[0].name == "GET (unmatched)"


def test_nothing_that_a_request_was_asked_with_is_in_a_trace(traced: Town, receiver: Receiver) -> None:
    canary = f"canary{uuid4().hex}"
    secret = {"label": canary, "ciphertext": canary, "key_id": canary, "nonce": canary}
    assert traced.admin.post("/api/v1/secrets", secret).status_code == 201
    traced.admin.get(f"/api/v1/projects?q={canary}&token={canary}")
    traced.admin.call("GET /api/v1/projects", headers={"Cookie": canary, "X-Api-Key": canary, "User-Agent": canary})
    traced.admin.call("GET /api/v1/projects", headers={"baggage": f"a={canary}", "tracestate": f"a={canary}"})
    traced.admin.get(f"/api/v1/secrets/{canary}/meta")
    traced.admin.get(f"/{canary}")
    Person(traced.app.test_client(), canary).get("/api/v1/auth/whoami")
    credentials = {"email": f"{canary}@example.com", "password": canary}
    traced.app.test_client().post("/api/v1/auth/login", json=credentials)
    vm = {"vm_uuid": canary, "vm_name": canary, "metadata": {"note": canary}}
    data(traced.admin.post("/api/v1/vm/register", vm), 201)
    sent(traced)
    names = {span.name for span in receiver.spans}
    assert {"POST /api/v1/secrets", "POST /api/v1/auth/login", "POST /api/v1/vm/register"} <= names
    everything = b"".join(receiver.bodies)
    # W3C has its state handed on; that is what it is for, and no more than what the caller wrote there.
    everything = everything.replace(f"a={canary}".encode(), b"")
    assert canary.encode() not in everything
    for held in (traced.admin.token, its(traced.app).settings.session_secret.reveal(), "Bearer"):
        assert held.encode() not in everything


def test_a_receiver_that_is_away_costs_nobody_an_answer(
    settings: Settings, environment: dict[str, str], receiver: Receiver
) -> None:
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    with running(Settings.parse(environment | where)) as app:
        town = Town.found(app)
        assert all(town.admin.get("/api/v1/projects").status_code == 200 for _ in range(5))


OFF = """
import sys
from webapp import create_app
app = create_app()
app.test_client().get("/api/v1/health/live")
loaded = [name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "google")]
print(sorted(loaded)[:3] or "nothing")
"""


@pytest.mark.parametrize(
    ("given", "outcome"), [({}, "nothing"), ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "google")]
)
def test_where_traces_are_off_nothing_of_them_is_loaded(
    settings: Settings, environment: dict[str, str], given: dict[str, str], outcome: str
) -> None:
    command = [sys.executable, "-c", OFF]
    variables = inherited(**environment, **given)
    done = subprocess.run(command, cwd=CHECKOUT, env=variables, capture_output=True, text=True, check=True)
    assert outcome in done.stdout


@pytest.mark.parametrize("process", ["api", "sockets"])
def test_the_processes_that_serve_send_theirs(
    settings: Settings, environment: dict[str, str], receiver: Receiver, tmp_path: Path, process: str
) -> None:
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}"}
    served = await_ready(launch(process, environment | where, tmp_path), process)
    try:
        asked = str(uuid4())
        request = urllib.request.Request(f"http://127.0.0.1:{served.port}/", headers={"X-Request-ID": asked})
        urllib.request.urlopen(request, timeout=10).read()
        served.popen.send_signal(signal.SIGTERM)
        assert served.popen.wait(20) == 0
        assert receiver.of(asked)[0].name == "GET /"  # what was not sent yet is sent at the stop
    finally:
        kill(served.popen)
