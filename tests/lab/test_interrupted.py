"""A release that is killed, at each of its steps: the product serves on, and the next run puts right what it left.

The runs are a chain: each is the recovery of the one before, until it is killed itself. Nobody outside notices anything
of all that, and in the end nothing is left over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import Host, Lab, practice_tables
from tests.lab.fullness import full
from tests.lab.interruption import cut_off
from tests.lab.playbook import ansible, succeeded
from tests.lab.practice_tables import EXPAND
from tests.lab.serving import leftovers, log, release, settled, unnoticed
from tests.load import Load

BEGUN, SEALED = "interrupted", "success"


@dataclass(frozen=True)
class Cut:
    """Where a run is killed: before a task, or seconds after it began.

    `whole`: what the task does on the host is killed with it; else it goes on there by itself. `said`: what the
    log says of the release; nothing where the run had not begun to change anything.
    """

    at: str
    after: float = 0
    whole: bool = False
    said: str = BEGUN

    def __str__(self) -> str:
        where = f"{self.after} s into" if self.after else "before"
        return f"{where} {self.at!r}{', on the host too' if self.whole else ''}"


DECLARE, START, ROUTES = (
    "Declare the new slot",
    "Start the new slot beside the old one",
    "Send requests to the new slot",
)
SEAL, RETIRE = "Read the digests back and seal the release", "Let the old slot finish what it does, and stop it"
DEPLOY = (
    Cut("Resolve the tag to digests", said=""),
    Cut(DECLARE),
    Cut("Dump the database before its tables change", 0.8, whole=True),
    Cut("Run a job once", 2),
    Cut(START, 2),
    Cut(ROUTES, 0.5, whole=True),
    Cut("Probe the product from outside"),
    Cut(SEAL),
    Cut(RETIRE, said=SEALED),
)
ROLLBACK = (
    Cut("Find the release to go back to", said=""),
    Cut(START, 2, whole=True),
    Cut(ROUTES),
    Cut(SEAL),
)


@pytest.fixture(scope="module")
def ready(lab: Lab, site: Host) -> Iterator[None]:
    """sha-two serves, and there is a version that changes the tables."""
    lab.push("sha-two")
    succeeded(ansible(lab, "deploy", "-e", "image_tag=sha-two"))
    with practice_tables.put_back(site) as revision:
        practice_tables.push(lab, "sha-two", revision)
        yield
    succeeded(ansible(lab, "deploy", "-e", "image_tag=sha-two"))


def chain(lab: Lab, site: Host, load: Load, cuts: tuple[Cut, ...], playbook: str, *args: str) -> None:
    """Runs that are killed one after the other; the log gets what was said of each by the next one."""
    expected = [_told(entry) for entry in log(site)]
    for cut in cuts:
        load.mark(f"{playbook} {cut}")
        cut_off(lab, playbook, *args, at=cut.at, after=cut.after, host=site if cut.whole else None)
        expected += [(playbook, SEALED)] if cut.said == SEALED else []
        assert [_told(entry) for entry in log(site)] == expected, cut
        expected += [(playbook, BEGUN)] if cut.said == BEGUN else []
    load.mark(f"after the {playbook}")


def _told(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["kind"], entry["verdict"]


@full
def test_a_deploy_and_a_rollback_killed_at_each_step_go_unnoticed_and_are_put_right(lab: Lab, site: Host, ready: None):
    with unnoticed(lab) as load:
        was, lines = release(site), len(log(site))
        chain(lab, site, load, DEPLOY, "deploy", "-e", f"image_tag={EXPAND}")
        now = release(site)
        assert (now["number"], now["before"][0], now["entry"]["tag"]) == (was["last"] + 1, was["number"], EXPAND)
        # Sealed already: what is left is to clear away.
        succeeded(ansible(lab, "deploy", "-e", f"image_tag={EXPAND}"))
        assert release(site) == now
        settled(lab, site)
        assert [entry["tag"] for entry in log(site)[lines:]] == [EXPAND] * (len(DEPLOY) - 1)

        chain(lab, site, load, (*ROLLBACK, Cut(RETIRE, 1, whole=True, said=SEALED)), "rollback")
        back = release(site)
        assert (back["number"], back["rolled_back_from"]) == (was["number"], now["number"])
        succeeded(ansible(lab, "rollback"))
        assert release(site) == back
        assert leftovers(site) == []


@full
def test_a_rollback_puts_right_what_a_killed_deploy_left(lab: Lab, site: Host, ready: None):
    """Whoever sees a deploy die takes the way back: first to the last good release, then behind it."""
    lab.push("sha-one")
    succeeded(ansible(lab, "deploy", "-e", "image_tag=sha-one"))
    was = release(site)
    with unnoticed(lab) as load:
        load.mark("killed after its switch")
        cut_off(lab, "deploy", "-e", f"image_tag={EXPAND}", at=SEAL)
        load.mark("rollback")
        run = succeeded(ansible(lab, "rollback"))
        assert f"They go to release {was['number']} again, the last good one; run again to go behind it" in run.words
        assert release(site) == was
        assert _told(log(site)[-1]) == ("deploy", BEGUN)
        assert leftovers(site) == []
        load.mark("rollback again")
        succeeded(ansible(lab, "rollback"))
    assert release(site)["number"] == was["before"][0]
    assert _told(log(site)[-1]) == ("rollback", SEALED)
    settled(lab, site)
