"""Somebody who is logged in the whole time: with the first token that they got, and with one that is always new."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lab.network import DOMAIN

_PAUSE = 0.3


class Person:
    """Asks while the block runs. Each thing that went wrong is in `trouble`, with when.

    Args:
        certificate: the lab's authority; the product's names must lead to it.
    """

    def __init__(self, certificate: Path) -> None:
        self._context = ssl.create_default_context(cafile=str(certificate))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._refresh = self.first = ""
        self.trouble: list[tuple[float, str]] = []
        self.asked = 0

    def log_in(self, email: str, password: str) -> None:
        pair = self.call("/auth/login", body={"email": email, "password": password})
        self.first, self._refresh = pair["access_token"], pair["refresh_token"]

    def call(self, path: str, token: str = "", body: dict[str, Any] | None = None) -> Any:
        """The answer's data. Raises urllib.error.HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(f"https://api.{DOMAIN}/api/v1{path}", data, headers)
        try:
            return self._asked(request)
        except http.client.RemoteDisconnected:
            # The proxy, loading another configuration, takes a connection for an idle one that it had not heard within
            # 5 s, as on a machine without a processor to spare. Browsers ask again, where that is safe.
            if data is not None:
                raise
            return self._asked(request)

    def _asked(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
            return json.loads(answer.read())["data"]

    def status(self, token: str) -> int:
        """What an answer to a token is."""
        try:
            self.call("/auth/sessions", token)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def _live(self) -> None:
        while not self._stop.wait(_PAUSE):
            for what in (self._with_the_first, self._with_the_next):
                self.asked += 1
                try:
                    what()
                except (OSError, ValueError) as error:
                    self.trouble.append((time.time(), f"{what.__name__}: {error}"))

    def _with_the_first(self) -> None:
        self.call("/auth/sessions", self.first)

    def _with_the_next(self) -> None:
        pair = self.call("/auth/refresh", body={"refresh_token": self._refresh})
        self._refresh = pair["refresh_token"]
        self.call("/auth/sessions", pair["access_token"])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
