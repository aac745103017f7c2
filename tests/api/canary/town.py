"""An installation with everything there is: people, a machine, a lease, a release, an agent, secrets, commands."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from tests.api.canary.asking import Asker
from tests.api.canary.markers import Markers
from tests.api.canary.places import Source
from tests.bench.installation import Installation
from webapp.auth.service import new_opaque
from webapp.caller import SCOPES
from webapp.settings import CHECKOUT, inherited

VM, MODULE, PLATFORM, USER = "vm-0000-0001", "app", "linux", "ada"


@dataclass
class Town:
    """One tenant. `known` grows with what is made: names of fields and path values → ids."""

    own: Installation
    api: Asker
    markers: Markers
    tenant: UUID
    admin: str = ""
    agent: str = ""
    known: dict[str, Any] = field(default_factory=dict)
    # What `moorage` commands have printed.
    said: list[Source] = field(default_factory=list)

    def settle(self, folder: Path) -> None:
        """Make everything, with markers wherever a person writes something."""
        self.admin = self.own.token(self.tenant, "admin", USER)
        self.markers.real[self.admin] = "the admin's token"
        self._people()
        self._licences()
        self._artifact(folder)
        self._agent()
        self._secrets()
        self._records()

    def token(self, role: str = "admin") -> str:
        """Of somebody else each time: who logs out takes only their own sessions along."""
        token = self.own.token(self.tenant, role, f"{role}-{uuid4().hex[:8]}")
        self.markers.real[token] = f"a token of a {role}"
        return token

    def key(self) -> str:
        """An API key with every scope."""
        made = new_opaque("mk", self.tenant, holder := uuid4())
        with self.own.database.transaction(self.tenant) as session:
            session.execute(
                text("INSERT INTO auth_keys (id, tenant_id, owner_id, name, scopes, digest)"
                     " VALUES (:id, :tenant, 'ada', 'k', :scopes, :digest)"),
                {"id": holder, "tenant": self.tenant, "scopes": list(SCOPES), "digest": made.digest},
            )  # fmt: skip
        self.markers.real[made.token.reveal()] = "an API key"
        return made.token.reveal()

    def run(self, *command: str, given: str = "", fails: bool = False) -> str:
        """A `moorage` command; its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "webapp", *command],
            cwd=CHECKOUT, env=inherited(**self.own.environment), input=given, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (done.returncode != 0) is fails, done.stderr
        self.said.append(Source(f"cli:{command[0]} {command[1]}", done.stderr if fails else done.stdout + done.stderr))
        return done.stdout.strip()

    def _people(self) -> None:
        secret, email = self.markers.secret, f"{self.markers.make('email', 'user create')}@example.org"
        command = ("user", "create", "--tenant", str(self.tenant), "--email", email, "--role", "member")
        self.run(*command, given=secret("a password that is too long") * 20, fails=True)
        password = secret("a password")
        self.run(*command, given=password)
        self.run(*command, given=secret("the password of a user that is there already"), fails=True)
        login = {"email": email, "password": password}
        self.api.ask("POST /api/v1/auth/login", body=login | {"password": secret("a wrong password")})
        self.api.ask("POST /api/v1/auth/login", body=login | {"totp": secret("a TOTP")})
        self.api.ask("POST /api/v1/auth/login", body=login | {"email": password})
        tokens = self.api.needs("POST /api/v1/auth/login", body=login)
        first = {"refresh_token": tokens["refresh_token"]}
        again = self.api.needs("POST /api/v1/auth/refresh", body=first)
        self.api.ask("GET /api/v1/auth/whoami", again["access_token"])
        self.api.ask("POST /api/v1/auth/refresh", body=first)  # used before: ends the family
        self.api.ask("GET /api/v1/auth/whoami", again["access_token"])

    def _licences(self) -> None:
        post, known = self._post, self.known
        known["license_id"] = post("/licenses", {"user_id": USER, "type": "perpetual"})["id"]
        known["entitlement_id"] = post("/entitlements", {"user_id": USER, "module": "*"})["id"]
        post("/vm/register", {"vm_uuid": VM, "user_id": USER, "status": "active"})
        asked = {"vm_uuid": VM, "agent_id": "a", "runner_id": "r", "module": MODULE}
        lease = post("/license/lease", asked)
        known |= {"vm_uuid": VM, "module": MODULE, "platform": PLATFORM, "channel": "stable", "user_id": USER}
        known |= {"lease_id": lease["lease_id"], "lease_token": lease["token"]}
        post("/license/heartbeat", {"lease_id": lease["lease_id"]})

    def _artifact(self, folder: Path) -> None:
        file = folder / "artifact.bin"
        file.write_bytes(b"x" * 1000)
        about = ("--module", MODULE, "--platform", PLATFORM, "--version", "1")
        release = int(self.run("artifact", "publish", str(file), "--tenant", str(self.tenant), *about))
        self._post("/artifacts/assign", {"module": MODULE, "platform": PLATFORM, "release_id": release})
        self.known["release_id"] = release
        names = ("lease_token", "vm_uuid", "module", "platform")
        fetched = self._post("/artifacts/resolve-download", {name: self.known[name] for name in names})
        asked = {"resolution_id": fetched["resolution_id"], "lease_token": self.known["lease_token"]}
        self._post(
            "/artifacts/report-download", asked | {"outcome": "failed", "error": self.markers.make("error", "report")}
        )
        self.known |= {"resolution_id": fetched["resolution_id"], "outcome": "verified"}

    def fetch_what_was_never_seen(self) -> None:
        """A download under a new lease, of an object that the store has to be asked for."""
        self._licences()
        given = {name: self.known[name] for name in ("module", "platform")}
        release = {
            "version": "2",
            "object_key": self.markers.make("object_key", "release"),
            "sha256": "0" * 64,
            "size_bytes": 1,
        }
        made = self._post("/artifacts/releases", given | release)["id"]
        self._post("/artifacts/assign", given | {"release_id": made, "user_id": USER})
        asked = given | {"lease_token": self.known["lease_token"], "vm_uuid": VM}
        self.api.ask("POST /api/v1/artifacts/resolve-download", self.admin, asked)
        assert "STORAGE_UNAVAILABLE" in self.api.answers[-1].text, self.api.answers[-1]

    def _agent(self) -> None:
        code = self._post("/agents/pairings", {})["pairing_code"]
        spare = self._post("/agents/pairings", {})["pairing_code"]
        made = self.api.needs("POST /api/v1/agents/register", body={"pairing_code": code})
        self.api.ask("POST /api/v1/agents/register", body={"pairing_code": code})  # once only
        self.api.ask(
            "POST /api/v1/agents/register", body={"pairing_code": spare.lower().replace("-", ""), "version": 1}
        )
        self.agent, self.known["agent_id"] = made["agent_token"], made["id"]
        self.agent = self.api.needs("POST /api/v1/agents/token", self.agent)["agent_token"]
        self.api.needs("POST /api/v1/agents/heartbeat", self.agent, {"agent_id": made["id"]})

    def _secrets(self) -> None:
        sealed = {name: self.markers.make(name, "secrets") for name in ("ciphertext", "nonce", "key_id")}
        secret = self._post("/secrets", {"label": self.markers.make("label", "secrets"), **sealed})["id"]
        self._post(f"/secrets/{secret}/rotate", {**sealed, "ciphertext": self.markers.make("ciphertext", "rotate")})
        scope = {"scope_type": "agent", "scope_id": self.known["agent_id"]}
        binding = self._post("/secrets/bindings", {**scope, "secret_ref": secret, "field_name": "proxmox.password"})
        self.known |= {"secret_id": secret, "secret_ref": secret, "binding_id": binding["id"], **scope}
        command = self.command()
        query = f"GET /api/v1/agents/{self.known['agent_id']}/secrets?command_id={command}"
        assert self.api.needs(query, self.agent)
        self.api.needs(f"POST /api/v1/agents/{self.known['agent_id']}/secrets/{secret}/ack", self.agent, {"version": 2})
        self.known["command_id"] = command

    def _records(self) -> None:
        self.known |= {"record_id": str(uuid4()), "path": "ui/theme"}
        self.known |= {"resource_kind": "proxies", "workspace_kind": "notes"}
        for path in ("/resources/proxies", "/workspace/notes", "/bots", "/finance/operations"):
            self._post(path, {"id": self.known["record_id"], "note": self.markers.make("record", path)})

    def command(self) -> str:
        """One that the agent has just been given; another is queued in its place."""
        params = {"note": self.markers.make("params", "a command")}
        self._post("/vm-ops/proxmox/start", {"agent_id": self.known["agent_id"], "params": params})
        query = f"GET /api/v1/vm-ops/commands/next?agent_id={self.known['agent_id']}&timeout_ms=1000"
        return str(self.api.needs(query, self.agent)["id"])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self.api.needs(f"POST /api/v1{path}", self.admin, body)
