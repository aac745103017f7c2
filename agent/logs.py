"""Structured logs on stderr: one JSON object a line, redacted at the last place before the stream."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

import orjson

from agent.redaction import redact, redact_text

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "websocket"}


class JsonLines(logging.Formatter):
    """`{ts, level, logger, message, …extra, error?}`."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "ts": when.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact_text(record.getMessage()),
        }
        line |= {name: redact(value, name=name) for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["error"] = redact_text(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


class SameWords(logging.Filter):
    """Lets a line that says the same again through once in ten minutes: a day offline is no reason for 5,000 lines."""

    SECONDS = 600.0

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[str, float] = ("", 0.0)

    def filter(self, record: logging.LogRecord) -> bool:
        words, now = record.getMessage(), time.monotonic()
        if words == self._last[0] and now - self._last[1] < self.SECONDS:
            return False
        self._last = (words, now)
        return True


def configure(level: str) -> None:
    """Sends every logger of the process to stderr as JSON; libraries speak only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in ("urllib3", "websockets", "keyring"):
        # Below WARNING these write headers down, the bearer among them.
        logging.getLogger(library).setLevel(logging.ERROR)
