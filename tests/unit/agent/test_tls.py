"""Whose certificate is believed, over HTTPS and over a secure socket."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.sync.server import serve

from agent.failures import Unreachable
from agent.wire import Tls, Wire
from tests.unit.agent.conftest import Running
from tests.unit.agent.serving import until


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, str, ssl.SSLContext]:
    """A certificate that signs itself for 127.0.0.1: its file, its fingerprint, a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path, private = tmp_path / "ca.pem", tmp_path / "key.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, private)
    return path, made.fingerprint(hashes.SHA256()).hex(":").upper(), context


@pytest.fixture
def https(certificate: tuple[Path, str, ssl.SSLContext]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused handshakes are what is tested
    server.socket = certificate[2].wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_strange_certificate_is_not_believed(https: str) -> None:
    with pytest.raises(Unreachable, match="certificate"):
        Wire(https, Tls()).exchange("GET", "/")


def test_an_authority_of_its_own_is_believed(https: str, certificate: Any) -> None:
    assert Wire(https, Tls(ca_file=certificate[0])).exchange("GET", "/").body == b"hello"


def test_a_fingerprint_takes_the_chains_place_and_another_is_refused(https: str, certificate: Any) -> None:
    assert Wire(https, Tls(fingerprint=certificate[1])).exchange("GET", "/").body == b"hello"
    other = certificate[1][:-2] + ("00" if certificate[1][-2:] != "00" else "01")
    with pytest.raises(Unreachable, match=r"[Ff]ingerprint"):
        Wire(https, Tls(fingerprint=other)).exchange("GET", "/")


def test_the_socket_is_secure_where_the_server_is(
    certificate: Any, paired: Path, run: Callable[..., Running]
) -> None:
    heard: list[dict[str, Any]] = []

    def handle(socket: Any) -> None:
        socket.send(json.dumps({"type": "connected", "ts": "2026-11-20T20:00:00.000Z", "transport": "ws"}))
        for text in socket:
            heard.append(json.loads(text))

    server = serve(handle, "127.0.0.1", 0, ssl=certificate[2])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    identity = json.loads((paired / "agent.json").read_text())
    identity |= {"server": f"https://127.0.0.1:{server.socket.getsockname()[1]}", "ca_file": str(certificate[0])}
    (paired / "agent.json").write_text(json.dumps(identity))
    running = run(transport="socket")
    until(lambda: {frame["type"] for frame in heard} >= {"heartbeat", "next_command"})
    running.stop()
    server.shutdown()
    assert {frame["type"] for frame in heard} >= {"heartbeat", "next_command"}
