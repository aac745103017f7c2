"""Structured logs: one JSON object a line, redacted, whoever in the process wrote it.

On stderr: stdout belongs to what a command prints."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson

from webapp.redaction import redact, redact_text
from webapp.responses import rfc3339

# Set at the start of a request, so that every line written on its behalf can be found by it.
request_id: ContextVar[str | None] = ContextVar("request id", default=None)

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """`{ts, level, logger, message, request_id?, …extra, error?}`; the last place before the stream, so it redacts."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact_text(record.getMessage()),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = redact_text(current)
        line |= {name: redact(value, name=name) for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["error"] = redact_text(self.formatException(record.exc_info))
        try:
            return orjson.dumps(line).decode()
        except TypeError:  # half a surrogate pair, a number past 64 bits
            return json.dumps(line)


def log_config(level: str) -> dict[str, Any]:
    """For logging.config.dictConfig, gunicorn's own loggers included."""
    quiet = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": quiet | {"level": level},
            # Every request has its own line from webapp.access, which knows the route and leaves the query out.
            "gunicorn.access": quiet | {"level": "CRITICAL"},
            "urllib3": quiet | {"level": "ERROR"},
            "procrastinate": quiet | {"level": "WARNING" if level == "INFO" else level},
            "alembic": quiet | {"level": level},
        },
    }


def configure_logs(level: str) -> None:
    logging.config.dictConfig(log_config(level))


def log_the_uncaught() -> None:
    """For a process of its own: what nobody catches is logged too. Python itself would print it past the formatter."""
    # A line that cannot be written would be printed with its arguments.
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_a_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("moorage").critical("nobody caught this", exc_info=(kind, error, trace))


def _uncaught_in_a_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        _uncaught(ended.exc_type, ended.exc_value, ended.exc_traceback)
