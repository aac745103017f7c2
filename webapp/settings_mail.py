"""The variables of mail, and of registering by mail: a part of Settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from webapp import variables as v
from webapp.redaction import Secret
from webapp.variables import Endpoint, Variable

_HOST = v.matching(r"[A-Za-z0-9.:_-]{1,253}", "a host's name or address")
_ADDRESS = v.matching(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+", "an e-mail address")


@dataclass(frozen=True, kw_only=True)
class MailSettings:
    smtp_host: Annotated[
        str | None, Variable(_HOST, "The mail server. Without it there is no mail, and what needs some says so.",
                             optional=True)
    ]  # fmt: skip
    smtp_port: Annotated[int, Variable(v.integer(1, 65535), "The mail server's port.", default="587")]
    smtp_tls: Annotated[
        str,
        Variable(v.choice("starttls", "tls", "none"), "How the connection is kept private.", default="starttls"),
    ]
    smtp_username: Annotated[
        str | None, Variable(v.matching(r"[!-~]{1,200}", "a user's name"), "Who logs in there.", optional=True)
    ]
    smtp_password: Annotated[
        Secret | None,
        Variable(v.secret(1, 200), "The password for that.", optional=True, kept="the host's .env"),
    ]
    mail_from: Annotated[
        str, Variable(_ADDRESS, "Whom mail comes from.", default="moorage@localhost")
    ]
    mail_link_url: Annotated[
        Endpoint | None,
        Variable(
            v.endpoint,
            "Where the product's pages are: links in mails lead to /verify-email and /reset-password there.",
            optional=True,
        ),
    ]
    registration_enabled: Annotated[
        bool, Variable(v.boolean, "Whether anybody may register, and gets a tenant of their own.", default="false")
    ]
