"""Ourselves as a client of a sign-in provider: Authlib with PKCE and time-outs, and our words for its errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from webapp.auth.fetched import Unreachable
from webapp.auth.jwks import NotGood
from webapp.errors import MoorageError
from webapp.redaction import Secret

log = logging.getLogger("moorage.auth")

# Somebody waits in front of a browser, and a thread of ours with them.
TIMEOUT_SECONDS = 5
# RFC 6749 (5.2), and what GitHub says instead: the code is wrong, used or too old, or its verifier is.
_WRONG_CODE = frozenset({"invalid_grant", "bad_verification_code"})


class ProviderError(MoorageError):
    status, code = 502, "OAUTH_PROVIDER_ERROR"
    message = "The sign-in provider does not answer as it should just now. Try again shortly."


class CodeRefused(MoorageError):
    status, code = 400, "OAUTH_CODE_REFUSED"
    message = "The sign-in provider does not take this code: it was used, or is too old. Begin again."


@dataclass(frozen=True)
class Errand:
    """One sign-in on its way. The provider shows `state` to everybody on the way; the others prove that it is ours."""

    state: str
    redirect_uri: str
    verifier: Secret
    nonce: Secret


@dataclass(frozen=True)
class App:
    """Ourselves, as a provider knows us."""

    client_id: str
    secret: Secret
    scope: str

    def session(self, errand: Errand) -> Any:
        """Authlib's client for one errand."""
        from authlib.integrations import requests_client  # type: ignore[import-untyped]  # noqa: PLC0415 - no types; 12 MB

        return requests_client.OAuth2Session(
            self.client_id, self.secret.reveal(), scope=self.scope, redirect_uri=errand.redirect_uri,
            token_endpoint_auth_method="client_secret_post", code_challenge_method="S256",  # noqa: S106 - a method's name
            default_timeout=TIMEOUT_SECONDS,
        )  # fmt: skip

    def address(self, errand: Errand, endpoint: str, **more: str) -> str:
        with self.session(errand) as session:
            made, _ = session.create_authorization_url(
                endpoint, state=errand.state, code_verifier=errand.verifier.reveal(), **more
            )
        return str(made)

    @contextmanager
    def signed_in(self, errand: Errand, code: str, endpoint: str) -> Iterator[Any]:
        """Authlib's client with the tokens for a code. Raises CodeRefused, ProviderError, also for errors within."""
        from authlib.integrations import base_client  # noqa: PLC0415 - as above
        from requests import RequestException  # noqa: PLC0415 - as above

        try:
            with self.session(errand) as session:
                # A redirect would carry our secret elsewhere.
                session.fetch_token(
                    endpoint, code=code, code_verifier=errand.verifier.reveal(), allow_redirects=False
                )
                yield session
        except base_client.OAuthError as error:
            if error.error in _WRONG_CODE:
                raise CodeRefused from None
            raise failed(endpoint, str(error.error)) from error
        except (RequestException, Unreachable, NotGood, ValueError, KeyError, TypeError, AttributeError) as error:
            raise failed(endpoint, f"{type(error).__name__}: {error}") from error


def failed(endpoint: str, reason: str) -> ProviderError:
    """Why is for the log: it is the operator's to mend, or the provider's."""
    log.warning("a sign-in provider failed", extra={"url": endpoint, "reason": reason})
    return ProviderError()
