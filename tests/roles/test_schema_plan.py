"""Whether code and tables go together: before a deploy migrates, and before a rollback goes back."""

from __future__ import annotations

import pytest

# 0003 adds, 0004 takes away what code before 0003 needs.
CHAIN = [
    {"id": "0001", "works_with": "0001"},
    {"id": "0002", "works_with": "0001"},
    {"id": "0003", "works_with": "0001"},
    {"id": "0004", "works_with": "0003"},
]


@pytest.fixture
def planner(plugin):
    return plugin("modules", "schema_plan")


@pytest.mark.parametrize(
    ("at", "heads"),
    [("0001", ["0001"]), ("0003", ["0001", "0002", "0003"]), ("0004", ["0003", "0004"])],
)
def test_which_code_works_with_which_tables(planner, at, heads):
    assert planner.works_with(CHAIN, at) == heads


@pytest.mark.parametrize(
    ("length", "at", "serving", "pending"),
    [
        (2, "", "", ["0001", "0002"]),
        (3, "0002", "0002", ["0003"]),
        (4, "0003", "0003", ["0004"]),
        (3, "0003", "0002", []),
    ],
)
def test_what_a_deploy_migrates(planner, length, at, serving, pending):
    chain = CHAIN[:length]
    assert planner.decide(chain[-1]["id"], chain, at, [], serving=serving, migrate=True)["pending"] == pending


def test_a_migration_that_breaks_what_serves_is_refused_before_it_runs(planner):
    with pytest.raises(planner.Unfit, match="take away what the version that serves"):
        planner.decide("0004", CHAIN, "0002", ["0001", "0002"], serving="0002", migrate=True)


def test_older_code_goes_out_on_newer_tables_that_it_works_with(planner):
    decided = planner.decide("0002", CHAIN[:2], "0003", ["0001", "0002", "0003"], serving="0003", migrate=True)
    assert decided == {"pending": [], "works_with": ["0001", "0002", "0003"]}


@pytest.mark.parametrize("migrate", [True, False])
def test_older_code_is_refused_on_tables_that_it_does_not_work_with(planner, migrate):
    with pytest.raises(planner.Unfit, match="tables are at 0004, and code at 0002 does not work"):
        planner.decide("0002", CHAIN[:2], "0004", ["0003", "0004"], serving="0004", migrate=migrate)


def test_a_rollback_to_newer_code_does_not_migrate(planner):
    with pytest.raises(planner.Unfit, match="Deploy that version instead"):
        planner.decide("0003", CHAIN[:3], "0002", ["0001", "0002"], serving="0002", migrate=False)
