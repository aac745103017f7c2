"""A local HTTP server for a test's double: real sockets, one function that answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """`cut_after`: the connection breaks after so many bytes of the body. `pause`: seconds before each chunk."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    pause: float = 0.0


class LocalServer:
    """`skew` is added to the `Date` of every answer, in seconds."""

    def __init__(self, answer: Callable[[Asked], Reply], *, upgrade: Callable[[Any], None] | None = None) -> None:
        self.skew = 0.0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                parts = urlsplit(self.path)
                asked = Asked(
                    self.command, unquote(parts.path), {k: v[0] for k, v in parse_qs(parts.query).items()},
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                )  # fmt: skip
                reply = answer(asked)
                self.send_response_only(reply.status)
                sent = {"Date": formatdate(time.time() + owner.skew, usegmt=True), "Content-Length": len(reply.body)}
                for name, value in {**sent, **reply.headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                body = reply.body if reply.cut_after is None else reply.body[: reply.cut_after]
                try:
                    for begin in range(0, len(body), 65536):
                        time.sleep(reply.pause)
                        self.wfile.write(body[begin : begin + 65536])
                except OSError:
                    self.close_connection = True
                if reply.cut_after is not None:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - http.server's names

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def finish_request(self, request: Any, client_address: Any) -> None:
                if upgrade is not None and b"/agents/ws" in request.recv(120, 2):  # MSG_PEEK
                    upgrade(request)
                else:
                    super().finish_request(request, client_address)

            def handle_error(self, *_: Any) -> None:
                """Clients of these tests break off on purpose."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def data(value: Any, status: int = 200, **headers: str) -> Reply:
    """A good answer in the control plane's envelope."""
    return Reply(status, json.dumps({"success": True, "data": value}).encode(), headers)


def refusal(status: int, code: str, **headers: str) -> Reply:
    body = {"success": False, "error": {"code": code, "message": f"refused with {code}"}}
    return Reply(status, json.dumps(body).encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def until(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What the condition gives as soon as it is true; fails when it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"never came true within {seconds} s")
