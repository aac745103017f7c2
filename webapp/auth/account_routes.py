"""Registering by mail, and passwords. An address that is known gets the same answer as one that is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint
from sqlalchemy.orm import Session

from webapp.access import client_address
from webapp.auth import account_schemas as s
from webapp.auth import accounts, attempts
from webapp.auth.accounts import MailTokenInvalid, RegistrationDisabled
from webapp.auth.mail import MailNotConfigured
from webapp.auth.passwords import PasswordRefused
from webapp.auth.refusals import LoginRefused
from webapp.auth.users import UserNotFound
from webapp.caller import PUBLIC, anyone
from webapp.collaborators import collaborators
from webapp.errors import InvalidRequest
from webapp.limits import RateLimited
from webapp.operation import Call, operation

account = Blueprint("account", __name__, url_prefix="/api/v1/auth")

MAILED = (InvalidRequest, MailNotConfigured, RateLimited)
TOKEN = (MailTokenInvalid, InvalidRequest, RateLimited)


def _counted(work: Callable[[Session], Any]) -> Any:
    """In a transaction of nobody's, after the address's attempts were counted: each may cost a mail, or be a guess."""
    its = collaborators()
    subject = f"mail:{client_address()}"
    guard = attempts.guarding(its.database, [subject], (MailTokenInvalid,), limit=its.settings.rate_limit_login)
    with guard, its.database.transaction() as session:
        return work(session)


def _with_mail() -> None:
    if collaborators().settings.smtp_host is None:
        raise MailNotConfigured


@operation(account, "POST /register", summary="Register", tag="auth", allow=PUBLIC, body=s.Registration, status=202,
           transacted=False, raises=(RegistrationDisabled, PasswordRefused, *MAILED),
           example={"email": "ada@example.org", "password": "correct horse battery"})  # fmt: skip
def register(call: Call) -> None:
    """A mail follows, to whoever has the address: to verify it, or to say that it is registered already."""
    if not collaborators().settings.registration_enabled:
        raise RegistrationDisabled
    _with_mail()
    body = call.body
    _counted(
        lambda session: accounts.register(
            session, email=body["email"], password=body["password"], name=body.get("name")
        )
    )


@operation(account, "POST /verify-email", summary="Verify an e-mail address", tag="auth", allow=PUBLIC,
           body=s.Verification, answer=s.VerifiedView, transacted=False, raises=TOKEN)  # fmt: skip
def verify_email(call: Call) -> dict[str, Any]:
    """With the token of the mail. A user without a tenant gets one."""
    tenant = _counted(lambda session: accounts.verify(session, call.body["token"], call.body.get("tenant_name")))
    return {"verified": True, "tenant_id": tenant}


@operation(account, "POST /verify-email/resend", summary="Have the mail sent again", tag="auth", allow=PUBLIC,
           body=s.Address, status=202, transacted=False, raises=MAILED)  # fmt: skip
def resend(call: Call) -> None:
    _with_mail()
    _counted(lambda session: accounts.resend(session, call.body["email"]))


@operation(account, "POST /password/forgot", summary="Have a mail sent to choose a new password", tag="auth",
           allow=PUBLIC, body=s.Address, status=202, transacted=False, raises=MAILED)  # fmt: skip
def forgot(call: Call) -> None:
    _with_mail()
    _counted(lambda session: accounts.forgot(session, call.body["email"]))


@operation(account, "POST /password/reset", summary="Choose a new password", tag="auth", allow=PUBLIC, body=s.Reset,
           transacted=False, raises=(PasswordRefused, *TOKEN))  # fmt: skip
def reset(call: Call) -> None:
    """With the token of the mail. All sessions of the user end, in all tenants."""
    address = client_address()
    _counted(lambda session: accounts.reset(session, call.body["token"], call.body["password"], address))


@operation(account, "POST /password/change", summary="Change your password", tag="auth", allow=anyone(),
           body=s.PasswordChange, transacted=False,
           raises=(LoginRefused, PasswordRefused, UserNotFound, RateLimited))  # fmt: skip
def change(call: Call) -> None:
    """All your other sessions end, in all tenants."""
    its, caller = collaborators(), call.caller
    subjects, limit = [f"account:{caller.user_id}"], its.settings.rate_limit_login
    guard = attempts.guarding(its.database, subjects, (LoginRefused,), limit=limit)
    with guard, its.database.transaction(caller.tenant) as session:
        accounts.change(session, caller, call.body["current_password"], call.body["password"])
