"""An identity provider of the tests' own: a real HTTP server with OpenID Connect and GitHub's end points.

It refuses what a real one refuses: a wrong client secret, a used code, a verifier that does not fit its challenge.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

JWKS = "/.well-known/jwks.json"
DISCOVERY = "/.well-known/openid-configuration"
CLIENT_ID, CLIENT_SECRET = "client-1.apps.example.org", "a client secret of the tests"
KINDS: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True)
class Key:
    """A key pair as an issuer has it."""

    kid: str
    algorithm: str
    private: Any

    @classmethod
    def new(cls, algorithm: str = "ES256") -> Key:
        return cls(secrets.token_hex(4), algorithm, KINDS[algorithm]())

    def public(self) -> dict[str, Any]:
        """As a JWKS shows it."""
        shown = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key(), as_dict=True)
        return {**shown, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def public_pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return bytes(self.private.public_key().public_bytes(serialization.Encoding.PEM, form))

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers={"kid": self.kid, **header})


@dataclass
class Account:
    """Somebody at the provider. `number` is GitHub's id, and the subject of id tokens."""

    number: int
    email: str
    verified: bool = True
    # What GitHub lists; None: the one address, as the primary one.
    emails: list[dict[str, Any]] | None = None

    def listed(self) -> list[dict[str, Any]]:
        known = {"email": self.email, "primary": True, "verified": self.verified, "visibility": None}
        return [known] if self.emails is None else self.emails


@dataclass
class Provider:
    """The server. `keys` are shown; the last one signs. `asked` counts requests by path."""

    keys: list[Key] = field(default_factory=lambda: [Key.new()])
    account: Account = field(default_factory=lambda: Account(7, "nobody@example.org"))
    # Changes to what an id token says; None leaves a claim out.
    says: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    # Answers in place of the real ones, by path: a status, or seconds to be silent for.
    broken: dict[str, int | float] = field(default_factory=dict)
    port: int = 0
    _server: ThreadingHTTPServer | None = None
    _codes: dict[str, tuple[dict[str, str], Account]] = field(default_factory=dict)
    _tokens: dict[str, Account] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """What an installation is told that knows it, as GitHub and as Google."""
        return {
            "GITHUB_CLIENT_ID": CLIENT_ID, "GITHUB_CLIENT_SECRET": CLIENT_SECRET, "OAUTH_GITHUB_URL": self.url,
            "OAUTH_GITHUB_API_URL": f"{self.url}/api", "GOOGLE_CLIENT_ID": CLIENT_ID,
            "GOOGLE_CLIENT_SECRET": CLIENT_SECRET, "OAUTH_GOOGLE_ISSUER": self.url,
        }  # fmt: skip

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> Self:
        """Serving; after `down` at the same address again."""

        class Handler(_Handler):
            provider = self

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def rotate(self, algorithm: str = "ES256") -> Key:
        """Another key in place of those there were."""
        self.keys = [Key.new(algorithm)]
        return self.keys[0]

    def consent(self, address: str) -> dict[str, str]:
        """The browser at the authorization page, and what it comes back with. Fails where a provider would refuse."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT_ID, asked
        assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43, asked
        code = secrets.token_urlsafe(16)
        self._codes[code] = (asked, self.account)
        return {"code": code, "state": asked["state"], "scope": asked["scope"], "authuser": "0"}

    def redeem(self, form: dict[str, str]) -> dict[str, Any] | str:
        """Tokens for a code, or the name of what is wrong."""
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return "invalid_client"
        asked, account = self._codes.pop(form.get("code", ""), ({}, self.account))
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        fits = base64.urlsafe_b64encode(challenge).decode().rstrip("=") == asked.get("code_challenge")
        if not fits or form.get("redirect_uri") != asked["redirect_uri"]:
            return "invalid_grant"
        token = secrets.token_urlsafe(16)
        self._tokens[token] = account
        tokens = {"access_token": token, "token_type": "bearer", "scope": asked["scope"]}
        if "openid" in asked["scope"].split():
            tokens["id_token"] = self.keys[-1].sign(self._claims(asked, account))
        return tokens

    def _claims(self, asked: dict[str, str], account: Account) -> dict[str, Any]:
        now = int(time.time())
        said = {
            "iss": self.url, "sub": str(account.number), "aud": CLIENT_ID, "azp": CLIENT_ID, "iat": now,
            "exp": now + 3600, "nonce": asked.get("nonce"), "email": account.email, "email_verified": account.verified,
            **self.says,
        }  # fmt: skip
        return {name: value for name, value in said.items() if value is not None}

    def answer(self, method: str, path: str, form: dict[str, str], bearer: str) -> tuple[int, Any]:
        """Status and body. As GitHub, it answers 200 also where a code is wrong."""
        match method, path:
            case "GET", "/.well-known/jwks.json" | "/keys":
                return 200, {"keys": [key.public() for key in self.keys]}
            case "GET", "/.well-known/openid-configuration":
                ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
                return 200, {"issuer": self.url, **{name: self.url + end for name, end in ends.items()}}
            case "POST", "/token":
                made = self.redeem(form)
                return (400, {"error": made}) if isinstance(made, str) else (200, made)
            case "POST", "/login/oauth/access_token":
                made = self.redeem(form)
                wrong = {"invalid_grant": "bad_verification_code", "invalid_client": "incorrect_client_credentials"}
                return 200, {"error": wrong[made]} if isinstance(made, str) else made
            case "GET", "/api/user" | "/api/user/emails" if bearer in self._tokens:
                account = self._tokens[bearer]
                # The profile's own address is not the verified one.
                public = {"id": account.number, "login": "ada", "email": "public@example.org"}
                return 200, public if path == "/api/user" else account.listed()
        return (401 if path.startswith("/api/") else 404), {"message": "no"}


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def _serve(self) -> None:
        path = urlsplit(self.path).path
        self.provider.asked[path] = self.provider.asked.get(path, 0) + 1
        length = int(self.headers.get("Content-Length") or 0)
        form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        how = self.provider.broken.get(path)
        if isinstance(how, float):
            time.sleep(how)
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, body = self.provider.answer(self.command, path, form, bearer)
        if isinstance(how, int):
            status, body = how, {"message": "broken"}
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # whoever asked did not wait
            self.wfile.write(raw)

    do_GET = do_POST = _serve  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass
