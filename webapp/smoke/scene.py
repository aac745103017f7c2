"""What the trial of artifacts makes for itself in a tenant, and takes away again: names that no product uses."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from webapp.failures import Failure
from webapp.redaction import Secret
from webapp.smoke.plane import Answer, Plane

PLATFORM = "smoke"


class SmokeUnprepared(Failure):
    code = "SMOKE_UNPREPARED"


@dataclass
class Scene:
    """A user, a machine and a module of this trial alone, and the object of a release that is there already.

    `attempts` is what the audit table must say of it, in order: the refusal's code, or "" for a URL.
    """

    plane: Plane
    given: dict[str, Any]
    name: str = field(default_factory=lambda: f"smoke-{secrets.token_hex(8)}")
    attempts: list[str] = field(default_factory=list)
    lease: dict[str, Any] = field(default_factory=dict)
    license_id: str = ""
    release_id: int = 0

    @classmethod
    def of(cls, plane: Plane, release_id: int) -> Scene:
        """Raises SmokeUnprepared where the release cannot be read or handed out."""
        answer = plane.call("GET", f"/artifacts/releases/{release_id}")
        if answer.status != 200:
            raise SmokeUnprepared(
                f"Release {release_id} cannot be read with this token ({answer}). Give an admin's token and the id of a"
                " release of its tenant: `moorage artifact publish` prints one."
            )
        return cls(plane, answer.data)

    def made(self, method: str, path: str, body: Any) -> Any:
        """What a call that has to succeed brings. Raises SmokeUnprepared."""
        answer = self.plane.call(method, path, body)
        if answer.status not in {200, 201}:
            raise SmokeUnprepared(f"{method} {path} was answered {answer}; the trial needs it to succeed"
                                  + (", with an admin's token." if answer.status == 403 else "."))  # fmt: skip
        return answer.data

    def register(self, **changes: Any) -> Any:
        return self.made("POST", "/vm/register", {"vm_uuid": self.name, "user_id": self.name, **changes})

    def licensed(self) -> None:
        self.license_id = self.made("POST", "/licenses", {"user_id": self.name, "type": "perpetual"})["id"]

    def entitle(self, module: str) -> None:
        self.made("POST", "/entitlements", {"user_id": self.name, "module": module})

    def release(self, **changes: Any) -> int:
        facts = {name: self.given[name] for name in ("object_key", "sha256", "size_bytes")}
        scope = {"module": self.name, "platform": PLATFORM, "version": "smoke"}
        return int(self.made("POST", "/artifacts/releases", {**facts, **scope, **changes})["id"])

    def assign(self, release_id: int, **changes: Any) -> Answer:
        scope = {"user_id": self.name, "module": self.name, "platform": PLATFORM, "release_id": release_id}
        return self.plane.call("POST", "/artifacts/assign", {**scope, **changes})

    def take_lease(self) -> dict[str, Any]:
        """A lease of the machine for the module. Raises SmokeUnprepared."""
        answer = self.ask_lease()
        if answer.status != 201:
            raise SmokeUnprepared(f"A lease was answered {answer}, though everything that it needs is there.")
        return {**answer.data, "seconds": answer.data["expires_at"] / 1000 - answer.at}

    def ask_lease(self, **changes: Any) -> Answer:
        who = {"vm_uuid": self.name, "user_id": self.name, "agent_id": "smoke", "runner_id": "smoke"}
        return self.plane.call("POST", "/license/lease", {**who, "module": self.name, **changes})

    def resolve(self, *, bearer: Secret | None = None, **changes: Any) -> Answer:
        """`bearer` is of another tenant, or of nobody: what it asks is not in this tenant's audit table."""
        token = {"lease_token": self.lease["token"]}
        asked = {**token, "vm_uuid": self.name, "module": self.name, "platform": PLATFORM, **changes}
        answer = self.plane.call("POST", "/artifacts/resolve-download", asked, bearer=bearer)
        if bearer is None:
            self.attempts.append(answer.code)
        return answer

    @contextlib.contextmanager
    def machine(self, **changes: Any) -> Iterator[None]:
        """While the machine's record says something else."""
        self.register(**changes)
        try:
            yield
        finally:
            self.register(status="active", user_id=self.name)

    @contextlib.contextmanager
    def unlicensed(self) -> Iterator[None]:
        self.made("PATCH", f"/licenses/{self.license_id}", {"status": "suspended"})
        try:
            yield
        finally:
            self.made("PATCH", f"/licenses/{self.license_id}", {"status": "active"})

    @contextlib.contextmanager
    def entitled_to(self, *modules: str) -> Iterator[None]:
        """While the user is entitled to these alone."""
        self.withdraw()
        for module in modules:
            self.entitle(module)
        try:
            yield
        finally:
            self.withdraw()
            self.entitle(self.name)

    @contextlib.contextmanager
    def handing_out(self, **changes: Any) -> Iterator[None]:
        """While another release is the user's, which differs in this."""
        self.assign(self.release(**changes))
        try:
            yield
        finally:
            self.assign(self.release_id)

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        self.made("PATCH", f"/artifacts/releases/{self.release_id}", {"status": "disabled"})
        try:
            yield
        finally:
            self.made("PATCH", f"/artifacts/releases/{self.release_id}", {"status": "active"})

    def withdraw(self) -> None:
        for one in self.made("GET", f"/entitlements?user_id={self.name}&limit=200", None):
            self.made("DELETE", f"/entitlements/{one['id']}", None)

    def clear(self) -> list[str]:
        """Take everything out of force. What cannot be deleted stays as a record that allows nothing. Never raises:
        gives what did not work."""
        wrong: list[str] = []
        for step in (self.withdraw, self._revoke, self._archive, self._retire):
            try:
                step()
            except Failure as failure:
                wrong.append(str(failure))
        return wrong

    def _revoke(self) -> None:
        if self.license_id:
            self.made("PATCH", f"/licenses/{self.license_id}", {"status": "revoked"})

    def _retire(self) -> None:
        self.register(status="revoked")

    def _archive(self) -> None:
        for one in self.made("GET", f"/artifacts/releases?module={self.name}&limit=200", None):
            self.made("PATCH", f"/artifacts/releases/{one['id']}", {"status": "archived"})
