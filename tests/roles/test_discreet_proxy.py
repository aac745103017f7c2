"""Caddy with the role's own configuration writes no token anywhere: not in its access log, not where errors go."""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

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
PARAMETERS = ["token", "access_token", "code", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token"]
HEADERS = ["Authorization", "authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Idempotency-Key"]


class Backend(BaseHTTPRequestHandler):
    """Sends people on with what they came with, cuts the line, or sets a cookie."""

    def do_GET(self) -> None:
        if self.path.startswith("/cut"):
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(302)
        self.send_header("Location", f"https://elsewhere.test{self.path}")
        self.send_header("Set-Cookie", f"session={self.path.rpartition('=')[2]}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Proxy:
    port: int
    folder: Path

    def get(self, path: str, **headers: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as client:
            client.request("GET", path, headers=headers)
            return client.getresponse().status

    def written(self) -> str:
        """All that it has written, in whichever file."""
        return "".join(path.read_text(errors="replace") for path in self.folder.iterdir() if path.is_file())

    def until_written(self, word: str) -> str:
        end = time.monotonic() + 10
        while word not in (text := self.written()):
            assert time.monotonic() < end, text
            time.sleep(0.05)
        return text


@pytest.fixture(scope="module")
def proxy(render, tmp_path_factory) -> Iterator[Proxy]:
    folder, home = tmp_path_factory.mktemp("log"), tmp_path_factory.mktemp("home")
    backend = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = render(ROOT / "roles/proxy/templates/Caddyfile.j2", proxy_sites=[])
    text = text.replace("/var/log/caddy/", f"{folder}/").replace("admin 127.0.0.1:2019", "admin off")
    text = text.replace("lb_try_duration 5s", "lb_try_duration 0s")  # the dead need no patience here
    configuration = home / "Caddyfile"
    configuration.write_text(text + SITE.format(port=port, backend=backend.server_port))
    command = [CADDY, "run", "--config", configuration, "--adapter", "caddyfile"]
    with (folder / "out").open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "HOME": str(home)})
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "out").read_text()
                time.sleep(0.1)
        yield Proxy(port, folder)
    finally:
        server.terminate()
        server.wait(10)
        backend.shutdown()
        backend.server_close()


@pytest.mark.parametrize(("path", "status"), [("/api/v1/agents/ws", 302), ("/dead", 502), ("/cut", 502)])
def test_no_parameter_that_opens_something_is_written(proxy: Proxy, path: str, status: int) -> None:
    canary, plain = secrets.token_hex(8), secrets.token_hex(8)
    query = "&".join([f"plain={plain}", *(f"{name}={canary}" for name in PARAMETERS)])
    assert proxy.get(f"{path}?{query}", Referer=f"https://console.test/?{query}") == status
    assert canary not in proxy.until_written(plain)


@pytest.mark.parametrize(("path", "status"), [("/", 302), ("/dead", 502), ("/cut", 502)])
@pytest.mark.parametrize("header", HEADERS)
def test_no_header_that_opens_something_is_written(proxy: Proxy, header: str, path: str, status: int) -> None:
    canary, plain = secrets.token_hex(8), secrets.token_hex(8)
    assert proxy.get(f"{path}?plain={plain}", **{header: f"Bearer {canary}"}) == status
    assert canary not in proxy.until_written(plain)


def test_errors_are_still_written(proxy: Proxy) -> None:
    assert proxy.get("/dead?plain=here") == 502
    text = proxy.until_written('"logger":"http.log.error')
    assert "connection refused" in text
