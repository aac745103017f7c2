"""What can be wrong with a secret or a binding, in the contract's words."""

from __future__ import annotations

from webapp.errors import MoorageError


class SecretNotFound(MoorageError):
    status, code, message = 404, "SECRET_NOT_FOUND", "There is no such secret in this tenant."


class BindingNotFound(MoorageError):
    status, code, message = 404, "BINDING_NOT_FOUND", "There is no such binding in this tenant."


class SecretOwnerMismatch(MoorageError):
    status, code = 403, "FORBIDDEN"
    message = "This secret was stored by another user. Its owner, or an admin or infra, may do this."
