"""Money by day: the two stores sum alike, whatever operations look like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests.api.people import Town, data, its, refusal
from webapp.records.finance import totals
from webapp.records.times import LARGEST_MILLIS, happened_at

OPERATIONS, STATS = "/api/v1/finance/operations", "/api/v1/finance/daily-stats"
EUR = {"currency": "EUR", "date": "2026-11-20"}


def stats(town: Town, query: str = "from=2026-11-19&to=2026-11-21") -> Any:
    return data(town.viewer.get(f"{STATS}?{query}"))


def test_a_days_operations_are_summed_by_currency(town: Town) -> None:
    for body in (
        {"type": "income", "amount": 0.1, **EUR}, {"type": "income", "amount": 0.2, **EUR},
        {"type": "expense", "amount": 5, **EUR}, {"type": "expense", "amount": -2.5, **EUR}, {"amount": -1, **EUR},
        {"type": "transfer", "amount": 4, **EUR}, {"amount": "7", **EUR}, {**EUR},
        {"amount": 3, "currency": "USD", "date": "2026-11-20"}, {"amount": 9, "date": "2026-11-20"},
        {"amount": 1, "currency": "EUR", "date": "2026-11-21T00:30:00+01:00"},
        {"amount": 1, "currency": "EUR", "date": 1795132800}, {"amount": 1, "currency": "EUR", "ts": 1795219200000},
        {"amount": 1, "currency": "EUR", "date": "2026-11-22"}, {"amount": 1, "currency": "EUR", "date": "2026-11-18"},
    ):  # fmt: skip
        data(town.member.post(OPERATIONS, body), 201)
    assert stats(town) == [
        {"date": "2026-11-20", "currency": "EUR", "count": 10, "income": 6.3, "expense": 8.5, "net": -2.2},
        {"date": "2026-11-20", "currency": "USD", "count": 1, "income": 3, "expense": 0, "net": 3},
        {"date": "2026-11-20", "count": 1, "income": 9, "expense": 0, "net": 9},
        {"date": "2026-11-21", "currency": "EUR", "count": 1, "income": 1, "expense": 0, "net": 1},
    ]


def test_what_has_no_date_happened_when_it_was_recorded(town: Town) -> None:
    data(town.member.post(OPERATIONS, {"amount": 1, "date": "soon"}), 201)
    [today] = stats(town, "")
    assert today["date"] in {(datetime.now(UTC) - timedelta(hours=hours)).date().isoformat() for hours in (0, 1)}


def test_stats_are_the_tenants_own_and_of_operations_alone(town: Town, elsewhere: Town) -> None:
    data(elsewhere.member.post(OPERATIONS, {"amount": 1, **EUR}), 201)
    data(town.member.post("/api/v1/workspace/notes", {"amount": 1, **EUR}), 201)
    assert stats(town) == []


@pytest.mark.parametrize(
    "query",
    ["from=2026-11-21&to=2026-11-20", "from=2025-01-01&to=2026-11-20", "from=yesterday", "to=2026-02-30", "since=x"],
)
def test_days_that_make_no_sense_are_refused(town: Town, query: str) -> None:
    assert refusal(town.viewer.get(f"{STATS}?{query}")) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "query", ["to=0001-01-01", "to=0001-01-20", "from=9999-12-31", "from=9999-12-01&to=9999-12-31"]
)
def test_the_ends_of_time_are_days_like_any_other(town: Town, query: str) -> None:
    assert stats(town, query) == []


def test_a_year_is_not_too_long(town: Town) -> None:
    assert stats(town, "from=2025-11-20&to=2026-11-20") == []


CLOCK = r"[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,9})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])"
dates = st.one_of(
    st.integers(-LARGEST_MILLIS * 2, LARGEST_MILLIS * 2), st.integers(-(10**12), 10**12), st.floats(-1e17, 1e17),
    st.floats(-1e10, 1e10), st.booleans(), st.none(),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=12),
    st.dates().map(str), st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.from_regex(rf"\A[0-9]{{4}}-[01][0-9]-[0-3][0-9]([Tt ]{CLOCK})?\Z"),
    st.just("2026-11-20\n"), st.just([1]), st.just("\uff12026-11-20"),
)  # fmt: skip
amounts = st.one_of(
    st.integers(-(10**16), 10**16), st.floats(-1e16, 1e16), st.sampled_from([True, "1", None, 1e15, -1e15])
)
operations = st.fixed_dictionaries(
    {},
    optional={"date": dates, "ts": dates, "occurred_at": dates, "amount": amounts,
              "type": st.sampled_from(["income", "expense", "x", 1]),
              "currency": st.sampled_from(["EUR", "USD", 1, ""])},
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=operations, recorded=st.none() | st.integers(0, 10**13))
def test_the_table_computes_what_python_does(row_town: Town, body: dict[str, Any], recorded: int | None) -> None:
    from webapp.records.record import Record
    from webapp.records.rows import RowRepository

    with its(row_town.app).database.transaction(row_town.tenant) as session:
        rows = RowRepository(session, row_town.tenant)
        rows.store("finance/operations", Record("one", body, recorded))
        wanted = "SELECT happened_at FROM records WHERE collection = 'finance/operations'"
        assert session.scalar(text(wanted)) == happened_at(body, recorded)
        span = (-LARGEST_MILLIS, LARGEST_MILLIS + 1)
        assert rows.totals(*span) == totals([(body, recorded)], *span)
