"""Why a log-in is refused."""

from __future__ import annotations

from webapp.errors import MoorageError


class LoginRefused(MoorageError):
    status, code, message = 401, "INVALID_CREDENTIALS", "E-mail address, password or code is wrong."


class EmailUnverified(MoorageError):
    status, code = 403, "EMAIL_UNVERIFIED"
    message = "This e-mail address is not verified yet. Follow the link in the mail, or have it sent again."


class TenantRequired(MoorageError):
    status, code = 400, "TENANT_REQUIRED"
    message = "This user belongs to several tenants, or to another one. Send tenant_id: details lists them."


class NoTenant(MoorageError):
    status, code, message = 403, "NO_TENANT", "This user belongs to no tenant. An admin of one can add them."


class SessionNotFound(MoorageError):
    status, code, message = 404, "SESSION_NOT_FOUND", "There is no such session."
