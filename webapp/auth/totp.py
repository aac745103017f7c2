"""The second factor: time-based codes (RFC 6238; SHA-1, 6 digits, 30 s, as every app knows them) and recovery codes."""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import b32encode
from contextlib import suppress
from dataclasses import dataclass

import pyotp
import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.auth import passwords, users
from webapp.auth.refusals import LoginRefused
from webapp.auth.tokens import digest_of
from webapp.auth.user_models import AuthRecoveryCode, AuthUser
from webapp.caller import Caller
from webapp.errors import MoorageError
from webapp.redaction import Secret
from webapp.sealed import opened, seal
from webapp.signing import SigningKeys

ISSUER = "Moorage"
STEP_SECONDS = 30
# A phone's clock may be a step off, and a code may be typed slowly.
DRIFT_STEPS = 1
# 80 bits each: no attempts limit is needed to keep them from being guessed.
RECOVERY_CODES, RECOVERY_BYTES = 10, 10


class MfaRequired(MoorageError):
    status, code = 401, "MFA_REQUIRED"
    message = "This user has a second factor. Send totp: the code of their app, or a recovery code."


class TotpWrong(MoorageError):
    status, code, message = 403, "TOTP_WRONG", "This code is wrong, or was used before. Send the app's next one."


class TotpEnrolled(MoorageError):
    status, code, message = 409, "TOTP_ENROLLED", "This user has a second factor already. Disable it first."


class TotpNotEnrolled(MoorageError):
    status, code, message = 409, "TOTP_NOT_ENROLLED", "There is no second factor to be confirmed or changed."


@dataclass(frozen=True)
class Enrolment:
    """What an app needs: as text, as an `otpauth://` address, and as that address's QR code (SVG)."""

    secret: str
    otpauth_uri: str
    qr_svg: str


def enrol(session: Session, caller: Caller, pepper: Secret) -> Enrolment:
    """A new secret, in force once a code of it has been confirmed. Raises UserNotFound, TotpEnrolled."""
    user = users.known(session, caller.user_id)
    if user.totp_confirmed_at is not None:
        raise TotpEnrolled
    secret = pyotp.random_base32()
    user.totp_sealed = seal(_key(pepper), secret.encode(), user.id.encode())
    user.totp_last_step = 0
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER)
    return Enrolment(secret, uri, segno.make(uri, error="m").svg_inline(scale=4, border=2))


def confirm(session: Session, caller: Caller, keys: SigningKeys, code: str) -> list[str]:
    """From now on log-ins ask for a code. The recovery codes, shown this once.

    Raises UserNotFound, TotpEnrolled, TotpNotEnrolled, TotpWrong.
    """
    user = users.known(session, caller.user_id)
    if user.totp_confirmed_at is not None:
        raise TotpEnrolled
    if user.totp_sealed is None:
        raise TotpNotEnrolled
    if not _right(session, user, keys, code):
        raise TotpWrong
    user.totp_confirmed_at = func.now()
    audit.record(session, caller, "totp_enabled", subject=user.id)
    return _new_recovery_codes(session, user)


def disable(session: Session, caller: Caller, keys: SigningKeys, password: str, code: str) -> None:
    """Log-ins ask for the password only. Raises UserNotFound, TotpNotEnrolled, LoginRefused, TotpWrong."""
    user = _confirmed(session, caller)
    if not passwords.right(user.password_hash, password):
        raise LoginRefused
    if not _satisfied(session, user, keys, code):
        raise TotpWrong
    user.totp_sealed = user.totp_confirmed_at = None
    session.execute(delete(AuthRecoveryCode).where(AuthRecoveryCode.user_id == user.id))
    audit.record(session, caller, "totp_disabled", subject=user.id)


def renew_recovery_codes(session: Session, caller: Caller, keys: SigningKeys, code: str) -> list[str]:
    """Ten new ones in place of those there were. Raises UserNotFound, TotpNotEnrolled, TotpWrong."""
    user = _confirmed(session, caller)
    if not _satisfied(session, user, keys, code):
        raise TotpWrong
    audit.record(session, caller, "recovery_codes_renewed", subject=user.id)
    return _new_recovery_codes(session, user)


def require(session: Session, user: AuthUser, keys: SigningKeys, code: str | None) -> None:
    """At a log-in, where the user has a second factor. Raises MfaRequired, LoginRefused."""
    if user.totp_confirmed_at is None:
        return
    if not code:
        raise MfaRequired
    if not _satisfied(session, user, keys, code):
        raise LoginRefused


def _satisfied(session: Session, user: AuthUser, keys: SigningKeys, code: str) -> bool:
    return _right(session, user, keys, code) or _recovered(session, user, code)


def _right(session: Session, user: AuthUser, keys: SigningKeys, code: str) -> bool:
    """Is it a code of now, and the first time that one of its step is used? The row's lock lets one of two win."""
    plain = _opened(user, keys)
    if plain is None:  # there is none, or SESSION_SECRET was replaced by hand since
        return False
    known, now = pyotp.TOTP(plain.decode()), int(time.time()) // STEP_SECONDS
    given = code.replace(" ", "").encode()
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if hmac.compare_digest(known.generate_otp(step).encode(), given):
            fresh = update(AuthUser).where(AuthUser.id == user.id, AuthUser.totp_last_step < step)
            return session.scalar(fresh.values(totp_last_step=step).returning(AuthUser.id)) is not None
    return False


def _opened(user: AuthUser, keys: SigningKeys) -> bytes | None:
    for pepper in keys.accepted():
        with suppress(InvalidTag):
            return opened(_key(pepper), user.totp_sealed or b"", user.id.encode())
    return None


def resealed(sealed: bytes, user_id: str, keys: SigningKeys) -> bytes | None:
    """The same, sealed with the current secret; None where it is that already, or opens with none of them."""
    current, *others = keys.accepted()
    with suppress(InvalidTag):
        opened(_key(current), sealed, user_id.encode())
        return None
    for pepper in others:
        with suppress(InvalidTag):
            return seal(_key(current), opened(_key(pepper), sealed, user_id.encode()), user_id.encode())
    return None


def _key(pepper: Secret) -> bytes:
    return HKDF(hashes.SHA256(), length=32, salt=None, info=b"moorage totp").derive(pepper.reveal().encode())


def _recovered(session: Session, user: AuthUser, code: str) -> bool:
    mine = (AuthRecoveryCode.user_id == user.id, AuthRecoveryCode.used_at.is_(None))
    used = update(AuthRecoveryCode).where(*mine, AuthRecoveryCode.digest == _digest(code))
    return session.scalar(used.values(used_at=func.now()).returning(AuthRecoveryCode.user_id)) is not None


def _new_recovery_codes(session: Session, user: AuthUser) -> list[str]:
    session.execute(delete(AuthRecoveryCode).where(AuthRecoveryCode.user_id == user.id))
    raw = [b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    codes = ["-".join(one[at : at + 4] for at in range(0, len(one), 4)) for one in raw]
    rows = [{"user_id": user.id, "digest": _digest(code)} for code in codes]
    session.execute(insert(AuthRecoveryCode), rows)
    return codes


def _digest(code: str) -> bytes:
    return digest_of(code.replace("-", "").replace(" ", "").lower())


def _confirmed(session: Session, caller: Caller) -> AuthUser:
    user = users.known(session, caller.user_id)
    if user.totp_confirmed_at is None:
        raise TotpNotEnrolled
    return user
