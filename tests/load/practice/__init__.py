"""The practice variant of the control plane: with a room that only the lab has, to be aimed at by a load."""

from __future__ import annotations

from pathlib import Path

from tests.lab import Lab

FOLDER = Path(__file__).parent
# The product compiles its code into the image, and never looks at a source's time again.
_DOCKERFILE = """\
COPY room.py /app/webapp/practice.py
COPY wiring.py /tmp/wiring.py
RUN (echo; echo; cat /tmp/wiring.py) >> /app/webapp/wiring.py && rm /tmp/wiring.py \\
    && /opt/venv/bin/python3 -m compileall -q -f --invalidation-mode unchecked-hash /app/webapp/*.py
"""


def push(lab: Lab, tag: str, base: str) -> dict[str, str]:
    """Push the control plane at `base` with the practice room in it, under `tag`; see `Lab.variant`."""
    files = {name: (FOLDER / name).read_text() for name in ("room.py", "wiring.py")}
    return lab.variant(tag, "controlplane", base, _DOCKERFILE, files)
