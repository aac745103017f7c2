"""The variables of domain records: a part of Settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from webapp import variables as v
from webapp.redaction import Secret
from webapp.variables import Endpoint, Variable

_ON_HOST = "/opt/moorage/.env on the host (playbooks/set_secret.yml puts it there)"
RTDB, SUPABASE = "rtdb", "supabase"
# Keys as webapp/records/paths.py has them; no more than leave room for a record's own depth.
_root = v.matching(
    r"/|(/?[^.$#\[\]/\x00-\x1f\x7f]{1,190}){1,5}/?", "up to 5 keys with / between them, none with any of . $ # [ ]"
)


@dataclass(frozen=True, kw_only=True)
class RecordsSettings:
    data_backend: Annotated[
        str,
        Variable(
            v.choice(SUPABASE, RTDB),
            "Where domain records live: PostgreSQL (supabase) or rtdb.",
            default=SUPABASE,
        ),
    ]
    rtdb_url: Annotated[
        Endpoint | None,
        Variable(v.endpoint, "The Realtime Database (such as https://NAME.firebaseio.com); for rtdb.", optional=True),
    ]
    rtdb_secret: Annotated[
        Secret | None,
        Variable(v.secret(8), "The Realtime Database's secret; for rtdb.", optional=True, kept=_ON_HOST),
    ]
    rtdb_root: Annotated[
        str, Variable(_root, "Where in the Realtime Database `tenants` is: keys with / between them.", default="/")
    ]


def needed(values: Mapping[str, object]) -> list[str]:
    """What is missing for where records are to live, of values by their fields' names."""
    if values.get("data_backend") != RTDB:
        return []
    return [
        f"{name.upper()} is missing: DATA_BACKEND is rtdb, and it cannot be reached without."
        for name in ("rtdb_url", "rtdb_secret")
        if values.get(name) is None
    ]
