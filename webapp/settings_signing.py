"""The secrets that sign: a part of Settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from webapp import variables as v
from webapp.redaction import Secret
from webapp.signing import SigningKeys
from webapp.variables import Variable

_ON_HOST = "/opt/moorage/.env on the host (made there by provisioning; playbooks/rotate_secrets.yml replaces it)"
_ROTATED = "/opt/moorage/.env on the host (playbooks/rotate_secrets.yml puts it there)"


@dataclass(frozen=True, kw_only=True)
class SigningSettings:
    session_secret: Annotated[Secret, Variable(v.secret(32), "Signs user sessions.", kept=_ON_HOST)]
    license_lease_secret: Annotated[Secret, Variable(v.secret(32), "Signs lease tokens (HS256).", kept=_ON_HOST)]
    session_secret_also: Annotated[
        Secret | None,
        Variable(
            v.secret(32),
            "Accepted beside SESSION_SECRET: the next one, or the one before.",
            optional=True,
            kept=_ROTATED,
        ),
    ]
    license_lease_secret_also: Annotated[
        Secret | None,
        Variable(
            v.secret(32),
            "Accepted beside LICENSE_LEASE_SECRET: the next one, or the one before.",
            optional=True,
            kept=_ROTATED,
        ),
    ]
    secrets_also_until: Annotated[
        float | None,
        Variable(v.moment, "Until when the two *_ALSO are accepted; unset: without end.", optional=True),
    ]

    @property
    def session_keys(self) -> SigningKeys:
        """What tokens of users, sealed second factors and kept answers are made with and known by."""
        return SigningKeys(self.session_secret, self.session_secret_also, self.secrets_also_until)

    @property
    def lease_keys(self) -> SigningKeys:
        return SigningKeys(self.license_lease_secret, self.license_lease_secret_also, self.secrets_also_until)
