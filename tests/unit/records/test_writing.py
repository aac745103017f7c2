"""Every write of a record goes through one place, where a cutover freezes it and has it done twice."""

from __future__ import annotations

import ast
from pathlib import Path

from webapp.records.repository import Repository

ROOM = Path(__file__).resolve().parents[3] / "webapp/records"
WRITES = {"create", "store", "change", "delete", "put", "patch"}
READS = {"get", "page", "tree", "totals"}
STORES = {"rows.py", "nodes.py", "rest.py", "tree.py"}  # they are what is written to


def test_the_protocol_reads_and_writes_and_nothing_else() -> None:
    assert {name for name in vars(Repository) if not name.startswith("_")} == WRITES | READS


def test_no_write_goes_past_the_desk() -> None:
    through = past = 0
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if path.name in STORES or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called, on = node.func.attr, ast.unparse(node.func.value)
            through += called in WRITES and on == "desk.writing()"
            past += called in WRITES and "repository" in on
    assert past == 0 and through >= 6
