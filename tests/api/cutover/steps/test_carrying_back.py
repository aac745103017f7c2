"""What was written since a switch goes back into the store before, also while others write on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.api.cutover.steps.conftest import Installation
from tests.api.people import Town
from webapp.cutover.carrying_back import WORKERS, Changed, carry_back
from webapp.database.migrations import owner_url
from webapp.db import Database
from webapp.errors import ServiceUnavailable
from webapp.records.service import Backend

NOTES = "/api/v1/workspace/notes"
WITHOUT = ("--without-shadow", "a test")


@pytest.fixture
def back(its: Installation) -> Iterator[Callable[[], str]]:
    """Carries back what was written since the switch, and says how much."""
    owner = Database(owner_url(its.settings), pool_size=2)
    application = Database(its.settings.database_url, pool_size=WORKERS)
    done: dict[Changed, datetime] = {}
    yield lambda: str(carry_back(owner, application, Backend.of(its.settings), done))
    owner.engine.dispose()
    application.engine.dispose()


def in_rtdb(its: Installation, town: Town, record_id: str) -> Any:
    return its.rtdb.database.get(("prod", "tenants", str(town.tenant), "workspace", "notes", record_id))


def test_what_is_written_while_it_is_carried_back_is_carried_again(
    its: Installation, town: Town, shadowed: Callable[[], None], back: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shadowed()
    its.does("switch", *WITHOUT)
    for name in ("note-1", "note-2"):
        assert town.admin.call(f"PATCH {NOTES}/{name}", {"title": "since"}).status_code == 200
    asked, seen = its.rtdb.serving, []

    def serving(method: str, path: str) -> None:
        asked(method, path)
        if method == "PUT" and "note-1" in path and not seen:
            seen.append(town.admin.call(f"PATCH {NOTES}/note-1", {"title": "later"}).status_code)

    monkeypatch.setattr(its.rtdb, "serving", serving)
    assert back() == "2 records stored, 0 deleted"
    assert (seen, in_rtdb(its, town, "note-1")["title"]) == ([200], "since")
    assert back() == "1 records stored, 0 deleted"
    assert in_rtdb(its, town, "note-1")["title"] == "later"
    assert back() == "0 records stored, 0 deleted"


def test_a_write_that_is_on_its_way_while_its_record_is_carried_back_is_carried_when_it_is_done(
    its: Installation, town: Town, shadowed: Callable[[], None], back: Callable[[], str]
) -> None:
    shadowed()
    its.does("switch", *WITHOUT)
    assert town.admin.call(f"PATCH {NOTES}/note-1", {"title": "since"}).status_code == 200
    with its.sql() as writing, writing.transaction():
        writing.execute("UPDATE records SET body = body || '{\"title\": \"later\"}' WHERE id = 'note-1'")
        assert back() == "1 records stored, 0 deleted"
        assert in_rtdb(its, town, "note-1")["title"] == "since"
    assert back() == "1 records stored, 0 deleted"
    assert in_rtdb(its, town, "note-1")["title"] == "later"


def test_what_the_store_before_refuses_is_carried_by_the_next_run(
    its: Installation, town: Town, shadowed: Callable[[], None], back: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shadowed()
    its.does("switch", *WITHOUT)
    for n in range(12):
        assert town.admin.call(f"PATCH {NOTES}/note-{n}", {"title": "since"}).status_code == 200
    serving = its.rtdb.serving

    def refusing(method: str, path: str) -> None:
        serving(method, path)
        if method == "PUT" and "note-5" in path:
            raise OSError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(its.rtdb, "serving", refusing)
        with pytest.raises(ServiceUnavailable):
            back()
    assert back() != "0 records stored, 0 deleted"
    assert {in_rtdb(its, town, f"note-{n}")["title"] for n in range(12)} == {"since"}
