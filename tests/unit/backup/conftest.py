"""The program as it is mounted into its container."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "roles/backup/files"))
