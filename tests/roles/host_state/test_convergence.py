"""Whatever is declared, whatever was there: a check foretells the run, and a second run changes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.roles.host_state.conftest import make_bench

NAMES = st.sampled_from(["a", "b", "c", "d"])
MODES = st.sampled_from(["0600", "0644", "0755"])
CONTENTS = st.text(st.characters(codec="utf-8"), max_size=20)


def entries() -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.one_of(
        st.fixed_dictionaries({"path": NAMES, "content": CONTENTS, "mode": MODES, "keep": st.booleans()}),
        st.fixed_dictionaries({"path": NAMES.map("sub/{}".format), "content": CONTENTS, "mode": MODES}),
        st.fixed_dictionaries({"path": NAMES, "link": st.sampled_from(["/etc", "nowhere"])}),
        st.fixed_dictionaries({"path": NAMES, "state": st.just("absent")}),
        st.fixed_dictionaries({"path": NAMES.map("folder-{}".format), "state": st.just("directory"), "mode": MODES}),
    )
    return st.lists(one, max_size=6, unique_by=lambda entry: entry["path"])


@settings(max_examples=150, deadline=None)
@given(before=entries(), wanted=entries())
def test_a_check_foretells_the_run_and_a_second_run_changes_nothing(
    before: list[dict[str, Any]], wanted: list[dict[str, Any]]
):
    units = [{"name": "a.service", "enabled": True, "state": "started", "restart_on": ["sub/", "a"]}]
    commands = [{"run": ["true"], "run_on": ["b"]}]
    with tempfile.TemporaryDirectory() as folder:
        bench = make_bench(Path(folder) / "bench")
        bench.declare(files=before)
        tree = bench.tree()
        foretold = bench.declare(check=True, files=wanted, units=units, commands=commands)
        assert bench.tree() == tree
        done = bench.declare(files=wanted, units=units, commands=commands)
        assert (done.changes, done.changed_paths, done.diff) == (
            foretold.changes,
            foretold.changed_paths,
            foretold.diff,
        )
        again = bench.declare(files=wanted, units=units, commands=commands)
        assert again.changes == []
        assert not (bench.state / "pending.json").exists()
