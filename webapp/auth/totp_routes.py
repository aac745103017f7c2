"""The caller's own second factor. Each of these may be guessed at, so each is counted like a log-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint
from sqlalchemy.orm import Session

from webapp.auth import attempts, totp
from webapp.auth import totp_schemas as s
from webapp.auth.refusals import LoginRefused
from webapp.auth.users import UserNotFound
from webapp.caller import anyone
from webapp.collaborators import collaborators
from webapp.limits import RateLimited
from webapp.operation import Call, operation

second_factor = Blueprint("second_factor", __name__, url_prefix="/api/v1/auth/totp")

USERS = anyone()
WRONG = (totp.TotpWrong, LoginRefused)
CHANGES = (UserNotFound, totp.TotpNotEnrolled, totp.TotpWrong, RateLimited)


@contextmanager
def _counted(call: Call) -> Iterator[Session]:
    """A transaction of the caller's tenant; a wrong code or password in it counts against them."""
    its = collaborators()
    subjects = [f"account:{call.caller.user_id}"]
    guard = attempts.guarding(its.database, subjects, WRONG, limit=its.settings.rate_limit_login)
    with guard, its.database.transaction(call.caller.tenant) as session:
        yield session


@operation(second_factor, "POST /enrol", summary="Begin to set up a second factor", tag="auth", allow=USERS,
           answer=s.EnrolmentView, raises=(UserNotFound, totp.TotpEnrolled))  # fmt: skip
def enrol(call: Call) -> totp.Enrolment:
    """Nothing changes until a code is confirmed. Beginning again makes another secret."""
    return totp.enrol(call.session, call.caller, collaborators().settings.session_secret)


@operation(second_factor, "POST /confirm", summary="Confirm the second factor with a code", tag="auth", allow=USERS,
           body=s.Code, answer=s.RecoveryCodesView, transacted=False,
           raises=(totp.TotpEnrolled, *CHANGES), example={"code": "123456"})  # fmt: skip
def confirm(call: Call) -> dict[str, Any]:
    """The recovery codes are shown this once; each takes a code's place at one log-in."""
    with _counted(call) as session:
        keys = collaborators().settings.session_keys
        return {"recovery_codes": totp.confirm(session, call.caller, keys, call.body["code"])}


@operation(second_factor, "POST /recovery-codes", summary="Ten new recovery codes", tag="auth", allow=USERS,
           body=s.Code, answer=s.RecoveryCodesView, transacted=False, raises=CHANGES,
           example={"code": "123456"})  # fmt: skip
def recovery_codes(call: Call) -> dict[str, Any]:
    """Those there were are worth nothing any more."""
    with _counted(call) as session:
        keys = collaborators().settings.session_keys
        return {"recovery_codes": totp.renew_recovery_codes(session, call.caller, keys, call.body["code"])}


@operation(second_factor, "POST /disable", summary="Take the second factor away", tag="auth", allow=USERS,
           body=s.Disable, transacted=False, raises=(LoginRefused, *CHANGES),
           example={"code": "123456", "password": "correct horse battery"})  # fmt: skip
def disable(call: Call) -> None:
    with _counted(call) as session:
        keys = collaborators().settings.session_keys
        totp.disable(session, call.caller, keys, call.body["password"], call.body["code"])
