"""The window closes where it was quiet, and rtdb is not to be used again; and nobody flips who leads by a setting."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from tests.api.cutover.steps.conftest import Installation
from tests.api.people import Town
from webapp.cli import moorage
from webapp.cutover.finishing import Compared, Figures

NOTES = "/api/v1/workspace/notes"
SWITCH = ("switch", "--without-shadow", "a test")
EARLY = ("--early", "a test", "--unmeasured", "a test")


def figures(errors: float, p95: float) -> Figures:
    return Figures(errors, p95)


@pytest.mark.parametrize(
    ("before", "since", "said"),
    [
        (figures(0, 0.1), figures(0, 0.119), []),
        (figures(0, 0.1), figures(0, 0.121), ["p95 rose from 100 ms to 121 ms"]),
        (figures(0, 0.004), figures(0, 0.0085), []),
        (figures(0.001, 0.1), figures(0.0011, 0.1), ["answers with 5xx rose from 0.100% to 0.110%"]),
        (figures(0.001, 0.1), figures(0.001, 0.1), []),
        (figures(0, 0.1), figures(0.0001, 0.1), []),
    ],
)
def test_what_counts_as_a_rise(before: Figures, since: Figures, said: list[str]) -> None:
    assert Compared(before, since).refusals() == said


def test_it_is_not_finished_before_its_time_nor_without_figures(
    its: Installation, town: Town, shadowed: Callable[[], None]
) -> None:
    shadowed()
    assert "STEP_REFUSED" in its.refuses("finish", *EARLY)
    its.does(*SWITCH)
    assert "WINDOW_NOT_QUIET" in its.refuses("finish")
    assert "PROMETHEUS_UNREACHABLE" in its.refuses("finish", "--early", "x", "--prometheus", "http://127.0.0.1:9")
    assert its.does("status")["state"] == "observing"


def test_finished_rtdb_is_refused_from_then_on(
    its: Installation, town: Town, shadowed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shadowed()
    its.does(*SWITCH)
    # Written since on one side alone: no difference.
    assert town.admin.call(f"PATCH {NOTES}/note-1", {"title": "since"}).status_code == 200
    assert town.admin.post(NOTES, {"id": "new", "title": "since"}).status_code == 201
    assert town.admin.call(f"DELETE {NOTES}/note-2").status_code == 200
    assert its.does("finish", *EARLY)["state"] == "finished"
    assert "NO_CUTOVER" in its.refuses("revert")
    assert its.does("status")["retired"] is True
    with its.sql() as sql:
        assert sql.execute("SELECT count(*) FROM record_changes").fetchone() == (0,)
    for name, value in its.variables.items():
        monkeypatch.setenv(name, value)
    refused = CliRunner().invoke(moorage, ["setup"])
    assert refused.exit_code == 1 and "STORE_DISAGREES" in refused.stderr and "RTDB_URL" in refused.stderr
    monkeypatch.setenv("DATA_BACKEND", "supabase")
    for name in ("RTDB_URL", "RTDB_SECRET", "RTDB_ROOT"):
        monkeypatch.delenv(name)
    assert CliRunner().invoke(moorage, ["setup"]).exit_code == 0


def test_a_difference_that_nobody_wrote_keeps_the_window_open(
    its: Installation, town: Town, shadowed: Callable[[], None]
) -> None:
    shadowed()
    its.does(*SWITCH)
    with its.sql() as sql:
        # As no request writes: nothing notes it.
        sql.execute("ALTER TABLE records DISABLE TRIGGER ALL")
        sql.execute("UPDATE records SET body = '{\"title\": \"other\"}' WHERE id = 'note-3'")
        sql.execute("ALTER TABLE records ENABLE TRIGGER ALL")
    assert "PARITY_FAILED" in its.refuses("finish", *EARLY)
    assert its.does("status")["state"] == "observing"


def test_a_setting_does_not_flip_who_leads(
    its: Installation, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in its.variables.items():
        monkeypatch.setenv(name, value)
    assert "records: changed" in CliRunner().invoke(moorage, ["setup"]).output
    assert "records: unchanged" in CliRunner().invoke(moorage, ["setup"]).output
    monkeypatch.setenv("DATA_BACKEND", "supabase")
    refused = CliRunner().invoke(moorage, ["setup"])
    assert refused.exit_code == 1 and "set controlplane_data_backend: rtdb again" in refused.stderr
    its.does("begin")
    its.does("shadow")
    its.does(*SWITCH)
    assert CliRunner().invoke(moorage, ["setup"]).exit_code == 0
    assert town.admin.get(f"{NOTES}/note-1").status_code == 200
