"""A small control plane and store for the runner: leases that expire, URLs that expire, a store that can misbehave."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from typing import Any

from tests.unit.agent.serving import Asked, LocalServer, Reply, data, refusal

TOKEN = "bearer-of-the-customer"
MODULE = "trading-bot"


class Depot:
    """`store` replies are used up one by one before the store behaves; `refuses` (path → replies) the same."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.calls: list[str] = []
        self.bodies: dict[str, list[dict[str, Any]]] = {}
        self.store_calls: list[dict[str, str]] = []
        self.store: list[Reply] = []
        self.refuses: dict[str, list[Reply]] = {}
        self.reports: list[dict[str, Any]] = []
        self.ranges = True
        self.etag = f'"{self.sha256[:16]}"'
        self.url_uses: int | None = None
        self.lease_seconds = 300.0
        self.lease_lives = 10**9
        self.pause = 0.0
        self.made = Counter[str]()
        self.server = LocalServer(self._answer)
        self.url = self.server.url

    def close(self) -> None:
        self.server.close()

    def now(self) -> float:
        return time.time() + self.server.skew

    def _answer(self, asked: Asked) -> Reply:
        if asked.path.startswith("/bucket/"):
            return self._object(asked)
        path = asked.path.removeprefix("/api/v1")
        self.calls.append(path)
        if self.refuses.get(path):
            return self.refuses[path].pop(0)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return refusal(401, "TOKEN_INVALID")
        body = asked.json()
        self.bodies.setdefault(path, []).append(body)
        answers = {
            "/vm/register": self._register, "/license/lease": self._lease, "/license/heartbeat": self._beat,
            "/artifacts/resolve-download": self._resolve, "/artifacts/report-download": self._report,
        }  # fmt: skip
        return answers[path](body)

    def _register(self, body: dict[str, Any]) -> Reply:
        return data({"vm_uuid": body["vm_uuid"]}, 201)

    def _token(self, kind: str) -> dict[str, Any]:
        self.made["token"] += 1
        return {"lease_id": f"lease-{self.made['lease']}", "token": f"lease-token-{self.made['token']}",
                "expires_at": int((self.now() + self.lease_seconds) * 1000), "status": kind}  # fmt: skip

    def _lease(self, body: dict[str, Any]) -> Reply:
        self.made["lease"] += 1
        return data(self._token("active"), 201)

    def _beat(self, body: dict[str, Any]) -> Reply:
        return data(self._token("active"))

    def _resolve(self, body: dict[str, Any]) -> Reply:
        if body["lease_token"] != f"lease-token-{self.made['token']}":
            return refusal(409, "LEASE_EXPIRED")
        self.made["url"] += 1
        return data({"download_url": f"{self.url}/bucket/object?X-Amz-Signature={self.made['url']}", "release_id": 7,
                     "url_expires_at": int((self.now() + 60) * 1000), "version": "1.2.3", "sha256": self.sha256,
                     "size_bytes": len(self.content), "resolution_id": f"resolution-{self.made['url']}"})  # fmt: skip

    def _report(self, body: dict[str, Any]) -> Reply:
        self.reports.append(body)
        return data({}, 201)

    def _object(self, asked: Asked) -> Reply:
        self.store_calls.append(asked.headers)
        if asked.query["X-Amz-Signature"] != str(self.made["url"]):
            return Reply(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
        if self.store:
            reply = self.store.pop(0)
            if reply.cut_after is None:
                return reply
            ranged = self._ranged(asked)
            ranged.cut_after = reply.cut_after
            if self.url_uses is not None:
                self.made["url"] += 1  # by the time of the next request this URL has expired
            return ranged
        return self._ranged(asked)

    def _ranged(self, asked: Asked) -> Reply:
        headers = {"ETag": self.etag, "Accept-Ranges": "bytes"}
        asked_range = asked.headers.get("range")
        if asked_range and self.ranges and asked.headers.get("if-range") == self.etag:
            begin = int(asked_range.removeprefix("bytes=").rstrip("-"))
            if begin >= len(self.content):
                return Reply(416, b"")
            headers["Content-Range"] = f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}"
            return Reply(206, self.content[begin:], headers, pause=self.pause)
        return Reply(200, self.content, headers, pause=self.pause)


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)
