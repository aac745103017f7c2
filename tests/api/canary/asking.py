"""Sending requests with markers in every header, and keeping every answer."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.api.canary.bodies import Sent
from tests.api.canary.markers import Markers
from tests.api.canary.places import Source


@dataclass
class Asker:
    """Speaks to one process of ours. `answers` are all that came."""

    port: int
    markers: Markers
    answers: list[Source] = field(default_factory=list)
    seen: Counter[int] = field(default_factory=Counter)

    def ask(self, line: str, token: str = "", body: Any = None, **headers: str) -> Any:
        """`data` of a success; None for anything else. `body`: JSON, or a Sent."""
        method, path = line.split(" ", 1)
        sent = body if isinstance(body, Sent) or body is None else Sent.of("", body)
        status, kind, text = self._send(method, path, token, sent, headers)
        self.answers.append(Source(f"answer:{status} {method} {path.partition('?')[0]}", text))
        self.seen[status] += 1
        if status >= 300 or not kind.endswith("json"):
            return None
        answer = json.loads(text)
        self.markers.learn(answer, line.partition("?")[0])
        return answer.get("data")

    def needs(self, line: str, token: str = "", body: Any = None, **headers: str) -> Any:
        """The same, for what has to succeed."""
        data = self.ask(line, token, body, **headers)
        assert data is not None, (line, self.answers[-1])
        return data

    def plain(self, path: str) -> str:
        """What stands at a path, without any header of ours."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def _send(
        self, method: str, path: str, token: str, sent: Sent | None, headers: dict[str, str]
    ) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        with contextlib.closing(connection):
            carried = self.headers(f"{method} {path.partition('?')[0]}") | headers
            carried |= {"Authorization": f"Bearer {token}"} if token else {}
            carried |= {"Content-Type": sent.kind} if sent else {}
            connection.request(method, path, body=sent.raw if sent else None, headers=carried)
            answer = connection.getresponse()
            kind = answer.headers["Content-Type"] or ""
            # A stream of events has no end.
            text = answer.read1(4096).decode() if "event-stream" in kind else answer.read().decode(errors="replace")
            told = [f"{name}: {value}" for name, value in answer.getheaders()]
        return answer.status, kind, text if answer.status < 300 else "\n".join([text, *told])

    def headers(self, where: str) -> dict[str, str]:
        """Those that any request may have, each with a marker."""
        make, secret = self.markers.make, self.markers.secret
        problem = "application/problem+json" if len(self.answers) % 2 else "*/*"
        return {
            "Accept": problem,
            "X-Request-ID": make("request_id", where),
            "X-Correlation-ID": make("correlation_id", where),
            "User-Agent": make("user_agent", where),
            "Idempotency-Key": secret(f"{where} Idempotency-Key"),
            "Cookie": f"session={secret(f'{where} Cookie')}",
            "Referer": f"https://console.test/?token={secret(f'{where} Referer')}",
            "X-Forwarded-For": secret(f"{where} X-Forwarded-For"),
            "X-Api-Key": secret(f"{where} X-Api-Key"),
            "Origin": f"https://{secret(f'{where} Origin')}.test",
        }

    def wrong_authorizations(self, where: str) -> list[str]:
        """Of each kind of credential one that is none."""

        def encoded(raw: bytes) -> str:
            return base64.urlsafe_b64encode(raw).decode().rstrip("=")

        secret = self.markers.secret(f"{where} Authorization")
        claims = encoded(json.dumps({"sub": secret, "sid": secret}).encode())
        head = encoded(b'{"alg":"HS256","typ":"JWT"}')
        return [
            f"Bearer {secret}",
            f"Bearer ma_{encoded(bytes(32))}.{secret}",
            f"bearer mk_{secret}",
            f"Bearer {head}.{claims}.{secret}",
            f"Basic {base64.b64encode(f'ada:{secret}'.encode()).decode()}",
            f"{secret}",
        ]

    def raw(self, request: bytes) -> None:
        """Bytes that are no good HTTP."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(request)
            with contextlib.suppress(OSError):
                self.answers.append(Source("answer:400 raw", connection.recv(65536).decode(errors="replace")))
