"""Who am I."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from webapp.auth.schemas import VerifyView, WhoamiView
from webapp.caller import ROLES, SCOPES, Allow
from webapp.operation import Call, operation

auth = Blueprint("auth", __name__, url_prefix="/api/v1/auth")


class AnyValidToken(Allow):
    """Whatever a token may do, it may ask who it is."""

    def refuses(self, _caller: object) -> bool:
        return False


ANY = AnyValidToken(frozenset(ROLES), scope=SCOPES[0], agents=True)


@operation(auth, "GET /verify", summary="Is this token good?", allow=ANY, answer=VerifyView)
def verify(_call: Call) -> dict[str, Any]:
    return {"valid": True}


@operation(auth, "GET /whoami", summary="Whom does this token stand for?", allow=ANY, answer=WhoamiView)
def whoami(call: Call) -> dict[str, Any]:
    caller = call.caller
    roles = [caller.role] if caller.role else [caller.kind]
    return {"uid": caller.user_id, "email": caller.email or caller.user_id, "roles": roles, "tenant_id": caller.tenant}
