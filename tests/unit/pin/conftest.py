"""A registry on loopback that speaks Docker's token flow, and the tool as a person would call it.

The outside registries are out of reach here; what their protocol demands is what this one insists on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@dataclass
class Registry:
    """`private` paths want the log-in; `told` off leaves out the digest's header, which the protocol allows."""

    address: str = ""
    login: str = "builder:letmein"
    private: set[str] = field(default_factory=set)
    told: bool = True
    asked: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    registry: Registry

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.registry.asked.append(f"{self.command} {url.path}")
        if url.path == "/token":
            self.token(parse_qs(url.query))
        else:
            self.manifest(url.path)

    def do_HEAD(self) -> None:
        self.do_GET()

    def token(self, query: dict[str, list[str]]) -> None:
        scope = query["scope"][0]
        known = base64.b64encode(self.registry.login.encode()).decode()
        if scope.split(":")[1] in self.registry.private and self.headers["Authorization"] != f"Basic {known}":
            return self.answer(401)
        return self.answer(200, json.dumps({"token": f"for {scope}"}).encode())

    def manifest(self, path: str) -> None:
        _, _, name = path.partition("/v2/")
        name, _, tag = name.partition("/manifests/")
        scope = f"repository:{name}:pull"
        if self.headers["Authorization"] != f"Bearer for {scope}":
            realm = f'Bearer realm="http://{self.registry.address}/token",service="tests",scope="{scope}"'
            return self.answer(401, **{"WWW-Authenticate": realm})
        if tag == "gone" or INDEX_TYPE not in self.headers["Accept"]:
            return self.answer(404)
        told = {"Docker-Content-Digest": DIGEST} if self.registry.told else {}
        return self.answer(200, MANIFEST, **told)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: pytest's output is for tests."""


@pytest.fixture
def registry() -> Iterator[Registry]:
    state = Registry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"registry": state}))
    state.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


Pin = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def pin(tmp_path: Path) -> Pin:
    """Runs the tool; no log-ins but those a test puts into the folder `docker`."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        # The registry is on this machine: what a proxy would say of it is not the question.
        clean = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker"), "NO_PROXY": "127.0.0.1"}
        return subprocess.run(
            [sys.executable, ROOT / ".ci/pin.py", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**clean, **environment},
        )

    return run
