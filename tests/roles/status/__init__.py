"""The program that writes the status page, imported from where the role keeps it."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "roles/status/files"))
