"""Those who are told of alerts, in the tests' own hands: a Telegram, a mail server, a webhook."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.api.auth.post import Post
from tests.lab.hosts import Host
from tests.telegram import Telegram


class Hook:
    """A webhook that keeps what it got; `status` is what it answers with."""

    def __init__(self, address: str) -> None:
        self.calls: list[dict[str, Any]] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            """One call."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if hook.status == 200:
                    hook.calls.append(body)
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self.url = f"http://{address}:{self._server.server_port}/hook"

    def __enter__(self) -> Hook:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Ears:
    """All that listen, on one address."""

    telegram: Telegram
    post: Post
    hook: Hook
    run: Any = None
    variables: list[str] = field(default_factory=list)

    @property
    def secrets(self) -> dict[str, str]:
        """What the host must keep for them."""
        return {"TELEGRAM_BOT_TOKEN": self.telegram.token, "PAGER_WEBHOOK_URL": self.hook.url}

    @property
    def receivers(self) -> dict[str, Any]:
        """Themselves, as an inventory declares them."""
        mail = {"to": "ops@moorage.test", "from": "alerts@moorage.test", "host": self.post.address, "tls": False}
        return {
            "monitoring_receivers": [
                {"name": "team", "kind": "telegram", "chat": int(self.telegram.chat), "api": self.telegram.api},
                {"name": "ops", "kind": "email", **mail},
                {"name": "pager", "kind": "webhook", "severities": ["critical"]},
            ]
        }

    def told(self, *words: str) -> list[str]:
        """Messages to the chat that have all these words."""
        return [text for text in self.telegram.messages if all(word in text for word in words)]


def until(test: Callable[[], Any], seconds: float = 90) -> Any:
    """What a question answers once it is true; else an AssertionError with what it said last."""
    end = time.monotonic() + seconds
    while True:
        answer = test()
        if answer:
            return answer
        assert time.monotonic() < end, f"still {answer!r} after {seconds:g} s"
        time.sleep(0.5)


def asked(host: Host, path: str) -> Any:
    """What Prometheus answers on the host, by its API."""
    text = host.exec("docker", "exec", "moorage-prometheus", "wget", "-qO-", f"http://127.0.0.1:9090/api/v1/{path}")
    return json.loads(text)["data"]


def amtool(host: Host, *words: str) -> Any:
    """What Alertmanager's tool says, as JSON."""
    tool = ["docker", "exec", "moorage-alertmanager", "amtool", "--alertmanager.url=http://127.0.0.1:9093"]
    return json.loads(host.exec(*tool, "-o", "json", *words) or "[]")
