"""`.ci/linting` is imported from where its scripts find it: beside them."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPTS = str(Path(__file__).resolve().parents[3] / ".ci")
if SCRIPTS not in sys.path:
    sys.path.append(SCRIPTS)
