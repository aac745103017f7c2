"""`moorage cutover begin`, `shadow`, `switch`, `revert`, `finish`, `abandon`, `status`: the steps of a cutover."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from webapp.cutover import moving, shadowing
from webapp.cutover.agreed import loosening
from webapp.cutover.runs import Run
from webapp.printing import json_option, show
from webapp.records.service import steering
from webapp.settings import Settings

freeze_option = click.option(
    "--freeze", "freeze_seconds", default=steering.FREEZE_SECONDS, show_default=True,
    type=click.IntRange(1, steering.LONGEST_FREEZE_SECONDS), help="Seconds after which writes thaw by themselves.",
)  # fmt: skip


def proof_options(command: Callable[..., None]) -> Callable[..., None]:
    """Of whoever compares: what may differ, and where the reports go."""
    for option in (
        click.option("--report", "folder", type=click.Path(file_okay=False, path_type=Path), help="Folder for both."),
        click.option("--threshold", multiple=True, help="DOMAIN=NUMBER: records that may be unequal. Repeatable."),
        click.option("--tolerate", multiple=True, help="FIELD=REASON: a field that may differ. Repeatable."),
    ):
        command = option(command)
    return command


@click.command()
@json_option
def begin(*, as_json: bool) -> None:
    """Begin a cutover from rtdb: from here on the database says which store leads."""
    with moving.opened(Settings.load(), _say) as its:
        _shown(its.begin(), as_json)


@click.command()
@click.option("--off", is_flag=True, help="End it again.")
@json_option
def shadow(*, off: bool, as_json: bool) -> None:
    """Carry everything over, then ask both stores the same, and write to both. The store before leads on."""
    with moving.opened(Settings.load(), _say) as its:
        _shown(its.shadow(not off), as_json)


@click.command()
@freeze_option
@click.option("--window", default=24.0, show_default=True, help="Hours for which a revert is to be possible.")
@click.option("--without-shadow", "unshadowed", default="", metavar="REASON", help="Switch without its evidence.")
@click.option("--shadow-reads", "reads", default=shadowing.ENOUGH.reads, show_default=True,
              help="Reads that were alike since the last difference: enough, or")  # fmt: skip
@click.option("--shadow-hours", "hours", default=shadowing.ENOUGH.hours, show_default=True, help="so many hours.")
@proof_options
@json_option
def switch(
    *, freeze_seconds: int, window: float, unshadowed: str, reads: int, hours: float, tolerate: tuple[str, ...],
    threshold: tuple[str, ...], folder: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Freeze writes, carry over the rest, prove it, rehearse every domain, and let PostgreSQL lead. What fails on the
    way goes back, and writes go on."""
    with moving.opened(Settings.load(), _say, loosening(tolerate, threshold), folder) as its:
        wanted = shadowing.Wanted(reads, hours, unshadowed)
        _shown(its.switch(freeze_seconds=freeze_seconds, window=timedelta(hours=window), shadow=wanted), as_json)


@click.command()
@freeze_option
@proof_options
@json_option
def revert(
    *, freeze_seconds: int, tolerate: tuple[str, ...], threshold: tuple[str, ...], folder: Path | None, as_json: bool
) -> None:
    """Back to rtdb, with what was written since the switch. What the switch let differ may."""
    with moving.opened(Settings.load(), _say, loosening(tolerate, threshold), folder) as its:
        _shown(its.revert(freeze_seconds=freeze_seconds), as_json)


@click.command()
@click.option("--early", default="", metavar="REASON", help="End it before the window has passed.")
@click.option("--prometheus", default="http://prometheus:9090", show_default=True, help="Who knows of errors and p95.")
@click.option("--unmeasured", default="", metavar="REASON", help="End it without those figures.")
@proof_options
@json_option
def finish(
    *, early: str, prometheus: str, unmeasured: str, tolerate: tuple[str, ...], threshold: tuple[str, ...],
    folder: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Close the window, and retire rtdb. Wants no more errors, no p95 that rose by over 20%, and parity, but for what
    the switch let differ."""
    with moving.opened(Settings.load(), _say, loosening(tolerate, threshold), folder) as its:
        _shown(its.finish(early=early, prometheus=prometheus, unmeasured=unmeasured), as_json)


@click.command()
@json_option
def abandon(*, as_json: bool) -> None:
    """End a cutover that has not switched: rtdb leads on, alone."""
    with moving.opened(Settings.load(), _say) as its:
        _shown(its.abandon(), as_json)


@click.command()
@json_option
def status(*, as_json: bool) -> None:
    """Which store leads, how far the cutover is, and what has happened in it."""
    with moving.looking(Settings.load()) as its:
        facts = its.status()
    show(facts, _lines(facts), as_json=as_json)


COMMANDS = (begin, shadow, switch, revert, finish, abandon, status)


def _say(line: str) -> None:
    click.echo(line, file=sys.stderr)


def _shown(run: Run, as_json: bool) -> None:
    show({"state": run.state, "came_from": run.came_from}, [f"The cutover is {run.state}."], as_json=as_json)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    frozen = f"; writes are frozen for {facts['frozen_seconds']} s at most" if facts["frozen_seconds"] else ""
    yield f"{facts['leader']} leads{frozen}."
    if facts["state"] is None:
        yield "No cutover has ever begun."
        return
    yield f"The cutover that began at {facts['begun_at']} is {facts['state']}."
    if seen := facts.get("shadow"):
        yield f"Shadow: {seen['reads']:,} reads alike in {seen['seconds']:,.0f} s; {seen['differences']:,} differences."
    if facts["window_until"]:
        yield f"A revert is to be possible until {facts['window_until']}."
    for event in facts["events"]:
        yield f"{event['at']}  {event['state']:<10} {event['words']}"
