"""What users are written, and how it goes out: SMTP, as the settings say."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from webapp.errors import MoorageError
from webapp.settings import Settings

TIMEOUT_SECONDS = 20


class MailNotConfigured(MoorageError):
    status, code = 503, "MAIL_NOT_CONFIGURED"
    message = "This installation sends no mail (SMTP_HOST is not set). Ask whoever runs it."


@dataclass(frozen=True)
class Letter:
    """`page` is the product's page that takes the token; `call` the operation that does."""

    subject: str
    words: str
    page: str = ""
    call: str = ""


LETTERS = {
    "verify": Letter(
        "Confirm your e-mail address",
        "Somebody, probably you, registered here with this e-mail address. To confirm it, within 24 hours:",
        "verify-email",
        "POST /api/v1/auth/verify-email",
    ),
    "reset": Letter(
        "Choose a new password",
        "Somebody, probably you, asked to choose a new password for this e-mail address. To do so, within an hour:",
        "reset-password",
        "POST /api/v1/auth/password/reset",
    ),
    "exists": Letter(
        "You are registered already",
        "Somebody, probably you, tried to register with this e-mail address, which has an account. Log in with it, or"
        " have a new password sent.",
    ),
    "changed": Letter(
        "Your password was changed",
        "The password of this account was changed, and its sessions were ended. If that was not you, choose a new"
        " password at once.",
    ),
}
_END = "If it was not you, nothing needs to be done."


def compose(settings: Settings, kind: str, to: str, token: str = "") -> EmailMessage:
    """The letter of a kind, with its token as a link where the product's pages are known."""
    letter = LETTERS[kind]
    lines = [letter.words]
    if token and settings.mail_link_url:
        lines += ["", f"{settings.mail_link_url}/{letter.page}?token={token}"]
    elif token:
        lines += ["", f"token: {token}", f"(for {letter.call})"]
    lines += ["", _END] if kind != "changed" else []
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = letter.subject, settings.mail_from, to
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=settings.mail_from.partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(lines) + "\n")
    return message


def send(settings: Settings, message: EmailMessage) -> None:
    """Hand it to the mail server. Raises OSError, smtplib.SMTPException."""
    assert settings.smtp_host is not None  # noqa: S101 - nothing is deferred without
    context, place = ssl.create_default_context(), (settings.smtp_host, settings.smtp_port)
    server: smtplib.SMTP
    if settings.smtp_tls == "tls":
        server = smtplib.SMTP_SSL(*place, timeout=TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(*place, timeout=TIMEOUT_SECONDS)
    with server:
        if settings.smtp_tls == "starttls":
            server.starttls(context=context)
        if settings.smtp_username and settings.smtp_password:
            server.login(settings.smtp_username, settings.smtp_password.reveal())
        server.send_message(message)
