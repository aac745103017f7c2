"""GitHub and Google as they sign people in: where to send a browser, and whom a code that comes back stands for."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from webapp.auth.fetched import Fetched, Unreachable
from webapp.auth.jwks import Keys, NotGood, verified
from webapp.auth.oauth_client import App, Errand, failed
from webapp.settings_identity import IdentitySettings

GITHUB, GOOGLE = "https://github.com", "https://accounts.google.com"


@dataclass(frozen=True)
class Profile:
    """Whom a provider has signed in. `identity` stays theirs whatever they change."""

    identity: str
    email: str | None
    email_verified: bool


class Provider(Protocol):
    def address(self, errand: Errand) -> str:
        """Where the browser goes. Raises ProviderError."""

    def profile(self, errand: Errand, code: str) -> Profile:
        """Whom the code stands for. Raises CodeRefused, ProviderError."""


def providers_of(settings: IdentitySettings, clock: Callable[[], float] = time.monotonic) -> Mapping[str, Provider]:
    """Those that are configured, by name. Nothing is fetched here."""
    found: dict[str, Provider] = {}
    if settings.github_client_id and settings.github_client_secret:
        app = App(settings.github_client_id, settings.github_client_secret, "user:email")
        found["github"] = GitHub(app, settings.oauth_github_url.rstrip("/"), settings.oauth_github_api_url.rstrip("/"))
    if settings.google_client_id and settings.google_client_secret:
        app = App(settings.google_client_id, settings.google_client_secret, "openid email")
        found["google"] = Google(app, settings.oauth_google_issuer, clock)
    return found


class GitHub:
    """OAuth 2 without OpenID: whom a token stands for is asked of the API."""

    def __init__(self, app: App, url: str, api: str) -> None:
        self._app, self._url, self._api = app, url, api
        # Numbers of another server are other people's.
        self._realm = "github" if url == GITHUB else f"github({url})"

    def address(self, errand: Errand) -> str:
        return self._app.address(errand, f"{self._url}/login/oauth/authorize")

    def profile(self, errand: Errand, code: str) -> Profile:
        with self._app.signed_in(errand, code, f"{self._url}/login/oauth/access_token") as session:
            number = self._ask(session, "/user")["id"]
            if type(number) is not int:
                raise ValueError("an account without a number")
            # The profile's own address may be anything; this list says which are verified.
            [primary] = [one for one in self._ask(session, "/user/emails") if one["primary"] is True] or [None]
        email, known = (str(primary["email"]), primary["verified"] is True) if primary else (None, False)
        return Profile(f"{self._realm}:{number}", email, known)

    def _ask(self, session: Any, path: str) -> Any:
        headers = {"Accept": "application/vnd.github+json"}
        answer = session.get(f"{self._api}{path}", headers=headers, allow_redirects=False)
        if answer.status_code != 200:
            raise ValueError(f"{path} answered {answer.status_code}")
        return answer.json()


class Google:
    """OpenID Connect: where things are, its discovery document says; who somebody is, a signed id token."""

    def __init__(self, app: App, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._issuer, self._clock = app, issuer, clock
        self._realm = "google" if issuer == GOOGLE else f"google({issuer})"
        self._discovery = Fetched(f"{issuer.rstrip('/')}/.well-known/openid-configuration", self._read, clock)
        self._keys: dict[str, Keys] = {}

    def address(self, errand: Errand) -> str:
        return self._app.address(errand, self._known()["authorization_endpoint"], nonce=errand.nonce.reveal())

    def profile(self, errand: Errand, code: str) -> Profile:
        known = self._known()
        with self._app.signed_in(errand, code, known["token_endpoint"]) as session:
            # Google's older tokens leave the scheme out.
            names = [self._issuer, self._issuer.removeprefix("https://")]
            claims = verified(
                session.token["id_token"], self._keys[known["jwks_uri"]], issuers=names, audience=self._app.client_id
            )
            if not hmac.compare_digest(str(claims.get("nonce")).encode(), errand.nonce.reveal().encode()):
                raise NotGood("its nonce is not ours")
            if claims.get("azp", self._app.client_id) != self._app.client_id:
                raise NotGood("it was made for another client")
        email = claims.get("email")
        known_email = isinstance(email, str) and claims.get("email_verified") is True
        return Profile(f"{self._realm}:{claims['sub']}", email if isinstance(email, str) else None, known_email)

    def _known(self) -> dict[str, str]:
        try:
            return self._discovery.get()
        except Unreachable as error:
            raise failed(self._issuer, "no discovery document") from error

    def _read(self, document: Any) -> dict[str, str]:
        if not isinstance(document, dict) or document.get("issuer") != self._issuer:
            raise ValueError("it is no discovery document of this issuer")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        found = {name: document.get(name) for name in names}
        # Whoever is asked by TLS does not send us on without it.
        scheme = self._issuer.partition("://")[0]
        if not all(isinstance(url, str) and url.startswith(("https://", f"{scheme}://")) for url in found.values()):
            raise ValueError("it lacks an end point")
        self._keys.setdefault(str(found["jwks_uri"]), Keys(str(found["jwks_uri"]), self._clock))
        return {name: str(url) for name, url in found.items()}
