"""Where a tenant's records are in a Realtime Database: one function builds every path, and no other code does.

    <root>/tenants/<tenant>/<collection>/<record id>        <root>/tenants/<tenant>/settings

RTDB has no row level security, so what this function lets through is the tenants' isolation.
Keys by Firebase's "Structure your database": UTF-8 of at most 768 bytes, without `. $ # [ ] /` and control characters.
"""

from __future__ import annotations

import re
from urllib.parse import quote
from uuid import UUID

from webapp.records.kinds import COLLECTIONS, SETTINGS

LONGEST_KEY_BYTES = 768
FORBIDDEN = re.compile(r"[.$#\[\]/\x00-\x1f\x7f]")
# Firebase's depth of 32, less what stands above a record and in it (exactness.DEEPEST).
LONGEST_ROOT = 5


class KeyUnfit(ValueError):
    """A key that RTDB cannot have. Its message completes the sentence "The id …"."""


def refuse_key(key: str) -> None:
    """Raises KeyUnfit for what can be no key."""
    if not key:
        raise KeyUnfit("must not be empty.")
    if FORBIDDEN.search(key):
        raise KeyUnfit("must have no control character and none of . $ # [ ] /")
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise KeyUnfit("must be Unicode text.") from None
    if len(encoded) > LONGEST_KEY_BYTES:
        raise KeyUnfit(f"must have at most {LONGEST_KEY_BYTES} bytes in UTF-8.")


def root_of(text: str) -> tuple[str, ...]:
    """RTDB_ROOT's keys; none for the database's own root. Raises KeyUnfit."""
    keys = tuple(text.strip("/").split("/")) if text.strip("/") else ()
    for key in keys:
        refuse_key(key)
    if len(keys) > LONGEST_ROOT:
        raise KeyUnfit(f"must be at most {LONGEST_ROOT} keys deep.")
    return keys


def path_of(root: tuple[str, ...], tenant: UUID, collection: str, *keys: str) -> str:
    """A path as it stands in a URL, without its `.json`: each key percent-encoded, `/` between them.

    `collection`: one of COLLECTIONS, or SETTINGS. `keys`: of what is beneath it. Different arguments make different
    paths, and each begins with the tenant's own. Raises KeyUnfit for a key, ValueError for any other collection.
    """
    if collection not in COLLECTIONS and collection != SETTINGS:
        raise ValueError(f"{collection!r} is no collection")
    for key in (*root, *keys):
        refuse_key(key)
    # `str` of a UUID is lower case, whatever it was made of.
    parts = (*root, "tenants", str(UUID(int=tenant.int)), *collection.split("/"), *keys)
    return "/".join(quote(part, safe="") for part in parts)
