"""The REST protocol over the data: `https://firebase.google.com/docs/reference/rest/database`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from tests.rtdb.database import Database, Event, Keys, Stale
from tests.rtdb.pushing import push_id
from tests.rtdb.queries import asked
from tests.rtdb.values import Refused, etag_of, refuse_key, shown

KEEP_ALIVE_SECONDS = 30.0
# How much of what was written last a kill may lose: to write the whole file for each change would take all the time.
SAVE_SECONDS = 1.0
_METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")


class Server(ThreadingHTTPServer):
    """Without a `secret` it lets everybody do everything, as rules of `true` would."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, database: Database, *, secret: str = "", host: str = "127.0.0.1", port: int = 0,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> None:  # fmt: skip
        super().__init__((host, port), Handler)
        self.database, self.secret, self.keep_alive = database, secret, keep_alive
        self.ending = threading.Event()
        # Of every request: its method and path, for tests that count them.
        self.seen: list[tuple[str, str]] = []

    def serving(self, method: str, path: str) -> None:
        """Before a request is answered; a test may keep it waiting here."""
        self.seen.append((method, path))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        saving = threading.Thread(target=self._save, daemon=True)
        serving.start()
        saving.start()
        try:
            yield self
        finally:
            self.ending.set()
            self.shutdown()
            self.server_close()
            serving.join(10)
            saving.join(60)
            self.database.save()

    def _save(self) -> None:
        while not self.ending.wait(SAVE_SECONDS):
            self.database.save()


class Handler(BaseHTTPRequestHandler):
    """One request. `self.query` are its parameters, each once."""

    server: Server
    protocol_version = "HTTP/1.1"
    # An answer's head and body go out together: else each waits for the other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that is overridden
        """Nothing: a request's line has the secret in it."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.serving(self.command, parts.path)
        try:
            if self.server.secret and self.query.get("auth") != self.server.secret:
                return self._answer(401, {"error": "Permission denied" if "auth" not in self.query else
                                          "Could not parse auth token."})  # fmt: skip
            keys = _keys(parts.path)
            if keys is None:
                return self._answer(404, {"error": "404 Not Found"})
            method = self.headers.get("X-HTTP-Method-Override", self.command).upper()
            if method == "GET" and "text/event-stream" in self.headers.get("Accept", ""):
                return self._stream(keys)
            return self._do(method, keys, raw)
        except Refused as refused:
            return self._answer(400, {"error": str(refused)})
        except Stale as stale:
            return self._answer(412, shown(stale.current), etag=etag_of(stale.current))

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's own names

    def _do(self, method: str, keys: Keys, raw: bytes) -> None:
        database, if_match = self.server.database, self.headers.get("if-match")
        if if_match is not None and method not in ("PUT", "DELETE"):
            raise Refused(f"if-match is not supported with {method}")
        match method:
            case "GET":
                found = database.get(keys)
                self._answer(200, shown(asked(found, self.query)), etag=self._wanted_etag(found))
            case "PUT":
                inner = database.put(keys, _json(raw), if_match)
                self._answer(200, shown(inner), etag=self._wanted_etag(inner))
            case "POST":
                name = push_id()
                database.put((*keys, name), _json(raw))
                self._answer(200, {"name": name})
            case "PATCH":
                changes = _json(raw)
                database.patch(keys, changes)
                self._answer(200, changes)
            case "DELETE":
                database.put(keys, None, if_match)
                self._answer(200, None, etag=self._wanted_etag(None))
            case _:
                self._answer(405, {"error": "405 Method Not Allowed"})

    def _wanted_etag(self, value: Any) -> str | None:
        return etag_of(value) if self.headers.get("X-Firebase-ETag", "").lower() == "true" else None

    def _answer(self, status: int, body: Any, *, etag: str | None = None) -> None:
        raw = orjson.dumps(body, option=orjson.OPT_INDENT_2 if self.query.get("print") == "pretty" else 0)
        if status == 200 and self.query.get("print") == "silent":
            status, raw = 204, b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        if etag is not None:
            self.send_header("ETag", etag)
        if status != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self, keys: Keys) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        with self.server.database.listening(keys) as following, contextlib.suppress(ConnectionError):
            waited = 0.0
            while not self.server.ending.is_set():
                event = following(0.05)
                waited = 0.0 if event else waited + 0.05
                if event:
                    self._say(event.kind, {"path": event.path, "data": event.data})
                elif waited >= self.server.keep_alive:
                    waited = 0.0
                    self._say("keep-alive", None)

    def _say(self, kind: str, data: Any) -> None:
        self.wfile.write(b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n")
        self.wfile.flush()


def _keys(path: str) -> Keys | None:
    """Of `/a/b.json`; None for a path that does not end in `.json`. Raises Refused for a key that cannot be."""
    if not path.endswith(".json"):
        return None
    keys = tuple(unquote(part) for part in path.removesuffix(".json").split("/") if part)
    for key in keys:
        refuse_key(key)
    return keys


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refused(
            "Invalid data; couldn't parse JSON object, array, or value. Perhaps you're using invalid characters in your"
            " key names."
        ) from None


__all__ = ["Event", "Server"]
