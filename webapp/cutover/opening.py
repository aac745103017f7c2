"""Which source a command's `--source` means."""

from __future__ import annotations

from pathlib import Path

from webapp.cutover.asking import Asking
from webapp.cutover.domain import root_of
from webapp.cutover.export import RtdbExport
from webapp.cutover.mongo import MongoExport
from webapp.cutover.rtdb import RtdbRest
from webapp.cutover.sources import Source, SourceUnreadable
from webapp.settings import Settings

FORMS = "rtdb, rtdb-export:FILE or mongo-export:FOLDER"


def source_of(text: str, settings: Settings, *, root: str | None, tenant_field: str) -> Source:
    """`root`: the path above `tenants`; None: RTDB_ROOT. Raises SourceUnreadable for what names no source."""
    kind, _, where = text.partition(":")
    above = settings.rtdb_root if root is None else root
    try:
        root_of(above)
    except ValueError as error:
        raise SourceUnreadable(f"The root must be {error}.") from None
    if kind == "rtdb-export" and where:
        return RtdbExport(Path(where), root=above)
    if kind == "mongo-export" and where:
        return MongoExport(Path(where), tenant_field=tenant_field)
    if text == "rtdb":
        if settings.rtdb_url is None:
            raise SourceUnreadable("RTDB_URL is missing: it says where the source is (and RTDB_SECRET how to get in).")
        url = str(settings.rtdb_url)
        return RtdbRest(Asking(url, settings.rtdb_secret), url, root_of(above))
    raise SourceUnreadable(f"{text!r} is no source: {FORMS}.")
