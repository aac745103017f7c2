"""What people do with accounts, from registering to a key that is revoked, each step as it is meant to go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.api.auth.post import Post
from tests.api.auth.provider import Provider
from tests.api.auth.test_totp import Phone
from tests.api.canary.asking import Asker
from tests.api.canary.markers import Markers
from tests.api.canary.town import Town
from tests.api.machines import until

AUTH = "/api/v1/auth"


@dataclass
class Identity:
    """One who does all of it. `well`: the operations that have succeeded, as the document names them."""

    town: Town
    post: Post
    provider: Provider
    well: set[str] = field(default_factory=set)
    password: str = ""
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def api(self) -> Asker:
        return self.town.api

    @property
    def markers(self) -> Markers:
        return self.town.markers

    def walk(self) -> set[str]:
        self.email = f"{self.markers.make('email', 'register')}@example.org"
        self._registered()
        self._password()
        self._second_factor()
        self._sessions()
        self._signed_in_elsewhere()
        self._keys()
        self._members()
        self._project()
        return self.well

    def _do(self, line: str, body: Any = None, *, token: str = "", **ids: str) -> Any:
        """`line` as the document has it, with its ids in place of their names."""
        self.well.add(line)
        method, path = line.split(" ")
        return self.api.needs(f"{method} {path.format(**ids)}", token, body)

    def _secret(self, where: str) -> str:
        return self.markers.secret(where)

    def _letter(self, line: str, body: dict[str, str]) -> str:
        """The token in the letter that this call has sent."""
        before = len(self.post.letters)
        self._do(line, body)
        until(lambda: len(self.post.letters) > before, 30)
        token = self.post.token()
        self.markers.real[token] = f"the token in the letter of {line}"
        return token

    def _log_in(self, **more: str) -> None:
        login = {"email": self.email, "password": self.password, **more}
        self.tokens = self._do(f"POST {AUTH}/login", login)

    @property
    def token(self) -> str:
        return str(self.tokens["access_token"])

    def _registered(self) -> None:
        self.password = self._secret("register password")
        about = {"email": self.email, "password": self.password, "name": self.markers.make("name", "register")}
        self._letter(f"POST {AUTH}/register", about)
        token = self._letter(f"POST {AUTH}/verify-email/resend", {"email": self.email})
        self._do(f"POST {AUTH}/verify-email", {"token": token, "tenant_name": self.markers.make("name", "tenant")})
        self._log_in()

    def _password(self) -> None:
        change = {"current_password": self.password, "password": self._secret("a changed password")}
        self._do(f"POST {AUTH}/password/change", change, token=self.token)
        token = self._letter(f"POST {AUTH}/password/forgot", {"email": self.email})
        self.password = self._secret("a password after a reset")
        self._do(f"POST {AUTH}/password/reset", {"token": token, "password": self.password})
        self._log_in()

    def _second_factor(self) -> None:
        made = self._do(f"POST {AUTH}/totp/enrol", token=self.token)
        phone = Phone(made["secret"])
        codes = self._do(f"POST {AUTH}/totp/confirm", {"code": phone.code()}, token=self.token)["recovery_codes"]
        self.markers.real |= dict.fromkeys(codes, "a recovery code")
        self._log_in(totp=codes[0])
        again = self._do(f"POST {AUTH}/totp/recovery-codes", {"code": phone.code()}, token=self.token)
        self.markers.real |= dict.fromkeys(again["recovery_codes"], "a recovery code")
        self._do(f"POST {AUTH}/totp/disable", {"code": phone.code(), "password": self.password}, token=self.token)

    def _sessions(self) -> None:
        self._log_in()
        [before, *_] = self._do(f"GET {AUTH}/sessions", token=self.token)
        self._log_in()
        self.tokens = self._do(f"POST {AUTH}/refresh", {"refresh_token": self.tokens["refresh_token"]})
        self._do(f"DELETE {AUTH}/sessions/{{session_id}}", token=self.token, session_id=before["id"])

    def _signed_in_elsewhere(self) -> None:
        """The browser's way, which no JSON describes: a redirect with a state, a cookie, a code."""
        self.provider.account.email = self.email
        for name in ("github", "google"):
            status, _, text = self.api._send("GET", f"{AUTH}/oauth/{name}/start", "", None, {})
            assert status == 302, text
            told = {key.lower(): value for key, value in re.findall(r"^([\w-]+): (.*)$", text, re.MULTILINE)}
            brought = self.provider.consent(told["location"])
            self.markers.real[brought["code"]] = f"a code of {name}"
            query = "&".join(f"{key}={value}" for key, value in brought.items() if key in {"code", "state"})
            came = f"GET {AUTH}/oauth/{name}/callback?{query}"
            self.api.needs(came, Cookie=told["set-cookie"].partition(";")[0])
            self.well |= {f"GET {AUTH}/oauth/{{provider}}/{step}" for step in ("start", "callback")}
        self.markers.real |= dict.fromkeys(self.provider._tokens, "a token of the provider")

    def _keys(self) -> None:
        about = {"name": self.markers.make("name", "a key"), "scopes": ["ops:read"]}
        made = self._do(f"POST {AUTH}/keys", about, token=self.token)
        one = f"{AUTH}/keys/{{api_key_id}}"
        self._do(f"GET {AUTH}/keys", token=self.token)
        self._do(f"POST {one}/rotate", {"grace_seconds": 60}, token=self.token, api_key_id=made["id"])
        self._do(f"GET {one}", token=self.token, api_key_id=made["id"])
        self._do(f"DELETE {one}", token=self.token, api_key_id=made["id"])

    def _members(self) -> None:
        user = self.markers.make("user_id", "a member")
        self._do("POST /api/v1/members", {"user_id": user, "role": "viewer"}, token=self.token)
        self._do("GET /api/v1/members", token=self.token)
        self._do("PATCH /api/v1/members/{user_id}", {"role": "member"}, token=self.token, user_id=user)
        self._do("DELETE /api/v1/members/{user_id}", token=self.token, user_id=user)

    def _project(self) -> None:
        about = {"name": self.markers.make("name", "a project"), "description": self.markers.make("description", "one")}
        made = self._do("POST /api/v1/projects", about, token=self.token)
        one = "/api/v1/projects/{project_id}"
        self._do(f"GET {one}", token=self.token, project_id=made["id"])
        changed = {"name": self.markers.make("name", "a project changed")}
        self._do(f"PATCH {one}", changed, token=self.token, project_id=made["id"])
        self._do(f"DELETE {one}", token=self.token, project_id=made["id"])
