"""Load from outside: a fixed rate of requests and a number of open sockets, while something is done to the host.

`Load` runs it beside a test; `Ledger` proves that every POST ran once; `practice` is the image they need.
"""

from tests.load.ledger import Ledger
from tests.load.load import Load
from tests.load.report import Report, Window

__all__ = ["Ledger", "Load", "Report", "Window"]
