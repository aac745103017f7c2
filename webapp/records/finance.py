"""What became of money day by day. Pure; migration 0011's columns are what PostgreSQL sums, by the same rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from webapp.records.record import text_of
from webapp.records.times import DAY_MILLIS, happened_at

INCOME, EXPENSE = "income", "expense"
# Beyond, an amount is a mistake, and counts for nothing: sums stay such as JSON has them exactly.
LARGEST_AMOUNT = 10**15
_EXACT = Context(prec=400)


@dataclass(frozen=True)
class Total:
    """One day (in days since the epoch, UTC) in one currency; `currency` None where operations name none."""

    day: int
    currency: str | None
    count: int
    income: Decimal
    expense: Decimal


def totals(operations: Iterable[tuple[Mapping[str, Any], int | None]], first: int, after: int) -> list[Total]:
    """Of operations, each with when it was recorded, those that happened from `first` on and before `after` (both
    milliseconds), by day and currency; what has no currency comes last in its day."""
    sums: dict[tuple[int, str | None], list[Any]] = {}
    for body, created_at in operations:
        at = happened_at(dict(body), created_at)
        if at is None or not first <= at < after:
            continue
        sum_ = sums.setdefault((at // DAY_MILLIS, text_of(body, "currency")), [0, Decimal(0), Decimal(0)])
        income, expense = income_and_expense(amount_of(body.get("amount")), text_of(body, "type"))
        sum_[0], sum_[1], sum_[2] = sum_[0] + 1, _EXACT.add(sum_[1], income), _EXACT.add(sum_[2], expense)
    return sorted((Total(*key, *sum_) for key, sum_ in sums.items()), key=order)


def order(total: Total) -> tuple[int, bool, str]:
    return total.day, total.currency is None, total.currency or ""


def amount_of(value: Any) -> Decimal:
    """Exactly as it is written; 0 for what is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_AMOUNT:
        return Decimal(0)
    return Decimal(repr(value))


def income_and_expense(amount: Decimal, kind: str | None) -> tuple[Decimal, Decimal]:
    """Both without a sign. Its `type` decides what an operation is; where it says neither, the amount's sign does."""
    comes = kind == INCOME or (kind != EXPENSE and amount > 0)
    return (abs(amount), Decimal(0)) if comes else (Decimal(0), abs(amount))


def number(exact: Decimal) -> int | float:
    """As JSON has it."""
    return int(exact) if exact == exact.to_integral_value(context=_EXACT) else float(exact)
