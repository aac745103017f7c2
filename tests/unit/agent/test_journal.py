"""The journal decides what may run, survives a kill, and stays within its bounds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from agent.commands import FAILED, SUCCEEDED, Outcome, failed
from agent.journal import Journal
from tests.unit.agent.conftest import command

ROOT = Path(__file__).parents[3]
KILLS = 12

# Runs commands c0, c1, …: an effect is a line in a file, and each is written between begin and finish.
WORKER = """
import os, sys
from pathlib import Path
from agent.commands import Command, Outcome
from agent.journal import Journal
folder = Path(sys.argv[1])
journal = Journal(folder / "journal.sqlite3")
journal.recover(lambda kind: False)
effects = os.open(folder / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
print("ready", flush=True)
for number in range(200_000):
    command = Command(f"c{number}", "proxmox.start", {})
    if journal.accept(command) == "accepted" and journal.begin(command.id):
        os.write(effects, f"{command.id}\\n".encode())
        journal.finish(command.id, Outcome("succeeded", result={"number": number}))
"""


def test_a_command_begins_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    assert journal.accept(command(1)) == "accepted" and journal.accept(command(1)) == "accepted"
    assert [journal.begin("c1"), journal.begin("c1")] == [True, False]
    assert journal.accept(command(1)) == "begun"
    journal.finish("c1", Outcome(SUCCEEDED, result={"a": 1}))
    journal.finish("c1", failed("LATER", "a second end changes nothing"))
    assert journal.accept(command(1)) == "finished"
    assert journal.untold() == [("c1", Outcome(SUCCEEDED, result={"a": 1}))]


def test_what_is_told_is_told_again_only_when_asked(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.accept(command(1))
    journal.begin("c1")
    journal.finish("c1", Outcome(SUCCEEDED))
    journal.told("c1")
    assert journal.untold() == []
    journal.tell_again("c1")
    assert [known for known, _ in journal.untold()] == ["c1"]


def test_what_was_begun_before_a_crash_fails_with_a_reason_and_what_may_run_twice_is_taken_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for one in (command(1, "proxmox.start"), command(2, "proxmox.status"), command(3)):
        journal.accept(one)
    journal.begin("c1")
    journal.begin("c2")
    journal.close()
    journal = Journal(tmp_path / "j")
    assert journal.recover(lambda kind: kind == "proxmox.status") == 2
    [(known, outcome)] = journal.untold()
    assert known == "c1" and outcome.status == FAILED and "AGENT_INTERRUPTED" in str(outcome.error_message)
    assert [one.id for one in journal.accepted()] == ["c2", "c3"]


def test_no_effect_comes_twice_however_often_the_agent_is_killed(tmp_path: Path) -> None:
    """kill -9 at random moments; a command's line in `effects` is its effect."""
    for turn in range(KILLS):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, env=os.environ
        )
        assert worker.stdout and worker.stdout.readline() == b"ready\n"
        time.sleep(random.Random(turn).uniform(0.0, 0.12))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    journal = Journal(tmp_path / "journal.sqlite3")
    journal.recover(lambda kind: False)
    effects = (tmp_path / "effects").read_text().split()
    assert len(effects) == len(set(effects)) > KILLS, "an effect came twice"
    outcomes = dict(journal.untold(1_000_000))
    assert set(effects) <= set(outcomes), "an effect has no outcome"
    ended_well = {known for known, outcome in outcomes.items() if outcome.status == SUCCEEDED}
    assert ended_well <= set(effects) and len(set(outcomes) - ended_well) <= KILLS


def test_results_are_bounded_in_bytes_and_told_ones_go_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", most_bytes=100_000)
    for number in range(20):
        journal.accept(command(number))
        journal.begin(f"c{number}")
        journal.finish(f"c{number}", Outcome(SUCCEEDED, result={"text": "x" * 10_000}))
        if number < 5:
            journal.told(f"c{number}")
    assert journal.counts().bytes <= 100_000
    untold = dict(journal.untold(100))
    assert len(untold) == 15 and all(outcome.status == SUCCEEDED for outcome in untold.values())
    assert "text" in untold["c19"].result and "left_out" in untold["c5"].result


def test_rows_are_bounded_and_only_what_can_come_no_more_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", most_rows=50)
    for number in range(100):
        journal.accept(command(number, expires_at=1000.0))
        journal.begin(f"c{number}")
        journal.finish(f"c{number}", Outcome(SUCCEEDED))
        if number != 0:
            journal.told(f"c{number}")
    assert journal.prune(None) == 49, "without the server's time only the bound counts"
    assert journal.counts().rows == 51
    assert [known for known, _ in journal.untold()] == ["c0"], "what is not told is never forgotten"
    assert journal.prune(1000.0 + 3599) == 0, "it could still be handed out"
    assert journal.prune(1000.0 + 3601) == 50 and journal.counts().rows == 1


def test_the_journal_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    Journal(tmp_path / "j").accept(command(1))
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
