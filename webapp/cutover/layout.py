"""Which path of a document store is which collection: what a cutover takes, and what it goes into to look for that."""

from __future__ import annotations

import re
from enum import Enum
from uuid import UUID

from webapp.cutover.domain import COLLECTIONS, SETTINGS, TREE

# The tree of settings is one record, of this id.
TREE_ID = TREE
TENANTS = "tenants"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Kind(Enum):
    """What a path holds: more paths, records, one record, or nothing of ours."""

    ENTER = "enter"
    RECORDS = "records"
    WHOLE = "whole"
    STRAY = "stray"


def tenant_of(text: str) -> UUID | None:
    """A tenant's id as paths have it: lower case, with hyphens."""
    return UUID(text) if _UUID.fullmatch(text) else None


def kind_of(path: tuple[str, ...], root: tuple[str, ...] = ()) -> Kind:
    """What lies at a path of the store, given the path that everything of ours is under."""
    below = path[len(root) :]
    if path[: len(root)] != root[: len(path)] or (below and below[0] != TENANTS):
        return Kind.STRAY
    if len(below) < 2:
        return Kind.ENTER
    if tenant_of(below[1]) is None:
        return Kind.STRAY
    return _in_tenant("/".join(below[2:])) if len(below) > 2 else Kind.ENTER


def _in_tenant(collection: str) -> Kind:
    if collection == SETTINGS:
        return Kind.WHOLE
    if collection in COLLECTIONS:
        return Kind.RECORDS
    return Kind.ENTER if any(one.startswith(collection + "/") for one in COLLECTIONS) else Kind.STRAY
