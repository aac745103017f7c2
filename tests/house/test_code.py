"""Laws of the design that a machine can check, by reading the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEBAPP = sorted((ROOT / "webapp").rglob("*.py"))
AGENT = sorted((ROOT / "agent").rglob("*.py"))
ROOMS = sorted(path.parent.name for path in WEBAPP if path.name == "models.py")
LONGEST_FILE = 300


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_file = pytest.mark.parametrize("path", WEBAPP, ids=name_of)
every_service = pytest.mark.parametrize("path", [path for path in WEBAPP if path.name == "service.py"], ids=name_of)
every_model = pytest.mark.parametrize("path", [path for path in WEBAPP if path.name == "models.py"], ids=name_of)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(module: ast.AST) -> Iterator[str]:
    """Every module that is imported, with what is taken from it (`flask.request`)."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(name: str) -> str:
    return name.partition(".")[0]


def test_there_is_something_to_read() -> None:
    assert len(WEBAPP) > 20 and "tenants" in ROOMS


@every_file
def test_only_settings_reads_the_environment(path: Path) -> None:
    module = tree(path)
    reads = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in ("environ", "environb", "getenv", "putenv")
    ]
    taken = [name for name in imports(module) if name in ("os.environ", "os.environb", "os.getenv")]
    options = [
        keyword
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg in ("envvar", "auto_envvar_prefix")
    ]
    assert path.name == "settings.py" or not (reads or taken or options)


@every_service
def test_services_neither_commit_nor_know_flask(path: Path) -> None:
    module = tree(path)
    assert "flask" not in {top(name) for name in imports(module)}
    ends = {
        node.attr
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback", "begin")
    }
    assert not ends, "one transaction for a request: the route opens it and it commits at its end"


@every_model
def test_a_rooms_noun_begins_its_tables_names(path: Path) -> None:
    room = path.parent.name
    tables = [
        node.value.value
        for item in ast.walk(tree(path))
        if isinstance(item, ast.ClassDef)
        for node in item.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__tablename__" for target in node.targets)
        and isinstance(node.value, ast.Constant)
    ]
    noun = room.removesuffix("s")
    assert tables and all(table in (room, noun) or table.startswith(f"{noun}_") for table in tables)


@every_file
def test_a_room_uses_another_only_through_its_service(path: Path) -> None:
    mine = path.parent.name
    others = [
        name
        for name in imports(tree(path))
        if name.startswith("webapp.") and name.split(".")[1] in ROOMS and name.split(".")[1] != mine
    ]
    wrong = [name for name in others if "service" not in name.split(".")[2:]]
    assert path.name == "wiring.py" or not wrong


def test_the_agent_imports_nothing_of_webapp() -> None:
    wrong = [path for path in AGENT if "webapp" in {top(name) for name in imports(tree(path))}]
    assert wrong == []


@pytest.mark.parametrize("path", [*WEBAPP, *AGENT, *sorted((ROOT / "migrations").rglob("*.py"))], ids=name_of)
def test_no_file_is_too_long_or_called_utils(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE, "what two things is it?"
    assert path.stem not in ("utils", "util", "helpers", "common", "misc", "secrets")


@every_file
def test_every_file_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(tree(path))


@every_file
def test_what_is_switched_off_has_a_reason(path: Path) -> None:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        _, marker, rest = line.partition("# noqa" if "# noqa" in line else "# type: ignore")
        if marker:
            words = rest.partition(" - " if "noqa" in marker else "  # ")[2]
            assert words.strip(), f"line {number} does not say why"


@every_file
def test_nothing_is_unfinished(path: Path) -> None:
    assert not {word for word in ("TODO", "FIXME", "XXX", "NotImplementedError") if word in path.read_text()}
