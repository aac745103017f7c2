"""The variables of identity: a part of Settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from webapp import variables as v
from webapp.redaction import Secret
from webapp.variables import Variable

_ON_HOST = "/opt/moorage/.env on the host (playbooks/set_secret.yml puts it there)"
# Client ids, audiences, names of claims.
_word = v.matching(r"[\x21-\x7e]{1,200}", "1 to 200 printable ASCII characters without blanks")


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    rate_limit_login: Annotated[
        int,
        Variable(v.integer(0, 1_000_000), "Log-ins a minute for each address; 0 for any number.", default="10"),
    ]
    rate_limit_pairing: Annotated[
        int,
        Variable(v.integer(0, 1_000_000), "Pairing codes a minute for each address; 0 for any number.", default="10"),
    ]
    oidc_issuer: Annotated[
        str | None,
        Variable(
            v.url,
            "The outside issuer whose tokens count too, exactly as they name it in iss; unset: none.",
            optional=True,
        ),
    ]
    oidc_jwks_url: Annotated[
        str | None,
        Variable(v.url, "Where its public keys are. Default: OIDC_ISSUER/.well-known/jwks.json.", optional=True),
    ]
    oidc_audience: Annotated[
        str,
        Variable(_word, "What its tokens must have in aud.", default="authenticated"),
    ]
    oidc_tenant_claim: Annotated[
        str,
        Variable(_word, "The claim with the tenant's id, at the top or in app_metadata.", default="tenant_id"),
    ]
    oidc_hs256_secret: Annotated[
        Secret | None,
        Variable(
            v.secret(32),
            "Where the issuer signs with a shared secret (HS256): that secret.",
            optional=True,
            kept=_ON_HOST,
        ),
    ]
    github_client_id: Annotated[
        str | None,
        Variable(_word, "Sign-in with GitHub: the OAuth app's client id; unset: there is none.", optional=True),
    ]
    github_client_secret: Annotated[
        Secret | None,
        Variable(v.secret(8), "The OAuth app's client secret.", optional=True, kept=_ON_HOST),
    ]
    oauth_github_url: Annotated[
        str,
        Variable(v.url, "GitHub, or a GitHub Enterprise server.", default="https://github.com"),
    ]
    oauth_github_api_url: Annotated[
        str,
        Variable(
            v.url,
            "Its API; of a GitHub Enterprise server: https://HOST/api/v3.",
            default="https://api.github.com",
        ),
    ]
    google_client_id: Annotated[
        str | None,
        Variable(_word, "Sign-in with Google: the OAuth client's id; unset: there is none.", optional=True),
    ]
    google_client_secret: Annotated[
        Secret | None,
        Variable(v.secret(8), "The OAuth client's secret.", optional=True, kept=_ON_HOST),
    ]
    oauth_google_issuer: Annotated[
        str,
        Variable(v.url, "Google, as its id tokens name it.", default="https://accounts.google.com"),
    ]


def contradictions(values: Mapping[str, object]) -> list[str]:
    """What cannot be together, or is configured by half, of values by their fields' names."""
    pairs = [("github_client_id", "github_client_secret"), ("google_client_id", "google_client_secret")]
    found = [
        f"{secret.upper()} is missing: {name.upper()} is set, and is of no use without it."
        for name, secret in pairs
        if values.get(name) is not None and values.get(secret) is None
    ]
    shared = values.get("oidc_hs256_secret")
    if shared is not None and shared == values.get("session_secret"):
        found.append("OIDC_HS256_SECRET must be another secret than SESSION_SECRET.")
    return found
