"""Which code works with which tables: a table of cases."""

from __future__ import annotations

import pytest

from webapp.database.compatibility import Tables, comment, mismatch

KNOWN = frozenset({"0001", "0002"})


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (Tables("0002"), None),
        (Tables("0002", ("0001", "0002")), None),
        (Tables("0003", ("0002", "0003")), None),
        (Tables(None), "no migration has run"),
        (Tables("0001", ("0001",)), "tables at 0001, code at 0002: `moorage db upgrade`"),
        # What an older comment says of tables that this code knows better is not believed.
        (Tables("0001", ("0001", "0002")), "tables at 0001, code at 0002: `moorage db upgrade`"),
        (Tables("0004", ("0003", "0004")), "tables at 0004, which work with code at 0003, 0004; this code is at 0002"),
        (Tables("0003"), "tables at 0003, newer than this code; this code is at 0002"),
    ],
)
def test_what_code_at_0002_says_of_tables(tables: Tables, reason: str | None) -> None:
    said = mismatch(tables, head="0002", known=KNOWN)
    assert said is None if reason is None else said is not None and said.startswith(reason)


@pytest.mark.parametrize("text", [None, "", "words", "[]", "3", '{"works_with": null}', '{"other": 1}'])
def test_a_comment_that_is_not_ours_says_nothing(text: str | None) -> None:
    assert Tables.read("0002", text) == Tables("0002", ())


def test_what_is_written_is_read() -> None:
    assert Tables.read("0002", comment(["0001", "0002"])) == Tables("0002", ("0001", "0002"))
