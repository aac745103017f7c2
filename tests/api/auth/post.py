"""A mail server of the tests' own, which catches every letter."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from webapp.local.ports import free_port


class Post(Message):
    """A mail server, and the letters it was given."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__()
        self.letters: list[EmailMessage] = []
        self._server = Controller(self, hostname=address, port=free_port())

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def address(self) -> str:
        """`host:port` of it."""
        return f"{self._server.hostname}:{self._server.port}"

    @property
    def variables(self) -> dict[str, str]:
        """What an installation that mails by way of it is told."""
        port = str(self._server.port)
        return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_TLS": "none", "REGISTRATION_ENABLED": "true"}

    def handle_message(self, message: Any) -> None:
        self.letters.append(message)

    def token(self) -> str:
        """The last letter's."""
        body = self.letters[-1].get_payload()
        found = re.search(r"token[=:] ?(\S+)", str(body))
        assert found, body
        return found[1]
