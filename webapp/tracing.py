"""Traces: a span for each request, one for each of its statements, sent by OTLP over HTTP.

Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set: the libraries cost memory and start-up time. The spans are made
here and not by OpenTelemetry's instrumentation of Flask and SQLAlchemy: that writes down URLs with their queries, and
does not see the statements of hot paths, which go around SQLAlchemy (decision 0017). What is written down is named
here, piece by piece: no URL, no header, no value of a statement, no text of an error.
"""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar

from flask import Flask, Response, g, request
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from webapp import metrics
from webapp.access import PROBES, route_template
from webapp.redaction import redact_text
from webapp.settings import Settings

# A collector that is away must neither hold up a stop nor fill the memory: what does not fit is dropped.
SECONDS, QUEUE = 2, 2048
LONGEST_STATEMENT = 2000
_NANO = 1_000_000_000
_W3C = TraceContextTextMapPropagator()
# The span of the request that this thread or greenlet answers.
_asked: ContextVar[Span | None] = ContextVar("span of the request", default=None)


class Tracing:
    """Makes spans, once the process that answers has forked: threads that send do not survive a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._provider: TracerProvider | None = None

    @property
    def tracer(self) -> Tracer:
        with self._lock:
            if self._provider is None:
                self._provider = self._made()
            return self._provider.get_tracer("moorage")

    def _made(self) -> TracerProvider:
        told = {"service.name": "moorage", "service.version": self._settings.moorage_version}
        provider = TracerProvider(resource=Resource(told))
        url = f"{self._settings.otel_exporter_otlp_endpoint}/v1/traces"
        exporter = OTLPSpanExporter(endpoint=url, timeout=SECONDS)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE))
        return provider

    def flush(self) -> None:
        """Send what there is."""
        if self._provider is not None:
            self._provider.force_flush(SECONDS * 1000)

    def register(self, app: Flask) -> None:
        """Requests have spans from now on. After access: they carry the request's id."""
        app.before_request(self._begin)
        app.after_request(_answered)
        app.teardown_request(_end)

    def _begin(self) -> None:
        rule = request.url_rule
        # A socket's span would last for hours, a probe's would come every few seconds.
        if rule is not None and (rule.websocket or rule.rule in PROBES):
            return
        before: Context = _W3C.extract({name.lower(): value for name, value in request.headers.items()})
        known = {"http.request.method": request.method, "http.route": route_template()}
        name = f"{known['http.request.method']} {known['http.route']}"
        span = self.tracer.start_span(name, before, SpanKind.SERVER, known | {"moorage.request_id": g.request_id})
        g.span, g.span_token = span, _asked.set(span)


class TracedMeter(metrics.Meter):
    """Counts, and gives each statement of a request a span."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def took(self, seconds: float, statement: str) -> None:
        """A statement was answered: only its text with placeholders is written down."""
        super().took(seconds, statement)
        if (asked := _asked.get()) is None:
            return
        ended, text = time.time_ns(), " ".join(statement.split())
        known = {"db.system.name": "postgresql", "db.query.text": redact_text(text)[:LONGEST_STATEMENT]}
        name, within = text.partition(" ")[0].upper() or "BEGIN", trace.set_span_in_context(asked)
        began = ended - int(seconds * _NANO)
        self._tracing.tracer.start_span(name, within, SpanKind.CLIENT, known, start_time=began).end(ended)


def _answered(response: Response) -> Response:
    span: Span | None = g.get("span")
    if span is not None:
        span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= 500:
            span.set_status(StatusCode.ERROR)
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(span))
        response.headers["traceparent"] = carrier["traceparent"]
    return response


def _end(error: BaseException | None) -> None:
    span: Span | None = g.pop("span", None)
    if span is None:
        return
    if error is not None:
        span.set_attribute("error.type", type(error).__name__)
    span.end()
    _asked.reset(g.pop("span_token"))
