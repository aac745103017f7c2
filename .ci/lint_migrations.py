#!/usr/bin/env python3
"""Says what is dangerous in the migrations, on tables that have rows and are in use: docs/explanation/schema.md.

Usage: .ci/lint_migrations.py [FOLDER]    (default: migrations/versions)
"""

# ruff: noqa: T201 - a command's output is what it is for

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the migrations of this tree, whatever is installed

from linting.rendering import NotRendered, rendered  # noqa: E402 - see above
from linting.rules import SquawkFailed, findings  # noqa: E402 - see above


def main(folder: Path) -> int:
    try:
        found = findings(rendered(folder))
    except (NotRendered, SquawkFailed, RuntimeError) as error:
        print(error)
        return 1
    for one in found:
        print(one)
    if found:
        print(
            "Change the statement; or, where it is no danger, say why beside it: `# squawk-ignore RULE - REASON`. "
            "What only older code would miss is answered for by a raised works_with (docs/explanation/schema.md)."
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "migrations/versions"))
