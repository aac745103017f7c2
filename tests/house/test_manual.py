"""The manual is true where a machine can tell: links lead somewhere, commands exist, generated pages are fresh."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drills.runbook import steps

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GENERATED = [
    DOCS / "reference" / f"{name}.md" for name in ("variables", "api", "errors", "metrics", "alerts", "architecture")
]
OTHER_PEOPLES = {"node_modules", "dist"}
FOUND = sorted(page for page in DOCS.rglob("*.md") if not OTHER_PEOPLES & set(page.parts))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *FOUND]
MANUAL = [page for page in PAGES if DOCS in page.parents and DOCS / "examples" not in page.parents]
LONGEST_PAGE = 120

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def code(text: str) -> list[str]:
    blocks = re.findall(r"^```.*?^```", text, flags=re.DOTALL | re.MULTILINE)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """Headings as GitHub names them in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (page.parent / target).resolve() if target else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(link)
    assert broken == []


@every_page
def test_every_make_target_it_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for text in code(page.read_text()) for name in re.findall(r"\bmake ([a-z][a-z-]*)", text)}
    assert named <= targets, sorted(named - targets)


def test_the_generated_pages_are_fresh() -> None:
    command = [sys.executable, str(ROOT / ".ci/reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_role_has_its_variables_in_the_manual() -> None:
    roles = {path.parents[1].name for path in ROOT.glob("roles/*/meta/argument_specs.yml")}
    assert set(re.findall(r"^## (\w+)$", GENERATED[0].read_text(), re.MULTILINE)) == roles


def test_every_page_is_in_the_table_of_contents_and_short() -> None:
    contents = (DOCS / "index.md").read_text()
    pages = [page for page in MANUAL if page.name not in ("index.md", "progress.md")]
    assert [str(page.relative_to(DOCS)) for page in pages if f"({page.relative_to(DOCS)})" not in contents] == []
    long = [page.name for page in pages if page not in GENERATED and len(page.read_text().splitlines()) > LONGEST_PAGE]
    assert long == []


def test_every_command_block_is_one_that_a_drill_can_follow() -> None:
    drills = (ROOT / "tests/drills/test_runbooks.py").read_text()
    followed = [DOCS / f"how-to/{name}.md" for name in re.findall(r'production\.runbook\("([a-z-]+)"', drills)]
    assert len(followed) >= 8
    assert [page.name for page in followed if page.read_text().count("```sh") != len(steps(page.read_text()))] == []
