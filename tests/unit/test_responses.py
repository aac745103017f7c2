"""Times and envelopes as strict clients read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from webapp.responses import rfc3339, success


def test_times_end_in_z_with_milliseconds() -> None:
    assert rfc3339(datetime(2026, 11, 20, 20, tzinfo=UTC)) == "2026-11-20T20:00:00.000Z"
    east = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 11, 20, 22, 0, 0, 999_999, tzinfo=east)) == "2026-11-20T20:00:00.999Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rfc3339())


def test_meta_is_there_only_with_something_to_say() -> None:
    assert success({"a": 1}).json == {"success": True, "data": {"a": 1}}
    assert success([], meta={"total": 0}, status=201).json["meta"] == {"total": 0}
