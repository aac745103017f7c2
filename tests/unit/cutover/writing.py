"""Writes export files for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from webapp.cutover.export import RtdbExport
from webapp.cutover.sources import Place

ACME, OTHER = UUID(int=0xACE), UUID(int=0x0B)
NOTES = Place(ACME, "workspace/notes")


def around(notes: bytes, *, tenant: UUID = ACME) -> bytes:
    """A whole export out of the bytes of one collection's object or array."""
    return b'{"tenants":{"' + str(tenant).encode() + b'":{"workspace":{"notes":' + notes + b"}}}}"


def export_of(folder: Path, content: bytes | dict[str, Any], **options: Any) -> RtdbExport:
    path = folder / "export.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return RtdbExport(path, **options)
