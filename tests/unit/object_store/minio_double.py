"""MinIO cannot be had here, so this speaks as much of its administration as the adapter asks for.

It checks what a real one would: the body of `add-user` is encrypted with the administrator's secret, requests are
signed with a known key, and unknown users and policies are 404.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from minio.credentials import Credentials
from minio.crypto import decrypt, encrypt
from minio.signer import sign_v4_s3
from minio.time import from_iso8601utc
from urllib3 import BaseHTTPResponse


class Double:
    """What it has been told so far: `users` (secret and policy), `policies`, `buckets`, and every `order` to change."""

    def __init__(self, administrator: str, secret: str) -> None:
        self.administrator, self.secret = administrator, secret
        self.users: dict[str, dict[str, str]] = {}
        self.policies: dict[str, Any] = {}
        self.buckets: set[str] = set()
        self.orders: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(double: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def handle_any(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                key = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
                status, answer = double.answer(self, key[1] if key else "", url.path, query, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/xml" if data[:1] == b"<" else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815 - http.server's own names

        return Handler

    def answer(
        self, request: BaseHTTPRequestHandler, key: str, path: str, query: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        secret = self.secret if key == self.administrator else self.users.get(key, {}).get("secret")
        if secret is None or not signed(request, key, secret):
            return 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
        if not path.startswith("/minio/admin/v3/"):
            return self._bucket(request.command, path.strip("/"))
        if key != self.administrator:
            return 403, {"Code": "AccessDenied"}
        return self._administration(request.command, path.rsplit("/", 1)[1], query, body)

    def _bucket(self, method: str, bucket: str) -> tuple[int, Any]:
        if not bucket:
            return 200, b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
        if method == "PUT":
            self.orders.append("bucket")
            self.buckets.add(bucket)
        return (200 if bucket in self.buckets else 404), b""

    def _administration(self, method: str, command: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if method != "GET":
            self.orders.append(command)
        match command:
            case "add-user":
                told = json.loads(decrypt(_Response(body), self.secret))
                self.users.setdefault(query["accessKey"], {})["secret"] = told["secretKey"]
            case "add-canned-policy":
                self.policies[query["name"]] = json.loads(body)
            case "set-user-or-group-policy":
                self.users[query["userOrGroup"]]["policy"] = query["policyName"]
            case "remove-user":
                del self.users[query["accessKey"]]
            case "list-users":
                told = {name: {"policyName": one.get("policy", "")} for name, one in self.users.items()}
                return 200, encrypt(json.dumps(told).encode(), self.secret)
            case "user-info" if query["accessKey"] in self.users:
                return 200, {"status": "enabled", "policyName": self.users[query["accessKey"]].get("policy", "")}
            case "info-canned-policy" if query["name"] in self.policies:
                return 200, self.policies[query["name"]]
            case _:
                return 404, {"Code": "XMinioAdminNoSuch"}
        return 200, {}


def signed(request: BaseHTTPRequestHandler, key: str, secret: str) -> bool:
    """Was the request signed with this key? Signs the same headers again and compares."""
    given = request.headers.get("Authorization", "")
    names = re.search(r"SignedHeaders=([^,]+)", given)
    region = re.search(r"Credential=[^/]+/\d+/([^/]+)/", given)
    if not names or not region:
        return False
    headers = {name: request.headers[name] for name in names[1].split(";")}
    stamp = request.headers["x-amz-date"]
    moment = from_iso8601utc(re.sub(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", r"\1-\2-\3T\4:\5:\6.000Z", stamp))
    assert moment is not None
    again = sign_v4_s3(
        method=request.command,
        url=urlsplit(f"http://{request.headers['Host']}{request.path}"),
        region=region[1],
        headers=headers,
        credentials=Credentials(key, secret),
        content_sha256=request.headers["x-amz-content-sha256"],
        date=moment,
    )
    return again["Authorization"] == given


class _Response(BaseHTTPResponse):
    """As much of a response as minio's decrypt() reads from."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self, amt: int | None = None, *_: object, **__: object) -> bytes:
        taken, self._rest = self._rest[:amt], self._rest[amt:] if amt is not None else b""
        return taken

    def stream(self, amt: int | None = 1024, decode_content: bool | None = None) -> Any:
        while chunk := self.read(amt):
            yield chunk

    def close(self) -> None:
        self._rest = b""

    def release_conn(self) -> None:
        pass
