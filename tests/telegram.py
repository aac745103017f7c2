"""A server that speaks Telegram's sendMessage: it checks what Telegram checks, answers in its words, keeps what it got.

    with Telegram() as telegram:
        …                       # send to telegram.api with telegram.token and telegram.chat
        assert telegram.messages == ["…"]

Failures are asked for with `telegram.next(...)`, each for one request.
"""

from __future__ import annotations

import html.parser
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

LONGEST = 4096
TAGS = {"b", "strong", "i", "em", "u", "s", "code", "pre", "a"}


class _Tags(html.parser.HTMLParser):
    """Which tags a text has that Telegram does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown: list[str] = []

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        if tag not in TAGS:
            self.unknown.append(tag)


class Telegram:
    """The double, on an address of this machine; a thread serves it until the block ends.

    Args:
        address: where it listens; a lab's host reaches this machine by its bridge's gateway.
        chats: chats that the bot is a member of; `blocked` ones it was put out of.
    """

    def __init__(self, address: str = "127.0.0.1", *, chats: tuple[str, ...] = ("-1001",), blocked: str = "-1403"):
        self.token = "123456:canary-token-AAAAAAAAAAAAAAAAAAA"
        self.chats, self.blocked = chats, blocked
        self.messages: list[str] = []
        self.requests = 0
        self._failures: list[str] = []
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self.api = f"http://{address}:{self._server.server_port}"

    @property
    def chat(self) -> str:
        """The first chat there is."""
        return self.chats[0]

    def next(self, *failures: str) -> None:
        """What becomes of the next requests: `500`, `429:<seconds>`, `drop`, `page` (a proxy's), `slow:<seconds>`."""
        self._failures += failures

    def __enter__(self) -> Telegram:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, fields: dict[str, Any]) -> tuple[int, str]:
        """Status and description for a request, in the order in which Telegram looks at it."""
        if not path.startswith("/bot"):
            return 404, "Not Found"
        if path != f"/bot{self.token}/sendMessage":
            return (401, "Unauthorized") if ":" in path else (404, "Not Found")
        chat, text = str(fields.get("chat_id", "")), fields.get("text", "")
        if not chat:
            return 400, "Bad Request: chat_id is empty"
        if chat == self.blocked:
            return 403, "Forbidden: bot was kicked from the supergroup chat"
        if chat not in self.chats:
            return 400, "Bad Request: chat not found"
        if not isinstance(text, str) or not text.strip():
            return 400, "Bad Request: message text is empty"
        if len(text.encode("utf-16-le")) // 2 > LONGEST:
            return 400, "Bad Request: message is too long"
        if fields.get("parse_mode") == "HTML":
            tags = _Tags()
            tags.feed(text)
            if tags.unknown:
                return 400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tags.unknown[0]}"'
        return 200, text

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        telegram = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            def do_POST(self) -> None:
                telegram.requests += 1
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                failure, _, number = (telegram._failures.pop(0) if telegram._failures else "").partition(":")
                if failure == "drop":
                    self.close_connection = True
                    return
                if failure == "page":
                    self._send(502, b"<html>Bad gateway</html>")
                    return
                if failure == "slow":
                    time.sleep(float(number))
                if failure in ("500", "429"):
                    words = f"Too Many Requests: retry after {number}" if number else "Internal Server Error"
                    self._say(int(failure), words, {"retry_after": int(number)} if number else {})
                    return
                status, words = telegram.answer(self.path, self._fields(body))
                if status == 200:
                    telegram.messages.append(words)
                self._say(status, words)

            def _fields(self, body: bytes) -> dict[str, Any]:
                if self.headers.get("Content-Type", "").startswith("application/json"):
                    return dict(json.loads(body))
                return {name: values[0] for name, values in parse_qs(body.decode()).items()}

            def _say(self, status: int, words: str, parameters: dict[str, int] | None = None) -> None:
                if status == 200:
                    # Alertmanager reads the chat out of it, and falls over without one.
                    chat = {"id": int(telegram.chat), "type": "supergroup", "title": "Releases"}
                    result = {"message_id": telegram.requests, "date": int(time.time()), "chat": chat, "text": words}
                    answer: dict[str, Any] = {"ok": True, "result": result}
                else:
                    answer = {"ok": False, "error_code": status, "description": words}
                if parameters:
                    answer["parameters"] = parameters
                self._send(status, json.dumps(answer).encode())

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: the path holds the token."""

        return Handler
