"""The Protocol itself, on both stores: what no route does, but a cutover will."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.people import Town, its
from webapp.records.record import Record
from webapp.records.repository import Repository

NOTES, AT = "workspace/notes", 1795204800000


@pytest.fixture
def repository(town: Town) -> Iterator[Repository]:
    with its(town.app).database.transaction(town.tenant) as session:
        backend = its(town.app).records
        yield backend.store(backend.configured, session, town.tenant)


def test_what_is_stored_is_there_whatever_was_before(repository: Repository) -> None:
    for record in (
        Record("one", {"a": [], "b": {"0": 1}}, AT, AT + 1), Record("one", {"c": None}), Record("one", {}, AT),
        Record("one", {}), Record("one", {"a": 1}, None, AT), Record("one", {"a": 1}, 10**11, 2**42),
    ):  # fmt: skip
        repository.store(NOTES, record)
        assert repository.get(NOTES, "one") == record


def test_a_change_that_raises_changes_nothing(repository: Repository) -> None:
    repository.store(NOTES, Record("one", {"a": 1}, AT, AT))

    def refuse(_: Record) -> Record:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        repository.change(NOTES, "one", refuse)
    assert repository.get(NOTES, "one") == Record("one", {"a": 1}, AT, AT)
    assert repository.change(NOTES, "two", refuse) is None


def test_a_record_of_no_collection_is_refused_before_it_is_a_path(town: Town, repository: Repository) -> None:
    assert repository.delete(NOTES, "../one") is False and repository.get(NOTES, "a/b") is None
