"""A tenant in which a real thing of every kind of id can be made, by the product's own operations.

A new kind of id: one function here with `@makes("kind")`, and the parameter's name in slots.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from tests.api.fleet import Fleeted, enlist, key_of, order
from tests.api.people import Person, Town, data, its
from webapp.auth import service as auth
from webapp.caller import SCOPES
from webapp.licensing.service import lease_tokens

MODULE, PLATFORM = "app", "linux"
MAKERS: dict[str, Callable[[World], Any]] = {}
UNKNOWN: dict[str, Callable[[World], Any]] = {}
Maker = Callable[["World"], Any]


def makes(kind: str, unknown: Maker = lambda _: str(uuid4())) -> Callable[[Maker], Maker]:
    """Register what makes a thing of this kind and gives its id. `unknown`: an id of the same shape, of nothing."""

    def register(maker: Maker) -> Maker:
        MAKERS[kind], UNKNOWN[kind] = maker, unknown
        return maker

    return register


class World:
    """A tenant and its things, each made when first asked for. Its people's names are its own: a leak shows."""

    def __init__(self, town: Town) -> None:
        self.town, self._made = town, dict[str, Any]()
        self.mark = secrets.token_hex(6)

    def person(self, role: str) -> Person:
        return self.town.person(role, f"{role}-{self.mark}")

    @property
    def admin(self) -> Person:
        return self.person("admin")

    @property
    def agent(self) -> Fleeted:
        return self._kept("its agent", lambda: enlist(self.town, self.person("member"), machine_name=self.mark))

    def caller(self, kind: str, scope: str | None = None) -> Person:
        """admin, member, `agent`, or a `key` with the scope."""
        if kind == "agent":
            return self.agent
        if kind == "key":
            return self._kept(f"key {scope}", lambda: key_of(self.town, *([scope] if scope else SCOPES)))
        return self.person(kind)

    def value(self, kind: str) -> Any:
        """The id of a thing that exists here."""
        return self._kept(kind, lambda: MAKERS[kind](self))

    def unknown(self, kind: str) -> Any:
        """An id of nothing, as it would look for this world's own."""
        return UNKNOWN[kind](self)

    def known(self) -> set[str]:
        """All that nobody else may ever be told of this tenant."""
        ids = {str(value) for value in self._made.values() if isinstance(value, str)}
        return ids | {str(self.town.tenant), self.mark}

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


@makes("agent")
def _agent(world: World) -> str:
    return world.agent.id


@makes("command")
def _command(world: World) -> str:
    """One that its agent has been given."""
    made = order(world.town, world.agent, world.admin, node=world.mark, vm_uuid=world.value("vm"))
    assert world.agent.next()["id"] == made["id"]
    return str(made["id"])


@makes("user", unknown=lambda _: f"nobody-{secrets.token_hex(6)}")
def _user(world: World) -> str:
    """One who has a machine, a lease, an agent, a licence, an entitlement and an assignment of their own."""
    member = world.person("member")
    world.value("vm")
    data(world.admin.post("/api/v1/licenses", {"type": "perpetual", "user_id": member.user_id}), 201)
    world.value("entitlement")
    scope = {"module": MODULE, "platform": PLATFORM, "release_id": world.value("release")}
    data(world.admin.post("/api/v1/artifacts/assign", {**scope, "user_id": member.user_id}), 201)
    assert world.agent.id and world.value("lease")
    return member.user_id


@makes("membership")
def _membership(world: World) -> str:
    """Of the user, who until then has a token only."""
    given = {"user_id": world.person("member").user_id, "role": "member"}
    return str(data(world.admin.post("/api/v1/members", given), 201)["user_id"])


@makes("project")
def _project(world: World) -> str:
    return str(data(world.admin.post("/api/v1/projects", {"name": f"project-{world.mark}"}), 201)["id"])


@makes("record")
def _record(world: World) -> str:
    """The same id in a collection of each kind."""
    given = {"id": str(uuid4()), "name": f"record-{world.mark}"}
    for path in ("resources/proxies", "workspace/notes", "bots", "finance/operations"):
        data(world.admin.post(f"/api/v1/{path}", given), 201)
    return given["id"]


@makes("api key")
def _api_key(world: World) -> str:
    given = {"name": f"key-{world.mark}", "scopes": ["ops:read"]}
    return str(data(world.admin.post("/api/v1/auth/keys", given), 201)["id"])


@makes("vm", unknown=lambda _: f"vm-{secrets.token_hex(8)}")
def _vm(world: World) -> str:
    uuid = f"vm-{secrets.token_hex(8)}"
    said = {"vm_uuid": uuid, "vm_name": f"name-{world.mark}"}
    data(world.person("member").post("/api/v1/vm/register", said), 201)
    return uuid


@makes("license")
def _license(world: World) -> str:
    given = {"type": "subscription", "ends_at": "2190-01-01T00:00:00Z"}
    return str(data(world.admin.post("/api/v1/licenses", given), 201)["id"])


@makes("entitlement")
def _entitlement(world: World) -> str:
    given = {"user_id": world.person("member").user_id, "module": MODULE}
    return str(data(world.admin.post("/api/v1/entitlements", given), 201)["id"])


def _leased(world: World) -> dict[str, Any]:
    def take() -> dict[str, Any]:
        assert world.value("license") and world.value("entitlement")
        asked = {"vm_uuid": world.value("vm"), "agent_id": "a", "runner_id": "r", "module": MODULE}
        return dict(data(world.person("member").post("/api/v1/license/lease", asked), 201))

    made: dict[str, Any] = world._kept("its lease and token", take)
    return made


@makes("lease")
def _lease(world: World) -> str:
    return str(_leased(world)["lease_id"])


def _token_of_no_lease(world: World) -> str:
    """Well signed and of this tenant, but of a lease that never was."""
    lease = SimpleNamespace(
        id=uuid4(), tenant_id=world.town.tenant, user_id=world.person("member").user_id, vm_uuid=world.value("vm"),
        module=MODULE, runner_id="r", agent_id="a", license_id=uuid4(),
    )  # fmt: skip
    secret = its(world.town.app).settings.license_lease_secret
    return lease_tokens.mint(secret, lease, seconds=int(timedelta(minutes=5).total_seconds()))


@makes("lease token", unknown=_token_of_no_lease)
def _lease_token(world: World) -> str:
    return str(_leased(world)["token"])


@makes("object", unknown=lambda _: f"releases/{secrets.token_hex(8)}.bin")
def _object(world: World) -> str:
    world.value("release")
    return str(world._made["its object"])


@makes("release", unknown=lambda _: 10**9 + secrets.randbelow(10**9))
def _release(world: World) -> int:
    """Assigned to everybody, and its object is there."""
    from tests.api.artifacts.conftest import released

    made = released(world.town, secrets.token_bytes(50), module=MODULE, platform=PLATFORM, version=world.mark)
    world._made["its object"] = made["object_key"]
    scope = {"module": MODULE, "platform": PLATFORM, "release_id": made["id"]}
    data(world.admin.post("/api/v1/artifacts/assign", scope), 201)
    return int(made["id"])


@makes("resolution", unknown=lambda _: str(10**9 + secrets.randbelow(10**9)))
def _resolution(world: World) -> str:
    assert world.value("release")
    asked = {"lease_token": world.value("lease token"), "vm_uuid": world.value("vm"), "module": MODULE}
    answer = world.person("member").post("/api/v1/artifacts/resolve-download", {**asked, "platform": PLATFORM})
    return str(data(answer)["resolution_id"])


@makes("secret")
def _secret(world: World) -> str:
    given = {"label": f"label-{world.mark}", "ciphertext": "AAAA", "key_id": "k", "nonce": "n"}
    return str(data(world.admin.post("/api/v1/secrets", given), 201)["id"])


@makes("binding")
def _binding(world: World) -> str:
    given = {"scope_type": "agent", "scope_id": world.agent.id, "secret_ref": world.value("secret"), "field_name": "f"}
    return str(data(world.admin.post("/api/v1/secrets/bindings", given), 201)["id"])


@makes("scope")
def _scope(world: World) -> str:
    """What something is bound to."""
    assert world.value("binding")
    return world.agent.id


@makes("session")
def _session(world: World) -> str:
    """A second one of the member's, which no test speaks with."""
    its_own, member = its(world.town.app), world.person("member")
    with its_own.database.transaction(world.town.tenant) as session:
        made = auth.issue_token(
            session, its_own.settings.session_secret, tenant=world.town.tenant, user_id=member.user_id, role="member",
            lives=timedelta(hours=1),
        )  # fmt: skip
    return str(made.session_id)


@makes("handing")
def _handing(world: World) -> str:
    """The agent has been given the ciphertext of the secret, for its command."""
    assert world.value("binding")
    path = f"/api/v1/agents/{world.agent.id}/secrets?command_id={world.value('command')}"
    [given] = data(world.agent.get(path))
    return str(given["id"])


@makes("actor", unknown=lambda _: f"nobody-{secrets.token_hex(6)}")
def _actor(world: World) -> str:
    """Who stands in both logs."""
    assert world.value("resolution")
    return world.person("member").user_id


@makes("subject")
def _subject(world: World) -> str:
    """What both logs have rows of."""
    assert world.value("resolution")
    return str(world.value("lease"))
