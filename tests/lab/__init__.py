"""The lab: disposable Debian hosts to practise on. See `python -m tests.lab --help`."""

from tests.lab.errors import CommandError, LabError
from tests.lab.hosts import Host, Key
from tests.lab.lab import Lab
from tests.lab.shapes import Shape

__all__ = ["CommandError", "Host", "Key", "Lab", "LabError", "Shape"]
