"""JWTs that others sign: their public keys by JWKS (RFC 7517), and what makes such a token good."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import jwt

from webapp.auth.fetched import Fetched
from webapp.redaction import Secret

# No HMAC among them: what is published verifies, and must never sign (RFC 8725, 3.1).
ASYMMETRIC = ("RS256", "ES256", "EdDSA")
SHARED = "HS256"
# Between clocks; the end of a token is its end.
LEEWAY_SECONDS = 60
MOST_KEYS = 50
_REQUIRED = ["iss", "sub", "aud", "iat", "exp"]


class NotGood(Exception):
    """A token that nobody vouches for. Why is not for its sender."""


class Expired(NotGood):
    """It was good once."""


class Keys:
    """The public keys behind a JWKS address."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._set = Fetched(url, keys_in, clock)

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of this id; the set is fetched again for one it lacks, as after a rotation. Raises Unreachable."""
        before = self._set.kept
        known = self._set.get()
        if kid not in known and known is before:
            known = self._set.renew()
        return known.get(kid)


def keys_in(document: Any) -> dict[str, jwt.PyJWK]:
    """The keys of a JWKS that may verify, by their ids. Raises ValueError where it is none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is no set of keys")
    found: dict[str, jwt.PyJWK] = {}
    for entry in entries[:MOST_KEYS]:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or not isinstance(entry.get("kid"), str):
            continue
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue  # of a kind that we do not know: the others count all the same
        if key.algorithm_name in ASYMMETRIC:
            found[entry["kid"]] = key
    return found


def verified(
    token: str, keys: Keys, *, issuers: Sequence[str], audience: str, shared: Secret | None = None
) -> dict[str, Any]:
    """The claims of a token that one of `issuers` signed for `audience`; HS256 counts only with a `shared` secret.

    Raises NotGood, Unreachable.
    """
    try:
        header = jwt.get_unverified_header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        key = _key(keys, algorithm, kid, shared)
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[str(algorithm)], issuer=list(issuers), audience=audience, leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )  # fmt: skip
        if time.time() >= float(claims["exp"]):
            raise Expired("it is past its end")
    except jwt.ExpiredSignatureError as error:
        raise Expired("it is past its end") from error
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise NotGood(type(error).__name__) from error
    return claims


def _key(keys: Keys, algorithm: object, kid: object, shared: Secret | None) -> jwt.PyJWK | str:
    if shared is not None and algorithm == SHARED:
        return shared.reveal()
    if algorithm not in ASYMMETRIC or not isinstance(kid, str):
        raise NotGood("it names no algorithm or no key that we take")
    found = keys.find(kid)
    # The key says what it is for, not the token.
    if found is None or found.algorithm_name != algorithm:
        raise NotGood("its key is not the issuer's")
    return found
