"""One request of the fuzz tests: sent to the application itself, kept in a file, shown as a command."""

from __future__ import annotations

import base64
import io
import json
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from flask import Flask
from werkzeug.test import create_environ, run_wsgi_app

# What nobody should wait for, and when the wait is given up.
SLOW_SECONDS, HANG_SECONDS = 5.0, 15.0
MOST_READ = 4_000_000


class Hang(Exception):
    """No answer came."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def mimetype(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip()


@dataclass(frozen=True)
class Asked:
    """`target`: path and query as they are on the wire. `by`: one of callers.CALLERS; who it is, is put in last, unless
    the headers have an Authorization of their own. `about`: what was done to it."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    by: str = "none"
    about: str = ""

    def bearing(self, token: str) -> Self:
        if not token or "Authorization" in self.headers:
            return self
        return replace(self, headers={**self.headers, "Authorization": f"Bearer {token}"})

    @property
    def path(self) -> bytes:
        return unquote_to_bytes(self.target.partition("?")[0])

    def send(self, app: Flask, *, patient: bool = False) -> Answer:
        """Raises Hang, and whatever the application lets fly. `patient`: waits for ever, so in any thread."""
        _, _, query = self.target.partition("?")
        environ: dict[str, Any] = create_environ(method=self.method)
        # As gunicorn makes them: bytes in the guise of Latin-1.
        environ |= {"PATH_INFO": self.path.decode("latin-1"), "QUERY_STRING": query, "RAW_URI": self.target}
        environ |= {"REQUEST_URI": self.target, "wsgi.input": io.BytesIO(self.body), "REMOTE_ADDR": "127.0.0.1"}
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            environ["CONTENT_LENGTH"] = str(len(self.body))
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        began = time.monotonic()
        with nullcontext() if patient else _alarm():
            parts, status, headers = run_wsgi_app(app.wsgi_app, environ, buffered=False)
            body = b""
            for part in parts:
                body += part
                if len(body) > MOST_READ:
                    break
            if close := getattr(parts, "close", None):
                close()
        return Answer(int(status.split()[0]), dict(headers), body, time.monotonic() - began)

    def keep(self, folder: Path) -> Path:
        """A file that `load` reads."""
        said = {**asdict(self), "body": base64.b64encode(self.body).decode()}
        text = json.dumps(said, indent=1)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{sha256(text.encode()).hexdigest()[:12]}.json"
        path.write_text(text)
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        said = json.loads(path.read_text())
        return cls(**{**said, "body": base64.b64decode(said["body"])})

    def shown(self) -> str:
        """As a command of a shell, where that is short enough to read."""
        words = ["curl", "-i", "-X", self.method, f"http://127.0.0.1:8000{self.target[:500]}"]
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value[:200]}"]
        body = self.body[:300].decode("latin-1")
        more = f"  # … {len(self.body)} bytes" if len(self.body) > 300 else ""
        return " ".join(map(shlex.quote, words + (["--data-binary", body] if body else []))) + more


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Hang(f"no answer within {HANG_SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
