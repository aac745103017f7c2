"""Where an operation takes an id, read off the OpenAPI document; and which ids need no maker, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.api.isolation.world import MAKERS

Json = dict[str, Any]

# A parameter with such a name is an id until it is known to be none.
ID_LIKE = re.compile(r"(^|_)(id|ids|uuid|ref|token|code|key|cursor)$")

# The kind of thing (world.py makes one) that each parameter's name means.
KINDS = {
    "agent_id": "agent", "command_id": "command", "secret_id": "secret", "secret_ref": "secret", "lease_id": "lease",
    "lease_token": "lease token", "release_id": "release", "license_id": "license", "entitlement_id": "entitlement",
    "binding_id": "binding", "session_id": "session", "resolution_id": "resolution", "vm_uuid": "vm",
    "api_key_id": "api key", "project_id": "project", "record_id": "record",
    "user_id": "user", "owner_user_id": "user", "scope_id": "scope", "object_key": "object",
    # Filters of the logs: their names do not say so, but they are compared with ids.
    "actor": "actor", "subject": "subject",
}  # fmt: skip

# Ids of nothing that is a tenant's, by name.
EXEMPT = {
    "X-Request-ID": "a request's own id, kept nowhere that is asked",
    "request_id": "a request's own id, kept nowhere that is asked",
    "Idempotency-Key": "kept per tenant and caller: tests/api/idempotency",
    "refresh_token": "whoever asks has no tenant yet: the token itself names it",
    "pairing_code": "whoever asks has no tenant yet: the code itself names it",
    "token": "the caller's own bearer, in the query",
    "tenant_id": "chosen at log-in among one's own tenants, after the password: tests/api/auth/test_login.py",
    "last_event_id": "a place in the server's order of transactions; what is read from there is the tenant's own",
    "runner_id": "a word of the runner's own that the lease carries; compared with nothing",
    "code": "of the caller's own second factor, or what a sign-in provider gave their browser",
    "key_id": "the client's name of a key, which the server does not have",
    "public_key": "the key itself",
    "id": "what a client names its new record; every tenant has ids of its own",
}

# Slots where an id is kept as it was said and not looked up, so that any is taken: (operationId, name) -> reason.
_NAMED_BY_ISSUER = "users may be an outside issuer's, so a name that nobody here has had is as good as any"
FREE = {
    ("agents_pair", "owner_user_id"): _NAMED_BY_ISSUER,
    ("tenants_add", "user_id"): _NAMED_BY_ISSUER,
    ("artifacts_assign", "user_id"): _NAMED_BY_ISSUER,
    ("licensing_entitle", "user_id"): _NAMED_BY_ISSUER,
    ("licensing_grant_license", "user_id"): _NAMED_BY_ISSUER,
    ("licensing_register_vm", "user_id"): _NAMED_BY_ISSUER,
    ("licensing_register_vm", "project_id"): "a word of the client's own that the record carries",
    ("licensing_register_vm", "vm_uuid"): "registering makes the machine: every tenant has UUIDs of its own",
    ("licensing_take_lease", "agent_id"): "a word of the runner's own that the lease carries; compared with nothing",
    ("artifacts_create_release", "object_key"): "the first to claim an object keeps it, and nobody is told",
    ("vaulting_bind", "scope_id"): "a bot's or a machine's id may be bound before the thing is known here",
}


# What must be there beside the id itself, so that there is something to find (and to leak).
BESIDE = {
    "tenants_change": ("membership",), "tenants_remove": ("membership",),
    "licensing_list_leases": ("lease",), "vm_ops_commands": ("command",), "vm_ops_events": ("command",),
    "artifacts_resolve_download": ("release",), "vaulting_acknowledge": ("handing",),
}  # fmt: skip


class Slot(NamedTuple):
    """One id of one operation."""

    method: str
    path: str
    op: Json
    where: str
    name: str

    @property
    def line(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def operation(self) -> str:
        return str(self.op["operationId"])

    @property
    def kind(self) -> str:
        return KINDS[self.name]

    @property
    def beside(self) -> tuple[str, ...]:
        return BESIDE.get(self.operation, ())

    def free(self, caller: str) -> bool:
        """Whether this caller may say any id here. Of users, a member may name one: themself."""
        reason = FREE.get((self.operation, self.name))
        return reason is not None and not (reason == _NAMED_BY_ISSUER and caller == "member")

    @property
    def callers(self) -> list[str]:
        """One of each kind that may ask."""
        may = self.op["x-callers"]
        if not may:
            return []
        users = [role for role in ("admin", "member") if role in may["roles"]]
        return users + (["key"] if may["scope"] else []) + (["agent"] if may["agents"] else [])

    def __str__(self) -> str:
        return f"{self.line} {self.where} {self.name}"


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, op in item.items():
            yield method, path, op


def parameters(document: Json) -> Iterator[Slot]:
    """Every parameter of every operation, whatever it is."""
    for method, path, op in operations(document):
        for parameter in op["parameters"]:
            yield Slot(method, path, op, parameter["in"], parameter["name"])
        for name in body_fields(document, op):
            yield Slot(method, path, op, "body", name)


def body_fields(document: Json, op: Json) -> list[str]:
    if "requestBody" not in op:
        return []
    schema = op["requestBody"]["content"]["application/json"]["schema"]
    return list(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]].get("properties", {}))


def slots(document: Json) -> list[Slot]:
    """Every id of every operation that names one of a tenant's things."""
    return [slot for slot in parameters(document) if slot.name in KINDS]


def unknown_names(document: Json) -> list[str]:
    """Parameters that look like ids and of which nobody has said what they are: what to add, in words."""
    wrong = []
    for slot in parameters(document):
        if slot.name in KINDS or slot.name in EXEMPT or not ID_LIKE.search(slot.name):
            continue
        wrong.append(
            f"{slot}: no maker. Add the name {slot.name!r} to KINDS (slots.py) with the kind of thing that it names,"
            " and for a new kind a function with @makes in world.py that makes one; or, if it names nothing of a"
            " tenant's, add it to EXEMPT with the reason."
        )
    wrong += [f"KINDS has {name!r} for a kind {kind!r} that world.py cannot make: add a function with @makes({kind!r})."
              for name, kind in KINDS.items() if kind not in MAKERS]  # fmt: skip
    return wrong
