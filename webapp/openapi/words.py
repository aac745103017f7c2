"""The document's own words: what each tag is about, and what the parts of paths are."""

from __future__ import annotations

from webapp.openapi.examples import FORMATS, NAMED

# In the order of the pages. A new tag gets its line here (tests/api/openapi/test_document.py asks for it).
TAGS = {
    "auth": "Log-in, sessions, and whom a token stands for.",
    "keys": "API keys: for programs, with scopes, an end and a rotation that leaves the old one a while.",
    "members": "Who is in the tenant, in which role.",
    "tenants": "The caller's own tenant.",
    "projects": "The tenant's projects.",
    "vms": "The machines that leases are for.",
    "licenses": "Licences of a tenant or of one of its users.",
    "entitlements": "Which user may use which module.",
    "leases": "Leases: the right to run a module on a machine, prolonged by heartbeats.",
    "artifacts": "Releases, whom they are assigned to, and downloads by presigned URL under a lease.",
    "agents": "The agents on customers' machines: pairing, heartbeats, their end.",
    "sockets": "The agents' websocket.",
    "vm_ops": "Commands to agents, and the stream of what becomes of them.",
    "infra": "Legacy direct calls. They answer 404 unless INFRA_LEGACY_ENABLED is true.",
    "secrets": "Secrets' ciphertexts, which this service cannot read, and what they are bound to.",
    "resources": "Open records of what the tenant has: licences, proxies, subscriptions.",
    "workspace": "Open records of what the tenant's people write: notes, calendar, kanban.",
    "bots": "Open records of bots, and the state that each is in.",
    "finance": "Open records of money that came and went, and what that makes by day.",
    "settings": "The tenant's settings: a tree, read and written at any depth.",
    "audit": "The tenant's log of events.",
    "health": "Whether this service is alive and ready. Never limited, never refused.",
}
IN_PATH = {
    "vm_uuid": "The machine's UUID, as it was registered.",
    "user_id": "The user's id, as the identity provider has it.",
    "module": "The module's name.",
    "provider": "`github` or `google`.",
}


def path_words(name: str) -> str:
    """What the part of a path is, where its operation does not say (`in_path`); empty where nobody knows."""
    if name in IN_PATH or not name.endswith("_id"):
        return IN_PATH.get(name, "")
    noun = name.removesuffix("_id").replace("_", " ")
    return f"The {noun}'s id."


def path_example(name: str) -> str:
    """A value to show in its place."""
    return NAMED.get(name) or (FORMATS["uuid"] if name.endswith("_id") else name)
