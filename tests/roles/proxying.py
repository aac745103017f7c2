"""Caddy with the role's own configuration, before a server of the test's own."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]
CADDY = Path(sys.executable).parent / "caddy"
SITE = """
http://127.0.0.1:{port} {{
	import house
	handle /dead {{
		import backend 127.0.0.1:1
	}}
	handle {{
		import backend 127.0.0.1:{backend}
	}}
}}
"""


class Backend(BaseHTTPRequestHandler):
    """Sends people on with what they came with, cuts the line, or sets a cookie."""

    def do_GET(self) -> None:
        if self.path.startswith("/cut"):
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(302)
        self.send_header("Location", f"https://elsewhere.test{self.path}")
        self.send_header("Set-Cookie", f"session={self.path.rpartition('=')[2]}")
        self.send_header("X-Came-With-Id", self.headers["X-Request-Id"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Proxy:
    port: int
    folder: Path
    static_port: int
    static: Path

    def get(self, path: str, **headers: str) -> int:
        return self.ask(path, headers).status

    def ask(
        self, path: str, headers: dict[str, str] | None = None, *, method: str = "GET", port: int = 0
    ) -> http.client.HTTPResponse:
        with closing(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)) as client:
            client.request(method, path, headers=headers or {})
            return client.getresponse()

    def written(self) -> str:
        """All that it has written, in whichever file."""
        return "".join(path.read_text(errors="replace") for path in self.folder.iterdir() if path.is_file())

    def until_written(self, word: str) -> str:
        end = time.monotonic() + 10
        while word not in (text := self.written()):
            assert time.monotonic() < end, text
            time.sleep(0.05)
        return text


@contextmanager
def answering(backend: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A server of the test's own: its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def caddy_running(configuration: Path, port: int, out: Path) -> Iterator[None]:
    """A real Caddy, once it listens; its home is where its configuration lies."""
    command = [CADDY, "run", "--config", configuration, "--adapter", "caddyfile"]
    environment = {**os.environ, "HOME": str(configuration.parent)}
    with out.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, out.read_text()
                time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def proxying(render: Callable[..., str], folder: Path, home: Path) -> Iterator[Proxy]:
    """Caddy, which writes into `folder` and has its own things in `home`."""
    port, static_port = free_port(), free_port()
    sites = [{"host": f"http://127.0.0.1:{static_port}", "files": "status"}]
    text = render(ROOT / "roles/proxy/templates/Caddyfile.j2", proxy_sites=sites).replace("/srv/", f"{home}/")
    text = text.replace("/var/log/caddy/", f"{folder}/").replace("admin 127.0.0.1:2019", "admin off")
    text = text.replace("lb_try_duration 5s", "lb_try_duration 0s")  # the dead need no patience here
    configuration = home / "Caddyfile"
    with answering(Backend) as backend:
        configuration.write_text(text + SITE.format(port=port, backend=backend))
        with caddy_running(configuration, port, folder / "out"):
            yield Proxy(port, folder, static_port, home / "status")
