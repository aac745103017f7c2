"""Who asks: a user, an API key or an agent, always of one tenant; and what an operation demands of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from webapp.errors import MoorageError

# The roles of a tenant's users, from the one that may do everything to the one that may only look.
ROLES = ("admin", "infra", "member", "viewer")
MANAGERS = frozenset({"admin", "infra"})
SCOPES = (
    "artifacts:read", "artifacts:write", "artifacts:resolve", "agents:read", "agents:write", "commands:write",
    "secrets:write", "records:read", "records:write", "ops:read", "ops:write",
)  # fmt: skip

Kind = Literal["user", "key", "agent"]


class Forbidden(MoorageError):
    status, code, message = 403, "FORBIDDEN", "Your role or the scopes of your key do not allow this."


@dataclass(frozen=True)
class Caller:
    """Whoever a token stands for.

    `user_id` is the user's; for a key its owner's, for an agent its owner's. `id` is what can be revoked: the
    session, the key or the agent; None for a token of an outside issuer.
    """

    kind: Kind
    tenant: UUID
    user_id: str
    id: UUID | None = None
    role: str | None = None
    scopes: frozenset[str] = frozenset()
    email: str | None = None
    agent_revoked: bool = False
    address: str = ""

    @property
    def manages(self) -> bool:
        """May act for other users of the tenant. A key acts for the tenant, within its scopes."""
        return self.kind == "key" or self.role in MANAGERS


@dataclass(frozen=True)
class Allow:
    """Who may call an operation: users by role, keys by scope, agents where it is theirs.

    `revoked_agents`: lets an agent in whose token was revoked, so that the operation can tell it so.
    """

    roles: frozenset[str] = frozenset()
    scope: str | None = None
    agents: bool = False
    revoked_agents: bool = False
    public: bool = field(default=False)

    def refuses(self, caller: Caller) -> bool:
        match caller.kind:
            case "user":
                return caller.role not in self.roles
            case "key":
                return self.scope is None or self.scope not in caller.scopes
        return not self.agents


PUBLIC = Allow(public=True)


def anyone(scope: str | None = None) -> Allow:
    """Every role; keys with the scope."""
    return Allow(frozenset(ROLES), scope)


def members(scope: str | None = None) -> Allow:
    """Whoever may do things of their own: every role but the one that only looks."""
    return Allow(frozenset(ROLES) - {"viewer"}, scope)


def managers(scope: str | None = None) -> Allow:
    """admin and infra."""
    return Allow(MANAGERS, scope)


def admins(scope: str | None = None) -> Allow:
    return Allow(frozenset({"admin"}), scope)


def agents_only() -> Allow:
    return Allow(agents=True)
